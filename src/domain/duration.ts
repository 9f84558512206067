const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PATTERN = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)$/;

/** Longer than anything meant, shorter than what timers and dates can bear. */
export const MAX_DURATION_MS = 3650 * UNITS_MS.d;

/**
 * `"500ms"` → 500, `"1.5h"` → 5400000, in whole milliseconds. `0` needs no unit.
 *
 * @throws TypeError with a message for people: what was seen, and the forms that are accepted
 */
export function parseDurationMs(value: unknown): number {
  if (value === 0 || value === '0') return 0;
  const match = typeof value === 'string' ? PATTERN.exec(value) : null;
  if (match === null) throw new TypeError(`${seen(value)} is no duration: ${ACCEPTED}`);
  const [, amount, unit] = match as unknown as [string, string, keyof typeof UNITS_MS];
  const ms = Number(amount) * UNITS_MS[unit];
  const whole = Math.round(ms);
  if (Math.abs(ms - whole) > 1e-3) throw new TypeError(`${seen(value)} is finer than a millisecond`);
  if (whole > MAX_DURATION_MS) throw new TypeError(`${seen(value)} is longer than the limit of 3650d`);
  return whole;
}

/** `604800000` → `"7d"`: the text that is parsed as the same again. */
export function durationText(ms: number): string {
  const units = Object.entries(UNITS_MS).toReversed();
  const [unit, size] = units.find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** `90000` → `1 min 30 s`, for sentences. */
export function describeMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 100) / 10;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(ms / 60_000);
  const rest = Math.round((ms % 60_000) / 1000);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

const ACCEPTED = 'write a number with ms, s, m, h or d in quotes, such as "500ms", "5s" or "1.5h"';

function seen(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return typeof value === 'number'
    ? `${value} (a number)`
    : `a value of type ${value === null ? 'null' : typeof value}`;
}
