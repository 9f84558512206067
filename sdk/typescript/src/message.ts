/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** A message as it was handed out. */
export interface Message<Payload = Json> {
  id: string;
  /** `@agent` for a mailbox, else the name of a work queue. */
  queue: string;
  type: string;
  /** 0 to 9, 9 is the most urgent. */
  priority: number;
  payload: Payload;
  /** An agent id, `admin`, or `_daemon`. */
  from: string;
  /** Proves that it was handed out to this process; it holds until `lease_until`. */
  lease: string;
  lease_until: string;
  /** How often it has been handed out. */
  attempt: number;
  correlation_id: string | null;
  reply_to: string | null;
  sent_at: string;
  expires_at: string | null;
}

/** Everything but type and payload may be left out. */
export interface SendOptions {
  /** 0 to 9, 9 is the most urgent. @default 4 */
  priority?: number;
  /** Given up if it has not been acknowledged after so long, such as `"5m"`. @default the queue's */
  ttl?: string;
  /** Ties an answer to its question. */
  correlation_id?: string;
  /** Where the answer is wanted: an agent, or a work queue. @default the sender */
  reply_to?: string;
  /** The same key for the same message, however often it is sent. @default one that is made for this call */
  idempotency_key?: string;
}

export interface Outgoing extends SendOptions {
  type: string;
  payload: Json;
}

/** An agent by its id, or a work queue. */
export type Recipient = string | { queue: string };

export interface Sent {
  id: string;
  /** True if it had been sent before, under the same key. */
  duplicate: boolean;
}

export function pathOf(to: Recipient): string {
  return typeof to === 'string'
    ? `/agents/${encodeURIComponent(to)}/messages`
    : `/queues/${encodeURIComponent(to.queue)}/messages`;
}

/** Thrown by a handler: the message is given up, and its sender is told why. */
export class Reject extends Error {}

/** Thrown by a handler: the message comes again after a while. Any other error does the same after the queue's own pause. */
export class Retry extends Error {
  readonly delay: string | undefined;

  /** @param delay such as `"30s"`; by default what the queue's `retry` says */
  constructor(reason: string, delay?: string) {
    super(reason);
    this.delay = delay;
  }
}
