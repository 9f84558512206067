import type Database from 'libsql';
import type { RecordKind, RecordRow, RecordsRequest, RecordUpdate } from '../../ports/records.ts';
import { isNewer, type News } from './newer.ts';

/** How long what is done, and the notes of deliveries, are kept, in milliseconds. */
const KEPT_MS = 30 * 24 * 3600_000;
/** Changes within this time may not have been notified. */
const TOLD_AGAIN_MS = 60_000;

const COLUMNS = 'position, kind, id, agent_id, state, done, run_id, sequence, at_ms, data';

/** The operations of the records on an open database; synchronous, each within whatever transaction is open. */
export function createRecordTable(db: Database.Database, changed: (row: RecordRow) => void) {
  const sql = {
    known: db.prepare('SELECT run_id, sequence, at_ms FROM record WHERE kind = ? AND id = ?'),
    insert: db.prepare(
      'INSERT INTO record (kind, id, agent_id, state, done, run_id, sequence, at_ms, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    update: db.prepare(
      'UPDATE record SET agent_id = ?, state = ?, done = ?, run_id = ?, sequence = ?, at_ms = ?, data = ? WHERE kind = ? AND id = ?',
    ),
    get: db.prepare(`SELECT ${COLUMNS} FROM record WHERE kind = ? AND id = ?`),
    latest: db.prepare(`SELECT ${COLUMNS} FROM record WHERE done = 0 OR (done = 1 AND at_ms >= ?) ORDER BY position`),
    prune: db.prepare('DELETE FROM record WHERE done = 1 AND at_ms < ?'),
    noteDelivered: db.prepare('INSERT OR IGNORE INTO delivery (id, at_ms) VALUES (?, ?)'),
    isDelivered: db.prepare('SELECT 1 FROM delivery WHERE id = ?'),
    pruneDeliveries: db.prepare('DELETE FROM delivery WHERE at_ms < ?'),
  };

  function get(kind: RecordKind, id: string): RecordRow | undefined {
    const row = sql.get.raw().get(kind, id) as Row | undefined;
    return row === undefined ? undefined : rowOf(row);
  }

  return {
    publish(update: RecordUpdate): void {
      const { kind, id, agent_id, state, done, run_id, sequence, at_ms, data } = update;
      const known = sql.known.get(kind, id) as News | undefined;
      if (known !== undefined && !isNewer(update, known)) return;
      const values = [agent_id, state, done ? 1 : 0, run_id, sequence, at_ms, JSON.stringify(data)];
      if (known === undefined) sql.insert.run(kind, id, ...values);
      else sql.update.run(...values, kind, id);
      const row = get(kind, id);
      if (row !== undefined) changed(row);
    },

    get,

    list({ kind, state, done, agent_id, before, limit }: RecordsRequest): RecordRow[] {
      const wanted: [condition: string, value: unknown][] = [['kind = ?', kind]];
      if (state !== undefined) wanted.push(['state = ?', state]);
      if (done !== undefined) wanted.push(['done = ?', done ? 1 : 0]);
      if (agent_id !== undefined) wanted.push(['agent_id = ?', agent_id]);
      if (before !== undefined) wanted.push(['position < ?', before]);
      const where = wanted.map(([condition]) => condition).join(' AND ');
      const rows = db
        .prepare(`SELECT ${COLUMNS} FROM record WHERE ${where} ORDER BY position DESC LIMIT ?`)
        .raw()
        .all(...wanted.map(([, value]) => value), limit);
      return (rows as Row[]).map(rowOf);
    },

    /** As if they had just changed: those that are not done, and what was done a moment ago. */
    tellLatest(nowMs: number): void {
      for (const row of sql.latest.raw().all(nowMs - TOLD_AGAIN_MS) as Row[]) changed(rowOf(row));
    },

    noteDelivered(deliveryId: string, atMs: number): void {
      sql.noteDelivered.run(deliveryId, atMs);
    },

    isDelivered(deliveryId: string): boolean {
      return sql.isDelivered.get(deliveryId) !== undefined;
    },

    prune(nowMs: number): void {
      sql.prune.run(nowMs - KEPT_MS);
      sql.pruneDeliveries.run(nowMs - KEPT_MS);
    },
  };
}

type Row = [number, RecordKind, string, string | null, string, 0 | 1, string, number, number, string];

const rowOf = ([position, kind, id, agent_id, state, done, run_id, sequence, at_ms, data]: Row): RecordRow => ({
  position,
  kind,
  id,
  agent_id,
  state,
  done: done === 1,
  run_id,
  sequence,
  at_ms,
  data: JSON.parse(data) as unknown,
});
