/** The time and the chance that a pure function is given. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs: number;
  /** In [0, 1). */
  random01: number;
}
