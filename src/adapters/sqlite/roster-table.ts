import type Database from 'libsql';
import type {
  AgentTransition,
  Decision,
  HistoryEntry,
  LastExit,
  ProcessFacts,
  RosterChange,
  RosterRow,
  Transition,
} from '../../ports/roster.ts';
import { isNewer, type News } from './newer.ts';

/** How long transitions and tombstones are kept, in milliseconds. */
const KEPT_MS = 30 * 24 * 3600_000;
/** Beyond this many transitions the oldest go early: a fleet that crashes for weeks must not fill the disk. */
const MAX_TRANSITIONS = 2_000_000;
/** So many transitions of a task that died are looked for beyond those of the one that did them again. */
const MAX_UNDONE = 50;

export type RosterTable = ReturnType<typeof createTable>;

/** The operations of the roster on an open database; synchronous, each within whatever transaction is open. */
export function createTable(db: Database.Database, changed: (change: RosterChange) => void) {
  const sql = {
    known: db.prepare('SELECT run_id, sequence, at_ms, generation, gone, purged FROM agent WHERE agent_id = ?'),
    put: db.prepare(
      'INSERT INTO agent (agent_id, run_id, sequence, at_ms, generation, gone, purged, decision) VALUES (?, ?, ?, ?, ?, ?, 0, ?) ' +
        'ON CONFLICT (agent_id) DO UPDATE SET run_id = excluded.run_id, sequence = excluded.sequence, at_ms = excluded.at_ms, ' +
        'generation = excluded.generation, gone = excluded.gone, purged = 0, decision = excluded.decision',
    ),
    bury: db.prepare('UPDATE agent SET gone = 1 WHERE agent_id = ?'),
    markPurged: db.prepare('UPDATE agent SET purged = 1 WHERE agent_id = ?'),
    get: db.prepare(
      'SELECT decision, facts FROM agent LEFT JOIN process USING (agent_id) WHERE agent_id = ? AND gone = 0',
    ),
    list: db.prepare(
      'SELECT decision, facts FROM agent LEFT JOIN process USING (agent_id) WHERE gone = 0 ORDER BY agent_id',
    ),
    gone: db.prepare('SELECT decision FROM agent WHERE agent_id = ? AND gone = 1'),
    process: db.prepare('SELECT facts FROM process WHERE agent_id = ?'),
    putProcess: db.prepare('INSERT OR REPLACE INTO process (agent_id, generation, facts) VALUES (?, ?, ?)'),
    dropProcess: db.prepare('DELETE FROM process WHERE agent_id = ? AND generation <= ?'),
    recorded: db.prepare(
      'SELECT id, run_id, sequence, at_ms FROM transition WHERE agent_id = ? AND sequence BETWEEN ? AND ?',
    ),
    dropTransition: db.prepare('DELETE FROM transition WHERE id = ?'),
    append: db.prepare(
      'INSERT OR IGNORE INTO transition (agent_id, run_id, sequence, at_ms, state, generation, reason) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    history: db.prepare(
      'SELECT id, run_id, sequence, at_ms, state, generation, reason FROM transition WHERE agent_id = ? AND id < ? ORDER BY id DESC LIMIT ?',
    ),
    transitions: db.prepare(
      'SELECT id, run_id, sequence, at_ms, state, generation, reason, agent_id FROM transition WHERE id > ? ORDER BY id LIMIT ?',
    ),
    transitionsOf: db.prepare(
      'SELECT id, run_id, sequence, at_ms, state, generation, reason, agent_id FROM transition WHERE agent_id = ? AND id > ? ORDER BY id LIMIT ?',
    ),
    latest: db.prepare('SELECT max(id) FROM transition'),
    dropHistory: db.prepare('DELETE FROM transition WHERE agent_id = ?'),
    setFact: db.prepare('INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)'),
    getFact: db.prepare('SELECT value FROM fact WHERE name = ?'),
    pruneOld: db.prepare('DELETE FROM transition WHERE at_ms < ?'),
    pruneMany: db.prepare(`DELETE FROM transition WHERE id <= (SELECT max(id) FROM transition) - ${MAX_TRANSITIONS}`),
    pruneGone: db.prepare('DELETE FROM agent WHERE gone = 1 AND at_ms < ?'),
  };

  interface Known {
    run_id: string;
    sequence: number;
    at_ms: number;
    generation: number;
    gone: 0 | 1;
    purged: 0 | 1;
  }
  const known = (agentId: string) => sql.known.get(agentId) as Known | undefined;

  function recordTransitions({ agent_id, run_id, transitions }: Decision, isNews: boolean): void {
    if (transitions.length === 0) return;
    const sequences = transitions.map((t) => t.sequence);
    const [first, last] = [Math.min(...sequences), Math.max(...sequences)];
    const rows = sql.recorded.raw().all(agent_id, first, last + MAX_UNDONE) as [number, string, number, number][];
    // Sequence and time, not the run: the tail of transitions goes from one run to the next with the life.
    const keyOf = (sequence: number, atMs: number): string => `${sequence}/${atMs}`;
    const recorded = new Set(rows.map(([, , sequence, atMs]) => keyOf(sequence, atMs)));
    const told = new Set(transitions.map((t) => keyOf(t.sequence, t.at_ms)));
    // What this run knows nothing of was reported by a task of it that died: it has not happened.
    for (const [id, run, sequence, atMs] of rows)
      if (isNews && run === run_id && !told.has(keyOf(sequence, atMs))) sql.dropTransition.run(id);
    for (const t of transitions) {
      if (recorded.has(keyOf(t.sequence, t.at_ms))) continue;
      sql.append.run(agent_id, run_id, t.sequence, t.at_ms, t.state, t.generation, text(t.reason));
    }
  }

  function notifyRow(agentId: string): void {
    const row = get(agentId);
    if (row !== undefined) changed({ kind: 'row', row });
  }

  function get(agentId: string): RosterRow | undefined {
    const found = sql.get.raw().get(agentId) as [string, string | null] | undefined;
    return found === undefined ? undefined : rowOf(found);
  }

  function list(): RosterRow[] {
    return (sql.list.raw().all() as [string, string | null][]).map(rowOf);
  }

  return {
    publish(decision: Decision): void {
      const before = known(decision.agent_id);
      const news = before === undefined || supersedes(decision, before);
      if (news || before.purged === 0) recordTransitions(decision, news);
      if (!news) return;
      const { agent_id, run_id, sequence, at_ms, generation } = decision;
      const closing = decision.phase.kind === 'closed';
      sql.put.run(agent_id, run_id, sequence, at_ms, generation, closing ? 1 : 0, JSON.stringify(decision));
      if (!closing) return notifyRow(agent_id);
      sql.dropProcess.run(agent_id, generation); // a next life may have begun already
      changed({ kind: 'removed', agent_id, closing: decision });
    },

    recordProcess(agentId: string, news: ProcessFacts): void {
      const row = known(agentId);
      if (row?.gone === 1 && news.generation <= row.generation) return; // late news of a life that is over
      const before = (sql.process.raw().get(agentId) as [string] | undefined)?.[0];
      const facts = before === undefined ? news : mergeFacts(JSON.parse(before) as ProcessFacts, news);
      const json = JSON.stringify(facts);
      if (json === before) return;
      sql.putProcess.run(agentId, facts.generation, json);
      if (row?.gone === 0) notifyRow(agentId);
    },

    get,

    closing(agentId: string): Decision | undefined {
      const found = sql.gone.raw().get(agentId) as [string] | undefined;
      const last = found === undefined ? undefined : (JSON.parse(found[0]) as Decision);
      // A row that was taken out by hand has none.
      return last?.phase.kind === 'closed' ? last : undefined;
    },

    list,

    /** As if each had just changed; and of these agents, who is there no more. */
    tellAll(agentIds: readonly string[]): void {
      const rows = list();
      const present = new Set(rows.map(({ agent_id }) => agent_id));
      for (const agent_id of agentIds) if (!present.has(agent_id)) changed({ kind: 'removed', agent_id });
      for (const row of rows) changed({ kind: 'row', row });
    },

    history(agentId: string, page: { limit: number; before?: number }): HistoryEntry[] {
      const rows = sql.history.raw().all(agentId, page.before ?? Number.MAX_SAFE_INTEGER, page.limit);
      return (rows as EntryRow[]).map(entryOf);
    },

    transitions({ after, limit, agent_id }: { after: number; limit: number; agent_id?: string }): AgentTransition[] {
      const rows =
        agent_id === undefined
          ? sql.transitions.raw().all(after, limit)
          : sql.transitionsOf.raw().all(agent_id, after, limit);
      return (rows as [...EntryRow, string][]).map((row) => ({ agent_id: row[7], ...entryOf(row) }));
    },

    latestTransition(): number {
      return (sql.latest.raw().get() as [number | null] | undefined)?.[0] ?? 0;
    },

    remove(agentId: string, purge: boolean): void {
      const row = known(agentId);
      sql.dropProcess.run(agentId, row?.generation ?? Number.MAX_SAFE_INTEGER);
      if (row?.gone === 0) {
        sql.bury.run(agentId);
        changed({ kind: 'removed', agent_id: agentId });
      }
      if (!purge) return;
      sql.markPurged.run(agentId);
      sql.dropHistory.run(agentId);
    },

    setFact(name: string, value: string): void {
      sql.setFact.run(name, value);
    },

    getFact(name: string): string | undefined {
      return (sql.getFact.raw().get(name) as [string] | undefined)?.[0];
    },

    prune(nowMs: number): void {
      sql.pruneOld.run(nowMs - KEPT_MS);
      sql.pruneMany.run();
      sql.pruneGone.run(nowMs - KEPT_MS);
    },
  };
}

type EntryRow = [number, string, number, number, Transition['state'], number, string];

const entryOf = ([id, run_id, sequence, at_ms, state, generation, reason]: EntryRow | [...EntryRow, string]) => ({
  id,
  run_id,
  sequence,
  at_ms,
  state,
  generation,
  reason,
});

/** Generations only grow, also when the clock was set back between two runs. */
function supersedes(decision: News & { generation: number }, known: News & { generation: number }): boolean {
  const isSetBack = decision.run_id !== known.run_id && decision.at_ms < known.at_ms;
  return isSetBack ? decision.generation > known.generation : isNewer(decision, known);
}

/** The latest of what was seen, in whatever order the news comes; the last exit may be of an earlier generation. */
function mergeFacts(before: ProcessFacts, news: ProcessFacts): ProcessFacts {
  const exits = [before.last_exit, news.last_exit].filter((exit) => exit !== null);
  const last_exit = exits.reduce<LastExit | null>(
    (last, exit) => (exit.generation >= (last?.generation ?? 0) ? exit : last),
    null,
  );
  return { ...(isOldNews(before, news) ? before : news), last_exit };
}

const rowOf = ([decision, facts]: [string, string | null]): RosterRow => {
  const parsed = JSON.parse(decision) as Decision;
  return {
    agent_id: parsed.agent_id,
    decision: parsed,
    process: facts === null ? null : (JSON.parse(facts) as ProcessFacts),
  };
};

/** SQLite ends a text at its first NUL. */
const text = (value: string): string => value.replaceAll('\0', '\u{fffd}');

/** Of an earlier generation, or the start of one whose end has been recorded. */
function isOldNews(recorded: ProcessFacts, facts: ProcessFacts): boolean {
  if (facts.generation !== recorded.generation) return facts.generation < recorded.generation;
  return facts.pid !== null && recorded.pid === null && recorded.last_exit?.generation === facts.generation;
}
