import type Database from 'libsql';

/** Facts that only grow, so that nothing is ever numbered twice and the order outlives a clock that is set back. */
const COUNTED = ['seq', 'sentMs', 'cursor', 'eventMs'] as const;
type Counted = (typeof COUNTED)[number];

export type Facts = ReturnType<typeof createFacts>;

export function createFacts(db: Database.Database) {
  const sql = {
    get: db.prepare('SELECT value FROM fact WHERE name = ?'),
    set: db.prepare('INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)'),
  };
  const stored = (name: string): number | undefined => (sql.get.get(name) as { value: number } | undefined)?.value;
  const load = (): Record<Counted, number> =>
    Object.fromEntries(COUNTED.map((name) => [name, stored(name) ?? 0])) as Record<Counted, number>;
  let kept = load();
  let now = { ...kept };

  return {
    get: stored,
    set: (name: string, value: number): void => void sql.set.run(name, value),
    /** The number of the newest message. */
    latestSeq: (): number => now.seq,
    latestCursor: (): number => now.cursor,
    nextSeq: (): number => (now.seq += 1),
    nextCursor: (): number => (now.cursor += 1),
    /** The time of something that is sent: never before the last one's. */
    sendingMs: (nowMs: number): number => (now.sentMs = Math.max(now.sentMs, nowMs)),
    publishingMs: (nowMs: number): number => (now.eventMs = Math.max(now.eventMs, nowMs)),

    flush(): void {
      for (const name of COUNTED) if (now[name] !== kept[name]) sql.set.run(name, now[name]);
      kept = { ...now };
    },
    reset(): void {
      kept = load();
      now = { ...kept };
    },
  };
}
