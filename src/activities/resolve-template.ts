import type { AgentInput } from '../contract/agent-input.ts';
import type { Admission } from '../contract/definition.ts';
import type { ActivityDeps } from './index.ts';

/** Admits an input: what it asks for is written into the history, together with what this host's custodian holds. */
export async function resolveTemplate(deps: ActivityDeps, request: { input: AgentInput }): Promise<Admission> {
  const definition = await deps.define(request.input);
  const custody = await deps.host.custodyOf(definition.agent_id);
  return { host: deps.hostId, definition, custody };
}
