import type Database from 'libsql';

/** Beyond this many counters in memory those that are written are let go. */
const MAX_CACHED = 20_000;

interface Count {
  queue: number;
  what: string;
  n: number;
  stored: number;
}

/** All queues together. */
export const EVERY_QUEUE = 0;
/** What waits or is handed out, of one sender. */
export const sentBy = (sender: string): string => `from:${sender}`;
export const heldBy = (consumer: string): string => `held:${consumer}`;

export type Tally = ReturnType<typeof createTally>;

/** Counters by queue, kept in the database with what they count; within a transaction they change in memory. */
export function createTally(db: Database.Database) {
  const sql = {
    get: db.prepare('SELECT n FROM tally WHERE queue = ? AND what = ?'),
    put: db.prepare('INSERT OR REPLACE INTO tally (queue, what, n) VALUES (?, ?, ?)'),
    drop: db.prepare('DELETE FROM tally WHERE queue = ? AND what = ?'),
  };
  const counts = new Map<string, Count>();

  function countOf(queue: number, what: string): Count {
    const name = `${queue} ${what}`;
    let count = counts.get(name);
    if (count === undefined) {
      const n = (sql.get.get(queue, what) as { n: number } | undefined)?.n ?? 0;
      count = { queue, what, n, stored: n };
      counts.set(name, count);
    }
    return count;
  }

  return {
    of: (queue: number, what: string): number => countOf(queue, what).n,
    add(queue: number, what: string, by: number): void {
      countOf(queue, what).n += by;
    },
    flush(): void {
      for (const count of counts.values()) {
        const { queue, what, n, stored } = count;
        if (n === stored) continue;
        if (n === 0) sql.drop.run(queue, what);
        else sql.put.run(queue, what, n);
        count.stored = n;
      }
      if (counts.size > MAX_CACHED) counts.clear();
    },
    reset: (): void => counts.clear(),
  };
}
