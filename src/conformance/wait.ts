import { setTimeout as pause } from 'node:timers/promises';

export interface UntilOptions {
  /** Default 10,000. */
  deadlineMs?: number;
  /** What is waited for, as the error names it: `the answer`. */
  what: string;
}

type Falsy = false | 0 | '' | null | undefined;

/** Polls until the condition gives something truthy and returns that; rejects after the deadline. Never a bare sleep. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = 10_000, what }: UntilOptions,
): Promise<Exclude<T, Falsy>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, Falsy>;
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain for ${what}`);
    await pause(5);
  }
}
