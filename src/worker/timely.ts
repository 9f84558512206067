import { setTimeout as delay } from 'node:timers/promises';

/** A workflow task waits for its sinks: a slow disk may hold it up this long, not longer. */
const LIMIT_MS = 2_000;

export type OnTrouble = (message: string, error: unknown) => void;

/**
 * What a sink does: awaited before the workflow task completes, but not for long, and never failing it.
 * @param what as in `a decision of w1`
 */
export async function timely(what: string, work: Promise<void>, onTrouble: OnTrouble): Promise<void> {
  const abort = new AbortController();
  const late = delay(LIMIT_MS, 'late', { signal: abort.signal, ref: false }).catch(() => 'in time');
  try {
    if ((await Promise.race([work, late])) === 'late') {
      onTrouble(`The roster takes longer than ${LIMIT_MS} ms for ${what}`, undefined);
    }
  } catch (error) {
    onTrouble(`Cannot record ${what}`, error);
  } finally {
    abort.abort();
  }
}
