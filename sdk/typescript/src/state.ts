import { DaemonError } from './daemon-error.ts';
import type { Daemon } from './daemon.ts';
import type { Json } from './message.ts';

export interface StateEntry<Value = Json> {
  key: string;
  value: Value;
  /** Grows with each write of the key, also across a deletion. */
  version: number;
  updated_at: string;
  expires_at: string | null;
}

export interface PutOptions {
  /** Gone after so long, such as `"1h"`. */
  ttl?: string;
}

const PAGE = 100;

interface Page<Value> {
  entries: StateEntry<Value>[];
  /** Where to go on; null: that was all. */
  next: string | null;
}

/** Values by key, each with a version: those of one agent, or those that all share. */
export class StateScope {
  private readonly daemon: Daemon;
  private readonly path: string;

  /** @param path such as `/state/shared` */
  constructor(daemon: Daemon, path: string) {
    this.daemon = daemon;
    this.path = path;
  }

  /** Undefined if there is none. */
  async get<Value = Json>(key: string): Promise<StateEntry<Value> | undefined> {
    try {
      return await this.daemon.json<StateEntry<Value>>('GET', this.pathOf(key));
    } catch (error) {
      if (error instanceof DaemonError && error.code === 'STATE_NOT_FOUND') return undefined;
      throw error;
    }
  }

  put<Value = Json>(key: string, value: Value, options: PutOptions = {}): Promise<StateEntry<Value>> {
    return this.daemon.json('PUT', this.pathOf(key), { body: { ...options, value } });
  }

  /**
   * Writes only if the entry still has that version; 0: only if there is none. Where the daemon does not answer, whether it
   * was written is not known: then this fails instead of trying again.
   * @throws DaemonError VERSION_CONFLICT with `details.version`
   */
  compareAndSet<Value = Json>(
    key: string,
    expectedVersion: number,
    value: Value,
    options: PutOptions = {},
  ): Promise<StateEntry<Value>> {
    const body = { ...options, value, expected_version: expectedVersion };
    return this.daemon.json('PUT', this.pathOf(key), { body, isRepeatable: false });
  }

  /** @returns whether there was one @throws DaemonError VERSION_CONFLICT if it has another version */
  async delete(key: string, expectedVersion?: number): Promise<boolean> {
    const query = { expected_version: expectedVersion };
    return (await this.daemon.json<{ deleted: boolean }>('DELETE', this.pathOf(key), { query })).deleted;
  }

  /** All entries whose key begins so, by key. */
  async list<Value = Json>(prefix = ''): Promise<StateEntry<Value>[]> {
    const all: StateEntry<Value>[] = [];
    for (let after: string | null = null; ;) {
      const query = { prefix: prefix || undefined, after: after ?? undefined, limit: PAGE };
      const page: Page<Value> = await this.daemon.json('GET', this.path, { query });
      all.push(...page.entries);
      if (page.next === null) return all;
      after = page.next;
    }
  }

  private pathOf(key: string): string {
    return `${this.path}/${encodeURIComponent(key)}`;
  }
}
