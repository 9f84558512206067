import assert from 'node:assert/strict';
import { codeOf, type ErrorCode } from '../contract/errors.ts';
import type { Json, OutgoingMessage } from '../domain/messages/message.ts';
import { DEFAULT_QUEUE_SETTINGS, type QueueSettings } from '../domain/messages/queue-settings.ts';
import type { BusChange, BusOptions, Delivery, MessageBus, MessageState } from '../ports/message-bus.ts';

/**
 * One demand of a port's contract, for whichever test runner: make a store of its own for it, run it, close what it has
 * opened. `make` opens the **same** store each time that it is called within one case; never twice at the same time.
 */
export interface ConformanceCase<Make> {
  name: string;
  run: (make: Make) => Promise<void>;
}

/** Opens a bus on the store of this case, with exactly these options. */
export type MakeBus = (options: BusOptions) => Promise<MessageBus>;
export type BusCase = ConformanceCase<MakeBus>;

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A wall clock that stands still until it is told otherwise. */
export interface Clock {
  now: () => number;
  /** Negative: it is set back. */
  advance: (ms: number) => void;
}

export function clockAt(startMs: number = Date.UTC(2030, 0, 1)): Clock {
  let nowMs = startMs;
  return { now: () => nowMs, advance: (ms) => void (nowMs += ms) };
}

export type BusOverrides = Partial<Omit<BusOptions, 'defaults'>> & { defaults?: Partial<QueueSettings> };

export function busOptions({ defaults, ...rest }: BusOverrides = {}): BusOptions {
  return {
    // Without chance in it, so that a case can say when an attempt is due.
    defaults: {
      ...DEFAULT_QUEUE_SETTINGS,
      retry: { initialMs: SECOND, factor: 2, maxMs: MINUTE, jitter: 0 },
      ...defaults,
    },
    ageingMs: 30 * SECOND,
    deadLettersKeptMs: 7 * DAY,
    topics: { keepCount: 10_000, keepMs: DAY },
    warn: () => undefined,
    ...rest,
  };
}

/** Opens the bus of a case with the usual settings and a clock that stands still. */
export async function openBus(make: MakeBus, overrides: BusOverrides = {}): Promise<{ bus: MessageBus; clock: Clock }> {
  const clock = clockAt();
  return { bus: await make(busOptions({ now: clock.now, ...overrides })), clock };
}

export function messageOf(overrides: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { queue: 'work', from: 'alice', type: 'TEXT', payload: 'hello', ...overrides };
}

/** Sends one message. @returns its id */
export async function sendOne(bus: MessageBus, overrides: Partial<OutgoingMessage> = {}): Promise<string> {
  const [sent] = await bus.send([messageOf(overrides)]);
  assert.ok(sent !== undefined, 'send answers for each message');
  return sent.id;
}

export interface Taking {
  consumer?: string;
  leaseMs?: number;
  correlationId?: string;
  receiveId?: string;
}

export function take(bus: MessageBus, max = 1, queue = 'work', more: Taking = {}): Promise<Delivery[]> {
  return bus.receive({ queues: [queue], consumer: 'bob/1', max, ...more });
}

/** Takes the next message, which must be there. */
export async function takeOne(bus: MessageBus, queue = 'work', more: Taking = {}): Promise<Delivery> {
  const [delivery] = await take(bus, 1, queue, more);
  assert.ok(delivery !== undefined, `nothing is due in ${queue}`);
  return delivery;
}

/** Takes and acknowledges all that is due. @returns the payloads in the order in which they came */
export async function drain(bus: MessageBus, queues: readonly string[] = ['work']): Promise<Json[]> {
  const payloads: Json[] = [];
  for (;;) {
    const [delivery] = await bus.receive({ queues, consumer: 'drain/1', max: 1 });
    if (delivery === undefined) return payloads;
    payloads.push(delivery.payload);
    await bus.ack(delivery);
  }
}

export async function countOf(bus: MessageBus, state: MessageState, queue = 'work'): Promise<number> {
  return (await bus.queue(queue))?.[state] ?? 0;
}

/** @returns the details of the error, which must have this code */
export async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<Record<string, unknown>> {
  let thrown: unknown;
  await promise.catch((error: unknown) => (thrown = error));
  assert.ok(thrown !== undefined, `expected ${code}, but nothing was thrown`);
  assert.equal(codeOf(thrown), code, `expected ${code}, got ${thrown instanceof Error ? thrown.stack : 'no error'}`);
  return (thrown as { details?: Record<string, unknown> }).details ?? {};
}

/** Collects what a bus tells its watchers. */
export function watching(bus: MessageBus): { changes: BusChange[]; ofQueue: (queue: string) => number } {
  const changes: BusChange[] = [];
  bus.watch((change) => changes.push(change));
  const ofQueue = (queue: string): number =>
    changes.filter((change) => change.kind === 'queue' && change.queue === queue).length;
  return { changes, ofQueue };
}

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
