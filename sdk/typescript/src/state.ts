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
    try {
      await this.daemon.text('DELETE', this.pathOf(key), { query: { expected_version: expectedVersion } });
      return true;
    } catch (error) {
      if (error instanceof DaemonError && error.code === 'STATE_NOT_FOUND') return false;
      throw error;
    }
  }

  /** All entries whose key begins so, by key. */
  async list<Value = Json>(prefix = ''): Promise<StateEntry<Value>[]> {
    const all: StateEntry<Value>[] = [];
    for (;;) {
      const query = { prefix: prefix || undefined, after: all.at(-1)?.key, limit: PAGE };
      const { entries } = await this.daemon.json<{ entries: StateEntry<Value>[] }>('GET', this.path, { query });
      all.push(...entries);
      if (entries.length < PAGE) return all;
    }
  }

  private pathOf(key: string): string {
    return `${this.path}/${encodeURIComponent(key)}`;
  }
}
