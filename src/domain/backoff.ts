/** Exponential back-off with jitter. All durations in milliseconds. */
export interface Backoff {
  /** Delay before the first restart. 0 means at once, always. */
  initialMs: number;
  /** Growth from one consecutive failure to the next. */
  factor: number;
  /** No delay is longer than this, jitter included. */
  maxMs: number;
  /** Share of the delay by which it may differ either way, 0 to 1. */
  jitter: number;
}

export const DEFAULT_BACKOFF: Backoff = { initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0.1 };

/**
 * How long to wait before the restart that follows the `failures`-th consecutive failure.
 *
 *   min(max, initial × factor^(failures − 1)) × (1 ± jitter), never above max
 *
 * @param failures consecutive failures so far, this one included; 0 counts as 1
 * @param random01 a number in [0, 1)
 */
export function backoffDelayMs(backoff: Backoff, failures: number, random01: number): number {
  const exponent = Math.max(0, failures - 1);
  // The factor is capped before it multiplies: 2 ** 2000 is Infinity, and 0 × Infinity is NaN.
  const growth = Math.min(backoff.factor ** exponent, Number.MAX_SAFE_INTEGER);
  const plain = Math.min(backoff.maxMs, backoff.initialMs * growth);
  const spread = plain * backoff.jitter * (2 * random01 - 1);
  return Math.round(Math.min(backoff.maxMs, Math.max(0, plain + spread)));
}
