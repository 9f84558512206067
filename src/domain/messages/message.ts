/** A message: what one agent, person or the daemon itself says to an agent, or puts into a work queue. */
import { DAEMON_ID } from '../ids.ts';

/** The types that the daemon knows; their payloads are checked (`src/schema/message-payloads.ts`). Users may add their own. */
export const MESSAGE_TYPES = [
  'TASK_DELEGATE',
  'TASK_ACCEPT',
  'TASK_REJECT',
  'TASK_PROGRESS',
  'TASK_RESULT',
  'STATUS_QUERY',
  'STATUS_REPORT',
  'HEARTBEAT',
  'ESCALATION',
  'APPROVAL_REQUEST',
  'APPROVAL_DECISION',
  'CRON',
  'CONTROL',
  'TEXT',
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** Sender of what the daemon itself says: ticks, notices about dead letters, decisions. No agent can have this name. */
export const DAEMON_SENDER = DAEMON_ID;
/** Sender of what comes with the admin token. */
export const ADMIN_SENDER = 'admin';

export const HIGHEST_PRIORITY = 9;
export const DEFAULT_PRIORITY = 4;

/** What a sender says; the bus adds id, time and position. */
export interface OutgoingMessage {
  /** See `queue-name.ts`. */
  queue: string;
  /** An agent id, `admin` or `_daemon`; set by the daemon from the token, never by the sender. */
  from: string;
  type: string;
  payload: Json;
  /** 0 to 9, 9 is the most urgent. @default 4 */
  priority?: number;
  /** How long it may wait for its acknowledgement before it is dead-lettered. @default the queue's */
  ttlMs?: number;
  /** Ties an answer to its question. */
  correlationId?: string;
  /** Where the answer is wanted: an agent id or the name of a work queue. @default `from` */
  replyTo?: string;
  /** The same (from, queue, key) within a day is the same message: it is sent once, and each time answered with its id. */
  idempotencyKey?: string;
}

export interface Message {
  /** Unique; ids of one queue sort in the order of sending. */
  id: string;
  queue: string;
  from: string;
  type: string;
  payload: Json;
  priority: number;
  correlationId: string | null;
  replyTo: string | null;
  sentAtMs: number;
  expiresAtMs: number | null;
  /** How often it has been handed out; 0 before the first time. */
  attempt: number;
}
