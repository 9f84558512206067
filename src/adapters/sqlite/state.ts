import type { Json } from '../../domain/messages/message.ts';
import type { StateEntry, StateOptions, StateStore } from '../../ports/state-store.ts';
import { STATE } from './state-schema.ts';
import type { EntryAsText, StateOperation } from './state-table.ts';
import { openThread, workerUrl } from './thread.ts';

export interface SqliteStateOptions extends StateOptions {
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
}

/** What has expired is not shown any more; so often it is deleted. */
const EXPIRE_EVERY_MS = 60_000;

/**
 * The state store in an SQLite file that a thread of its own looks after. What has been answered is on the disk.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE; PLUGIN_FAILED for a file that is corrupt or of a newer version: it is
 * left as it is, because nobody else knows what it holds
 */
export async function openSqliteState(file: string, options: SqliteStateOptions): Promise<StateStore> {
  const { now = Date.now, warn, limitBytes, maxBytes } = options;
  const thread = await openThread<StateOperation, never>({
    kind: STATE,
    file,
    workerUrl: workerUrl('state-worker'),
    options: limitBytes === undefined ? {} : { limitBytes },
    warn,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  const expire = (): void => void thread.call({ op: 'expire', nowMs: now() }).catch(() => undefined);
  const timer = setInterval(expire, EXPIRE_EVERY_MS).unref();
  expire();

  return {
    durability: {
      survivesPowerLoss: true,
      says: 'Every entry is on the disk before it is answered (SQLite, synchronous=FULL)',
    },
    async get(scope, key) {
      const entry = (await thread.call({ op: 'get', scope, key, nowMs: now() })) as EntryAsText | undefined;
      return entry === undefined ? undefined : fromText(entry);
    },
    async put(scope, key, value, options = {}) {
      const body = JSON.stringify(value);
      return fromText((await thread.call({ op: 'put', scope, key, body, options, nowMs: now() })) as EntryAsText);
    },
    delete: (scope, key, { expectedVersion } = {}) =>
      thread.call({ op: 'delete', scope, key, expectedVersion, nowMs: now() }) as Promise<boolean>,
    async list(scope, request) {
      return ((await thread.call({ op: 'list', scope, request, nowMs: now() })) as EntryAsText[]).map(fromText);
    },
    clear: (scope) => thread.call({ op: 'clear', scope, cleared: 0, nowMs: now() }) as Promise<number>,
    close(deadlineMs) {
      clearInterval(timer);
      return thread.close(deadlineMs);
    },
  };
}

const fromText = ({ body, ...rest }: EntryAsText): StateEntry => ({ ...rest, value: JSON.parse(body) as Json });
