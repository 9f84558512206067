import { CodedError } from '../../contract/errors.ts';
import { ADMIN_SENDER } from '../../domain/messages/message.ts';
import { incarnationOf } from '../../domain/ids.ts';
import type { RosterRow } from '../../ports/roster.ts';
import { agentNotFound } from '../agent-workflows.ts';
import type { Call, Caller } from '../caller.ts';

/** All agents in memory: each message asks whether its receiver exists. */
export interface KnownAgents {
  get(agentId: string): RosterRow | undefined;
  all(): RosterRow[];
}

/** @throws CodedError AGENT_NOT_FOUND */
export function checkExists(agents: Pick<KnownAgents, 'get'>, agentId: string): void {
  if (agents.get(agentId) === undefined) throw agentNotFound(agentId);
}

/**
 * An agent that calls for itself exists, whatever the table says: it may be being filled again.
 * @throws CodedError FORBIDDEN for another agent, AGENT_NOT_FOUND
 */
export function checkIsSelfOrExists(agents: Pick<KnownAgents, 'get'>, call: Call, agentId: string, what: string): void {
  checkIsSelf(call, agentId, what);
  if (call.caller.kind === 'admin') checkExists(agents, agentId);
}

/** @throws CodedError FORBIDDEN for an agent that is not this one */
export function checkIsSelf({ caller }: Call, agentId: string, what: string): void {
  if (caller.kind === 'admin' || caller.agent_id === agentId) return;
  throw new CodedError('FORBIDDEN', `The agent ${caller.agent_id} may not ${what} ${agentId}`, { agent_id: agentId });
}

/** @throws CodedError FORBIDDEN for every agent */
export function checkIsAdmin({ caller }: Call, what: string): void {
  if (caller.kind === 'admin') return;
  throw new CodedError('FORBIDDEN', `Only the admin token may ${what}`);
}

/** What stands as `from` of what somebody sends. */
export const senderOf = (caller: Caller): string => (caller.kind === 'admin' ? ADMIN_SENDER : caller.agent_id);

/** Who holds what somebody receives. */
export const consumerOf = (caller: Caller): string =>
  caller.kind === 'admin' ? ADMIN_SENDER : incarnationOf(caller.agent_id, caller.generation);
