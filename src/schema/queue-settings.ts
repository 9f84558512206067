/** The settings of a queue, as they are written in the configuration and in `PUT /queues/{queue}`. */
import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { describeMs, durationText, parseDurationMs } from '../domain/duration.ts';
import type { QueueSettings } from '../domain/messages/queue-settings.ts';
import { durationAbove0, isDurationWithin } from './duration-field.ts';
import { agentId, backoff, duration, labels } from './fields.ts';
import { strict } from './problem.ts';

/** Who works a queue: these agents, or those with all of these labels. */
export type QueueMembers = string[] | { labels: Record<string, string> };

/** Whole numbers, as the place where they are written has them. */
type Whole = (min: number, max: number) => z.ZodType<number>;

const MAX_MESSAGES = 10_000_000;
const LEASE = { minMs: 100, maxMs: 24 * 3600_000, form: 'a duration from 100ms to 24h' };

export const lease = duration.refine((text) => isDurationWithin(text, LEASE.minMs, LEASE.maxMs), LEASE.form);

const ttl = z.union([z.literal('never'), z.null(), durationAbove0], 'a duration above 0, or never');

/** What counts for every queue that says nothing else. */
export function queueDefaultFields(whole: Whole) {
  return {
    lease: lease.exactOptional(),
    attempts: whole(1, 1000).exactOptional(),
    retry: backoff.exactOptional(),
    ttl: ttl.exactOptional(),
    max_messages: whole(1, MAX_MESSAGES).exactOptional(),
    max_per_sender: whole(1, MAX_MESSAGES).exactOptional(),
  };
}

export function queueFields(whole: Whole) {
  return {
    members: z
      .union(
        [
          z.array(agentId).min(1).max(1000),
          strict({ labels: labels.refine((map) => Object.keys(map).length > 0, 'at least one label') }),
        ],
        'a list of agent ids, or { labels: { name: value } }',
      )
      .exactOptional(),
    concurrency: z.union([whole(1, 1_000_000), z.null()], 'a whole number above 0').exactOptional(),
    per_consumer: z.union([whole(1, 1_000_000), z.null()], 'a whole number above 0').exactOptional(),
    ...queueDefaultFields(whole),
  };
}

export const queueBody = strict(queueFields((min, max) => z.int().min(min).max(max)));
export type WrittenQueue = z.output<typeof queueBody>;

/** @throws CodedError INVALID_REQUEST if the first delay would be above the longest */
export function queueSettingsOf(base: QueueSettings, written: Omit<WrittenQueue, 'members'>): QueueSettings {
  const { lease: leaseText, attempts, retry = {}, concurrency, per_consumer, max_messages, max_per_sender } = written;
  const settings: QueueSettings = {
    leaseMs: leaseText === undefined ? base.leaseMs : parseDurationMs(leaseText),
    maxAttempts: attempts ?? base.maxAttempts,
    retry: {
      initialMs: retry.initial === undefined ? base.retry.initialMs : parseDurationMs(retry.initial),
      factor: retry.factor ?? base.retry.factor,
      maxMs: retry.max === undefined ? base.retry.maxMs : parseDurationMs(retry.max),
      jitter: retry.jitter ?? base.retry.jitter,
    },
    ttlMs: written.ttl === undefined ? base.ttlMs : ttlMsOf(written.ttl),
    concurrency: concurrency === undefined ? base.concurrency : concurrency,
    perConsumer: per_consumer === undefined ? base.perConsumer : per_consumer,
    maxMessages: max_messages ?? base.maxMessages,
    maxPerSender: max_per_sender ?? base.maxPerSender,
  };
  const { initialMs, maxMs } = settings.retry;
  if (initialMs <= maxMs) return settings;
  const message = `retry.initial (${describeMs(initialMs)}) is longer than retry.max (${describeMs(maxMs)}); raise retry.max or lower retry.initial`;
  throw new CodedError('INVALID_REQUEST', message, { field: 'retry.initial' });
}

const ttlMsOf = (text: string | null): number | null =>
  text === null || text === 'never' ? null : parseDurationMs(text);

/** As it could be written again. */
export function writtenSettings(settings: QueueSettings) {
  const { retry } = settings;
  return {
    lease: durationText(settings.leaseMs),
    attempts: settings.maxAttempts,
    retry: {
      initial: durationText(retry.initialMs),
      factor: retry.factor,
      max: durationText(retry.maxMs),
      jitter: retry.jitter,
    },
    ttl: settings.ttlMs === null ? null : durationText(settings.ttlMs),
    concurrency: settings.concurrency,
    per_consumer: settings.perConsumer,
    max_messages: settings.maxMessages,
    max_per_sender: settings.maxPerSender,
  };
}
