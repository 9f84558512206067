import { activityInfo } from '@temporalio/activity';
import type { AgentInput } from '../contract/agent-input.ts';
import type { Admission, Definition } from '../contract/definition.ts';
import { codeOf, isFinal } from '../contract/errors.ts';
import { ADMISSION_PREFIX } from '../contract/names.ts';
import type { ActivityDeps } from './index.ts';

/**
 * Admits an input: what it asks for is written into the history, together with what this host's custodian holds. A
 * refusal is an answer too: whatever is wrong with the input, a process of the agent may be running.
 */
export async function resolveTemplate(deps: ActivityDeps, { input }: { input: AgentInput }): Promise<Admission> {
  const { custody } = await deps.host.custodyToTell(input.agent_id);
  try {
    const definition = await deps.define(input);
    await giveSchedule(deps, input, definition);
    return { kind: 'admitted', host: deps.hostId, custody, definition };
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !isFinal(code)) throw error;
    return { kind: 'refused', host: deps.hostId, custody, code, message: (error as Error).message };
  }
}

/**
 * An agent that was started with Temporal's own tools gets the schedule of its template when it is first admitted; those of the
 * API and the file have got theirs from whoever made them. Deleted by hand, it stays so.
 */
async function giveSchedule(
  { giveSchedule: give }: ActivityDeps,
  input: AgentInput,
  definition: Definition,
): Promise<void> {
  const isFirst = activityInfo().activityId === `${ADMISSION_PREFIX}1`;
  if (definition.schedule === undefined || input.origin !== undefined || input.restore !== undefined || !isFirst)
    return;
  await give(input, definition.schedule).catch((error: unknown) => {
    if (codeOf(error) !== 'SCHEDULE_EXISTS') throw error;
  });
}
