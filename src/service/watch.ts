export interface Watched<T> {
  /** Tells of changes. @returns what ends it */
  subscribe: (tell: (now: T) => void) => () => void;
  /** How it stands. */
  read: () => Promise<T>;
}

/** Follows one thing. Open it before asking for something, so that no answer is missed; close it always. */
export class Watch<T> {
  #seen: T | undefined;
  readonly #listeners = new Set<() => void>();
  #unsubscribe = (): void => undefined;

  private constructor() {}

  static async open<T>({ subscribe, read }: Watched<T>): Promise<Watch<T>> {
    const watch = new Watch<T>();
    let told = false;
    watch.#unsubscribe = subscribe((now) => {
      told = true;
      watch.#seen = now;
      for (const listener of watch.#listeners) listener();
    });
    try {
      const first = await read();
      // A change that came meanwhile is younger than what was read.
      if (!told) watch.#seen = first;
      return watch;
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  get seen(): T {
    return this.#seen as T; // set before `open` gives it away
  }

  /** The first answer that `judge` gives to what is seen; undefined once the time is up or `signal` aborts. */
  until<A>(judge: (seen: T) => A | undefined, timeoutMs: number, signal?: AbortSignal): Promise<A | undefined> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.#listeners.delete(look);
        settle();
      };
      const giveUp = (): void => finish(() => resolve(undefined));
      const look = (): void => {
        try {
          const answer = judge(this.seen);
          if (answer !== undefined) finish(() => resolve(answer));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      this.#listeners.add(look);
      look();
      if (signal?.aborted) giveUp();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }
}
