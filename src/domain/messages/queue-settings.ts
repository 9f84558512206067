import type { Backoff } from '../backoff.ts';

/** How a queue hands out its messages, and when it gives up on one. All durations in milliseconds. */
export interface QueueSettings {
  /** How long a receiver has for a message before it is handed out again. */
  leaseMs: number;
  /** Handed out so often without being acknowledged, it is dead-lettered. */
  maxAttempts: number;
  /** How long a message that was refused (nack) waits for its next attempt. A lease that ran out costs no wait. */
  retry: Backoff;
  /** For messages without their own; null: they wait for ever. */
  ttlMs: number | null;
  /** Handed out at the same time, to all consumers together; null: no limit. */
  concurrency: number | null;
  /** Handed out at the same time to one consumer; null: no limit. */
  perConsumer: number | null;
  /** Messages that wait or are handed out. More are refused. */
  maxMessages: number;
  /** How many of them may be from one sender. */
  maxPerSender: number;
}

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = {
  leaseMs: 60_000,
  maxAttempts: 5,
  retry: { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.1 },
  ttlMs: 7 * 24 * 3600_000,
  concurrency: null,
  perConsumer: null,
  maxMessages: 200_000,
  maxPerSender: 150_000,
};
