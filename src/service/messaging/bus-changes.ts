import { setTimeout as delay } from 'node:timers/promises';
import type { BusChange, MessageBus } from '../../ports/message-bus.ts';

export type IsNews = (change: BusChange) => boolean;

/** Who looks on a busy bus looks this seldom: what is new comes together. */
const LOOK_EVERY_MS = 20;

/** For those who look at what is on the bus, again and again, and wait for more. */
export class BusChanges {
  readonly #listeners = new Set<(change: BusChange) => void>();
  readonly #unwatch: () => void;

  constructor(bus: Pick<MessageBus, 'watch'>) {
    this.#unwatch = bus.watch((change) => {
      for (const listener of this.#listeners) listener(change);
    });
  }

  /**
   * Looks until it sees something.
   * @param waitMs 0: looks once
   * @returns undefined once the time is up or `signal` aborts
   */
  async until<T>(
    look: () => Promise<T | undefined>,
    isNews: IsNews,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const end = performance.now() + waitMs;
    const change = this.#follow(isNews, signal);
    try {
      for (;;) {
        change.forget();
        const seen = await look();
        const leftMs = end - performance.now();
        if (seen !== undefined || leftMs <= 0 || signal?.aborted) return seen;
        await change.next(leftMs);
        await delay(Math.max(0, Math.min(LOOK_EVERY_MS, end - performance.now())));
      }
    } finally {
      change.close();
    }
  }

  close(): void {
    this.#unwatch();
    this.#listeners.clear();
  }

  #follow(isNews: IsNews, signal: AbortSignal | undefined) {
    let hasCome = false;
    let wake: () => void = () => undefined;
    const note = (): void => {
      hasCome = true;
      wake();
    };
    const listener = (change: BusChange): void => {
      if (isNews(change)) note();
    };
    this.#listeners.add(listener);
    signal?.addEventListener('abort', note);
    return {
      forget: (): void => void (hasCome = false),
      next: (ms: number): Promise<void> =>
        new Promise((resolve) => {
          if (hasCome) return resolve();
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        }),
      close: (): void => {
        this.#listeners.delete(listener);
        signal?.removeEventListener('abort', note);
      },
    };
  }
}
