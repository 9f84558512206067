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
  try {
    parseDurationMs(text);
    return true;
  } catch {
    return false;
  }
}
