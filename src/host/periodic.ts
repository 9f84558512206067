import { setTimeout as delay } from 'node:timers/promises';

/** Something that is repeated until it is stopped; the period runs from the end of one round to the start of the next. */
export class Periodic {
  readonly #work: () => Promise<void>;
  readonly #periodMs: number;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();

  /** @param work tells of its own trouble, and does not reject */
  constructor(periodMs: number, work: () => Promise<void>) {
    this.#periodMs = periodMs;
    this.#work = work;
  }

  /** Aborted by `stop`. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** @param first at once, or only after the first period */
  start(first: 'now' | 'later'): void {
    this.#running = this.#loop(first);
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #loop(first: 'now' | 'later'): Promise<void> {
    const { signal } = this;
    const pause = () => delay(this.#periodMs, undefined, { signal, ref: false }).catch(() => undefined);
    if (first === 'later') await pause();
    while (!signal.aborted) {
      await this.#work();
      await pause();
    }
  }
}
