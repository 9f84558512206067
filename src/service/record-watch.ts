import type { RecordKind, RecordRow, Records } from '../ports/records.ts';

/** Follows one record. Open it before asking for something, so that no answer is missed; close it always. */
export class RecordWatch {
  #row: RecordRow | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;

  private constructor(records: Records, kind: RecordKind, id: string, onFirst: () => void) {
    this.#unsubscribe = records.subscribeRecords((row) => {
      if (row.kind !== kind || row.id !== id) return;
      onFirst();
      this.#row = row;
      for (const listener of this.#listeners) listener();
    });
  }

  static async open(records: Records, kind: RecordKind, id: string): Promise<RecordWatch> {
    let told = false;
    const watch = new RecordWatch(records, kind, id, () => (told = true));
    try {
      const row = await records.getRecord(kind, id);
      // A change that came meanwhile is younger than what was read.
      if (!told) watch.#row = row;
      return watch;
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  get row(): RecordRow | undefined {
    return this.#row;
  }

  /** The first answer that `judge` gives to what is seen; undefined once the time is up or `signal` aborts. */
  until<T>(
    judge: (row: RecordRow | undefined) => T | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
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
          const answer = judge(this.#row);
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
