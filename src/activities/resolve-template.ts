import type { AgentInput } from '../contract/agent-input.ts';
import { codeOf, isFinal } from '../contract/errors.ts';
import type { Admission } from '../contract/definition.ts';
import type { ActivityDeps } from './index.ts';

/**
 * Admits an input: what it asks for is written into the history, together with what this host's custodian holds. A
 * refusal is an answer too: whatever is wrong with the input, a process of the agent may be running.
 */
export async function resolveTemplate(deps: ActivityDeps, { input }: { input: AgentInput }): Promise<Admission> {
  const custody = await deps.host.custodyOf(input.agent_id);
  try {
    return { kind: 'admitted', host: deps.hostId, custody, definition: await deps.define(input) };
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !isFinal(code)) throw error;
    return { kind: 'refused', host: deps.hostId, custody, code, message: (error as Error).message };
  }
}
