import { durationText, parseDurationMs } from '../duration.ts';
import { parseCron, type CronFields } from './cron.ts';
import { parseMoment, type Moment } from './moment.ts';

/** When a schedule calls. Intervals count from the beginning of 1970, so `every 10m` is at :00, :10, :20 … */
export type When =
  | { kind: 'cron'; cron: CronFields }
  | { kind: 'every'; everyMs: number; offsetMs: number }
  | { kind: 'once'; at: Moment }
  /** So long after the schedule is made. */
  | { kind: 'after'; delayMs: number };

/** The ways of saying it; exactly one is given. */
export const WHENS = ['cron', 'every', 'at', 'after'] as const;
export type WhenInput = { [Name in (typeof WHENS)[number]]?: string };

/** Shorter ones Temporal would round. */
const MIN_EVERY_MS = 1000;

/**
 * Of a checked input.
 * @throws TypeError with a message for people
 */
export function whenOf(input: WhenInput): When {
  if (input.cron !== undefined) {
    const cron = parseCron(input.cron);
    if (cron.kind === 'fields') return { kind: 'cron', cron };
    return { kind: 'every', everyMs: cron.everyMs, offsetMs: cron.offsetMs };
  }
  if (input.every !== undefined) return { kind: 'every', everyMs: wholeSeconds(input.every), offsetMs: 0 };
  if (input.at !== undefined) return { kind: 'once', at: parseMoment(input.at) };
  return { kind: 'after', delayMs: wholeSeconds(input.after ?? '') };
}

/** @throws TypeError */
export function wholeSeconds(text: string): number {
  const ms = parseDurationMs(text);
  if (ms < MIN_EVERY_MS || ms % 1000 !== 0)
    throw new TypeError(`${JSON.stringify(text)} is no number of whole seconds, at least "1s"`);
  return ms;
}

/** As people read it: `30 9 * * *`, `every 10m`, `at 2026-12-24T18:00:00Z`. */
export function describeWhen(input: WhenInput): string {
  if (input.cron !== undefined) return input.cron;
  if (input.every !== undefined) return `every ${durationText(parseDurationMs(input.every))}`;
  return input.at === undefined ? `after ${input.after}` : `at ${input.at}`;
}
