import type { AgentView } from '../../contract/agent-view.ts';
import { CodedError, ERRORS } from '../../contract/errors.ts';
import type { Executed, ExecuteRequest } from '../../contract/incident-activities.ts';
import { describeAction, type DaemonAction } from '../../domain/incidents/incident-words.ts';
import type { Call } from '../caller.ts';
import type { CommandResult } from '../commands.ts';
import type { Orchestrator } from '../orchestrator.ts';

/** How long it may take until an agent does what was approved. */
const SETTLES_WITHIN_MS = 120_000;

/**
 * Carries out what was approved. However often it is called for one decision, the agent gets one command.
 *
 * @throws what passes, such as TEMPORAL_UNAVAILABLE: then it is to be called again
 */
export async function executeApproved(
  orchestrator: Pick<Orchestrator, 'command'>,
  { incident_id, action, once }: ExecuteRequest,
  attempt: number,
): Promise<Executed> {
  const { command, agent_id } = action;
  const id = `incident/${incident_id}/${once}`;
  const call: Call = { caller: { kind: 'admin' }, request_id: id.slice(0, 256), once: { id, again: attempt > 1 } };
  try {
    return outcomeOf(action, await orchestrator.command(call, command, agent_id, { waitMs: SETTLES_WITHIN_MS }));
  } catch (error) {
    if (!(error instanceof CodedError) || ERRORS[error.code].retryable) throw error;
    return { ok: false, message: error.message };
  }
}

function outcomeOf(action: DaemonAction, { settled, agent, note }: CommandResult): Executed {
  const what = describeAction(action);
  if (agent === null) return { ok: false, message: `${what}: the agent is gone` };
  const says = `${agent.agent_id} is ${agent.state}: ${agent.reason}`;
  if (settled && !hasFailed(action, agent)) return { ok: true, message: says };
  return { ok: false, message: note === undefined ? says : `${note}; ${says}` };
}

/** A command is settled, too, when the agent was given up. */
const hasFailed = ({ command }: DaemonAction, { state }: AgentView): boolean =>
  state === 'disabled' && (command === 'start' || command === 'restart' || command === 'resume');
