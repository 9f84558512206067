import { CodedError } from '../contract/errors.ts';
import type { Heartbeat, RosterRow } from '../ports/roster.ts';
import type { Call } from './caller.ts';

/** Takes what a live process says about itself; undefined if that generation, or any, does not live here. */
export type HeartbeatSink = (
  agentId: string,
  said: Omit<Heartbeat, 'at'>,
  generation?: number,
) => { generation: number; period_ms: number | null } | undefined;

export interface HeartbeatAnswer {
  agent_id: string;
  generation: number;
  /** The next has to come within this time; null if none is owed. */
  period_ms: number | null;
}

/**
 * An agent speaks for itself only: a beat that others could send would prove nothing.
 * @throws CodedError FORBIDDEN, AGENT_NOT_RUNNING
 */
export function takeHeartbeat(
  { caller }: Call,
  { agent_id }: RosterRow,
  said: Omit<Heartbeat, 'at'>,
  sink: HeartbeatSink,
): HeartbeatAnswer {
  if (caller.kind === 'agent' && caller.agent_id !== agent_id) {
    throw new CodedError('FORBIDDEN', `The agent ${caller.agent_id} may not send the heartbeat of ${agent_id}`, {
      agent_id,
    });
  }
  const taken = sink(agent_id, said, caller.kind === 'agent' ? caller.generation : undefined);
  if (taken) return { agent_id, ...taken };
  throw new CodedError('AGENT_NOT_RUNNING', `${agent_id} has no process that could send a heartbeat`, { agent_id });
}
