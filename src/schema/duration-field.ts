import { z } from 'zod';
import { parseDurationMs } from '../domain/duration.ts';

/** A text such as `"5s"`; the number 0 is taken for `"0ms"`. */
export const duration = z.preprocess(
  (value) => (value === 0 ? '0ms' : value),
  z.string(DURATION()).refine(isDuration, DURATION()),
);

function DURATION(): string {
  return 'a duration: a number with ms, s, m, h or d in quotes, such as "500ms", "5s" or "1.5h", at most "3650d"';
}

function isDuration(text: string): boolean {
  return isDurationWithin(text, 0, Number.POSITIVE_INFINITY);
}

/** For what is checked further: a check follows another also where that has failed. */
export function isDurationWithin(text: string, minMs: number, maxMs: number): boolean {
  try {
    const ms = parseDurationMs(text);
    return ms >= minMs && ms <= maxMs;
  } catch {
    return false;
  }
}

/** Longer than nothing. */
export const durationAbove0 = duration.refine(
  (text) => isDurationWithin(text, 1, Number.POSITIVE_INFINITY),
  'a duration above 0',
);
