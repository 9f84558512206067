/**
 * A queue is either the mailbox of one agent or a work queue with many consumers. One name tells which:
 * `@data_worker` is the mailbox of the agent `data_worker`, `analysis` is a work queue.
 */
import { AGENT_ID_PATTERN, isAgentId } from '../ids.ts';

export const mailboxOf = (agentId: string): string => `@${agentId}`;

/** The agent whose mailbox it is; undefined for a work queue. */
export function ownerOf(queue: string): string | undefined {
  return queue.startsWith('@') ? queue.slice(1) : undefined;
}

/** Where somebody looks for a message: in one queue, or where an agent's messages come from. */
export type Place = { kind: 'queue'; queue: string } | { kind: 'agent'; agentId: string };

/** An agent's are its mailbox and work queues: who has received from one may not be a member of it any more. */
export function isIn(place: Place, queue: string): boolean {
  if (place.kind === 'queue') return place.queue === queue;
  const owner = ownerOf(queue);
  return owner === undefined || owner === place.agentId;
}

/** Work queues are named like agents. */
export const QUEUE_NAME_PATTERN = AGENT_ID_PATTERN;

export function isQueueName(value: unknown): value is string {
  return typeof value === 'string' && isAgentId(value.startsWith('@') ? value.slice(1) : value);
}
