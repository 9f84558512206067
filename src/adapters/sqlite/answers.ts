import type Database from 'libsql';
import type { AnswerNote, KeptAnswer } from '../../ports/answer-store.ts';

/** As long as anybody sensible sends a request again. */
const KEPT_MS = 24 * 3600_000;

export type AnswerTable = ReturnType<typeof createAnswerTable>;

/** The operations of the answer store on an open database; synchronous, each within whatever transaction is open. */
export function createAnswerTable(db: Database.Database) {
  const sql = {
    get: db.prepare('SELECT request, request_id, at_ms, answer FROM answer WHERE scope = ? AND key = ?'),
    put: db.prepare(
      'INSERT OR REPLACE INTO answer (scope, key, request, request_id, at_ms, answer) VALUES (?, ?, ?, ?, ?, NULL)',
    ),
    keep: db.prepare('UPDATE answer SET answer = ? WHERE scope = ? AND key = ?'),
    drop: db.prepare('DELETE FROM answer WHERE scope = ? AND key = ?'),
    prune: db.prepare('DELETE FROM answer WHERE at_ms < ?'),
  };
  return {
    begin(note: AnswerNote): (AnswerNote & { answer: KeptAnswer | null }) | undefined {
      const { scope, key, request, request_id, at_ms } = note;
      const row = sql.get.raw().get(scope, key) as [string, string, number, string | null] | undefined;
      if (row !== undefined && row[2] >= at_ms - KEPT_MS) {
        const answer = row[3] === null ? null : (JSON.parse(row[3]) as KeptAnswer);
        return { scope, key, request: row[0], request_id: row[1], at_ms: row[2], answer };
      }
      sql.put.run(scope, key, request, request_id, at_ms);
      return undefined;
    },
    keep(scope: string, key: string, answer: KeptAnswer): void {
      sql.keep.run(JSON.stringify(answer), scope, key);
    },
    drop(scope: string, key: string): void {
      sql.drop.run(scope, key);
    },
    prune(nowMs: number): void {
      sql.prune.run(nowMs - KEPT_MS);
    },
  };
}
