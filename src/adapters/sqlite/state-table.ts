import type Database from 'libsql';
import {
  agentScopeOf,
  type ListRequest,
  type PutOptions,
  SHARED_SCOPE,
  type StateEntry,
  type StateOptions,
} from '../../ports/state-store.ts';
import { versionConflict } from '../bus-errors.ts';
import { createQuota } from './quota.ts';
import { type Store, Unfinished } from './thread-worker.ts';

/** A value goes between threads, and into the database, as its JSON. */
export type EntryAsText = Omit<StateEntry, 'value'> & { body: string };

/** `nowMs`: when it was called, by the clock of the store. */
export type StateOperation = { nowMs: number } & (
  | { op: 'get'; scope: string; key: string }
  | { op: 'put'; scope: string; key: string; body: string; options: PutOptions }
  | { op: 'delete'; scope: string; key: string; expectedVersion: number | undefined }
  | { op: 'list'; scope: string; request: ListRequest }
  | { op: 'clear'; scope: string; cleared: number }
  | { op: 'expire' }
);

/** What can be copied to a thread. */
export type PlainStateOptions = Pick<StateOptions, 'limitBytes'>;

interface EntryRow {
  id: number;
  key: Buffer;
  version: number;
  updated_ms: number;
  expires_ms: number | null;
  value: string;
}

/** So many entries are deleted in one transaction. */
const STEP = 1000;

/** The operations of the state store on an open database. */
export function createStateStore(
  db: Database.Database,
  { limitBytes }: PlainStateOptions,
): Store<StateOperation, never> {
  const checkRoom = createQuota(db, {
    what: 'state store',
    limitBytes,
    setting: 'state.max_bytes',
    wayOut: 'delete entries',
  });
  const columns = 'id, key, version, updated_ms, expires_ms, value';
  const alive = '(expires_ms IS NULL OR expires_ms > ?)';
  const sql = {
    get: db.prepare(`SELECT ${columns} FROM entry WHERE scope = ? AND key = ?`),
    latest: db.prepare('SELECT version FROM latest'),
    raise: db.prepare('UPDATE latest SET version = max(version, ?)'),
    put: db.prepare(
      'INSERT INTO entry (scope, key, version, updated_ms, expires_ms, value) VALUES (?, ?, ?, ?, ?, ?) ' +
        'ON CONFLICT (scope, key) DO UPDATE SET version = excluded.version, updated_ms = excluded.updated_ms, ' +
        'expires_ms = excluded.expires_ms, value = excluded.value',
    ),
    remove: db.prepare('DELETE FROM entry WHERE id = ?'),
    list: db.prepare(
      `SELECT ${columns} FROM entry WHERE scope = ? AND key >= ? AND key < ? AND ${alive} ORDER BY key LIMIT ?`,
    ),
    some: db.prepare(`SELECT id, version, expires_ms FROM entry WHERE scope = ? LIMIT ${STEP}`),
    old: db.prepare(
      `DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ${STEP}) RETURNING version`,
    ),
  };

  const isAlive = ({ expires_ms }: Pick<EntryRow, 'expires_ms'>, nowMs: number): boolean =>
    expires_ms === null || expires_ms > nowMs;

  const stored = (scope: string, key: string): EntryRow | undefined =>
    sql.get.get(scope, Buffer.from(key)) as EntryRow | undefined;

  function find(scope: string, key: string, nowMs: number): EntryRow | undefined {
    const row = stored(scope, key);
    return row !== undefined && isAlive(row, nowMs) ? row : undefined;
  }

  /** @throws CodedError VERSION_CONFLICT */
  function expect(scope: string, key: string, expected: number | undefined, row: EntryRow | undefined): void {
    const version = row?.version ?? 0;
    if (expected !== undefined && expected !== version) throw versionConflict(scope, key, expected, version);
  }

  function raise(deleted: readonly Pick<EntryRow, 'version'>[]): void {
    if (deleted.length > 0) sql.raise.run(Math.max(...deleted.map(({ version }) => version)));
  }

  function put({ scope, key, body, options, nowMs }: StateOperation & { op: 'put' }): EntryAsText {
    const { expectedVersion, ttlMs } = options;
    const row = stored(scope, key);
    expect(scope, key, expectedVersion, row !== undefined && isAlive(row, nowMs) ? row : undefined);
    if (isOfAgents(scope) && body.length > (row?.value.length ?? 0)) checkRoom();
    const before = row ?? (sql.latest.get() as { version: number });
    const version = before.version + 1;
    const expiresAtMs = ttlMs === undefined ? null : nowMs + ttlMs;
    sql.put.run(scope, Buffer.from(key), version, nowMs, expiresAtMs, body);
    return { key, body, version, updatedAtMs: nowMs, expiresAtMs };
  }

  function remove({ scope, key, expectedVersion, nowMs }: StateOperation & { op: 'delete' }): boolean {
    const row = find(scope, key, nowMs);
    expect(scope, key, expectedVersion, row);
    if (row === undefined) return false;
    sql.remove.run(row.id);
    sql.raise.run(row.version);
    return true;
  }

  function list({ scope, request, nowMs }: StateOperation & { op: 'list' }): EntryAsText[] {
    const prefix = Buffer.from(request.prefix ?? '');
    const rows = sql.list.all(scope, start(prefix, request.after), end(prefix), nowMs, request.limit);
    return (rows as EntryRow[]).map(asEntry);
  }

  function clear(operation: StateOperation & { op: 'clear' }): unknown {
    const rows = sql.some.all(operation.scope) as Pick<EntryRow, 'id' | 'version' | 'expires_ms'>[];
    for (const { id } of rows) sql.remove.run(id);
    raise(rows);
    const cleared = operation.cleared + rows.filter((row) => isAlive(row, operation.nowMs)).length;
    return rows.length < STEP ? cleared : new Unfinished<StateOperation>({ ...operation, cleared });
  }

  return {
    perform(operation) {
      switch (operation.op) {
        case 'get': {
          const row = find(operation.scope, operation.key, operation.nowMs);
          return row === undefined ? undefined : asEntry(row);
        }
        case 'put':
          return put(operation);
        case 'delete':
          return remove(operation);
        case 'list':
          return list(operation);
        case 'clear':
          return clear(operation);
        case 'expire': {
          const gone = sql.old.all(operation.nowMs) as Pick<EntryRow, 'version'>[];
          raise(gone);
          return gone.length < STEP ? undefined : new Unfinished<StateOperation>(operation);
        }
      }
    },
    isRead: ({ op }) => op === 'get' || op === 'list',
    takeChanges: () => [],
  };
}

/** The others are the daemon's own. */
const isOfAgents = (scope: string): boolean => scope === SHARED_SCOPE || scope.startsWith(agentScopeOf(''));

function asEntry({ key, value, version, updated_ms, expires_ms }: EntryRow): EntryAsText {
  const text = Buffer.from(key).toString();
  return { key: text, body: value, version, updatedAtMs: updated_ms, expiresAtMs: expires_ms };
}

/** The least bytes that a key may have. */
function start(prefix: Buffer, after: string | undefined): Buffer {
  if (after === undefined) return prefix;
  const next = Buffer.from(`${after}\0`); // nothing is between a text and it with a NUL
  return Buffer.compare(prefix, next) > 0 ? prefix : next;
}

/** The first bytes after all that begin with these. */
function end(prefix: Buffer): Buffer {
  const bytes = Buffer.from(prefix);
  const last = bytes.length - 1;
  if (last < 0) return Buffer.from([0xff]); // no UTF-8 begins so
  bytes[last] = (bytes[last] as number) + 1; // which is never 0xff
  return bytes;
}
