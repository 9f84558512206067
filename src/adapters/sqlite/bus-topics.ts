import type Database from 'libsql';
import { DAEMON_SENDER } from '../../domain/messages/message.ts';
import { topicMatches } from '../../domain/messages/topic.ts';
import type {
  BusEvent,
  BusOptions,
  EventsPage,
  EventsRequest,
  OutgoingEvent,
  PublishedEvent,
  TopicStats,
} from '../../ports/message-bus.ts';
import type { Changes } from './bus-changes.ts';
import type { Facts } from './bus-facts.ts';
import type { AsText } from './bus-messages.ts';

interface Topic {
  id: number;
  name: string;
  events: number;
  last_cursor: number;
  last_ms: number;
  dropped: number;
}

interface EventRow {
  cursor: number;
  topic: number;
  sender: string;
  key: string | null;
  at_ms: number;
  payload: string;
}

/** So many old events are dropped at a time. */
const STEP = 500;
/** With more topics than this that may have news, all events are read in order instead of each topic for itself. */
const MANY_TOPICS = 50;
/** How long the row of a topic without events remembers what was dropped. */
const EMPTY_KEPT_MS = 30 * 24 * 3600_000;
/** The newest event that was dropped of any topic without a row. */
const FLOOR = 'dropped';

export interface TopicsDeps {
  db: Database.Database;
  kept: BusOptions['topics'];
  facts: Facts;
  changes: Changes;
  /** @throws CodedError STORAGE_FULL */
  checkRoom: () => void;
}

export type Topics = ReturnType<typeof createTopics>;

/** Events, and what is kept of them. All topics are in memory too. */
export function createTopics({ db, kept, facts, changes, checkRoom }: TopicsDeps) {
  const { keepCount, keepMs } = kept;
  const columns = 'cursor, topic, sender, key, at_ms, payload';
  const sql = {
    // Counted, not believed: what a count says too much would be dropped of what is published next.
    all: db.prepare(
      'SELECT id, name, (SELECT COUNT(*) FROM event WHERE topic = topic.id) AS events, last_cursor, last_ms, dropped FROM topic',
    ),
    make: db.prepare('INSERT INTO topic (name, events, last_cursor, last_ms, dropped) VALUES (?, 0, 0, 0, 0)'),
    save: db.prepare('UPDATE topic SET events = ?, last_cursor = ?, last_ms = ?, dropped = ? WHERE id = ?'),
    drop: db.prepare('DELETE FROM topic WHERE id = ?'),
    add: db.prepare(`INSERT INTO event (${columns}) VALUES (?, ?, ?, ?, ?, ?)`),
    sameKey: db.prepare('SELECT cursor FROM event WHERE topic = ? AND key = ?'),
    first: db.prepare('SELECT cursor FROM event WHERE topic = ? ORDER BY cursor LIMIT 1'),
    ofTopic: db.prepare(`SELECT ${columns} FROM event WHERE topic = ? AND cursor > ? ORDER BY cursor LIMIT ?`),
    any: db.prepare(`SELECT ${columns} FROM event WHERE cursor > ? ORDER BY cursor LIMIT ?`),
    heads: db.prepare(`SELECT cursor, topic, at_ms FROM event ORDER BY cursor LIMIT ${STEP}`),
    head: db.prepare('SELECT at_ms FROM event ORDER BY cursor LIMIT 1'),
    excess: db.prepare('SELECT cursor FROM event WHERE topic = ? ORDER BY cursor LIMIT ?'),
    remove: db.prepare('DELETE FROM event WHERE cursor = ?'),
  };
  const byName = new Map<string, Topic>();
  const byId = new Map<number, Topic>();
  const unsaved = new Set<Topic>();

  function load(): void {
    unsaved.clear();
    byName.clear();
    byId.clear();
    for (const topic of sql.all.all() as Topic[]) keep(topic);
  }
  function keep(topic: Topic): Topic {
    byName.set(topic.name, topic);
    byId.set(topic.id, topic);
    return topic;
  }
  load();

  function need(name: string): Topic {
    const known = byName.get(name);
    if (known !== undefined) return known;
    const id = Number(sql.make.run(name).lastInsertRowid);
    return keep({ id, name, events: 0, last_cursor: 0, last_ms: 0, dropped: 0 });
  }

  function remove(topic: Topic, cursor: number): void {
    sql.remove.run(cursor);
    topic.events -= 1;
    topic.dropped = cursor;
    unsaved.add(topic);
  }

  /** To what is kept, at most so many. @returns how many are dropped */
  function trim(topic: Topic, most = Infinity): number {
    const excess = Math.min(most, topic.events - keepCount);
    if (excess <= 0) return 0;
    for (const { cursor } of sql.excess.all(topic.id, excess) as EventRow[]) remove(topic, cursor);
    return excess;
  }

  function asEvent(row: EventRow): AsText<BusEvent> {
    return {
      cursor: row.cursor,
      topic: (byId.get(row.topic) as Topic).name,
      from: row.sender,
      body: row.payload,
      key: row.key === null ? null : (JSON.parse(row.key) as string),
      atMs: row.at_ms,
    };
  }

  /** Of these topics, oldest first. */
  function read(wanted: readonly Topic[], after: number, limit: number): EventRow[] {
    if (wanted.length > MANY_TOPICS) return scan(new Set(wanted.map(({ id }) => id)), after, limit);
    return wanted
      .flatMap(({ id }) => sql.ofTopic.all(id, after, limit) as EventRow[])
      .toSorted((a, b) => a.cursor - b.cursor)
      .slice(0, limit);
  }

  function scan(wanted: ReadonlySet<number>, after: number, limit: number): EventRow[] {
    const found: EventRow[] = [];
    for (let from = after; ;) {
      const rows = sql.any.all(from, STEP) as EventRow[];
      for (const row of rows) {
        if (wanted.has(row.topic)) found.push(row);
        if (found.length === limit) return found;
      }
      if (rows.length < STEP) return found;
      from = (rows.at(-1) as EventRow).cursor;
    }
  }

  return {
    publish({ topic: name, from, body, key }: AsText<OutgoingEvent>, nowMs: number): PublishedEvent {
      const text = key === undefined ? null : JSON.stringify(key);
      const known = byName.get(name);
      if (text !== null && known !== undefined) {
        const same = sql.sameKey.get(known.id, text) as { cursor: number } | undefined;
        if (same !== undefined) return { cursor: same.cursor, duplicate: true };
      }
      if (from !== DAEMON_SENDER) checkRoom();
      const topic = need(name);
      const cursor = facts.nextCursor();
      const atMs = facts.publishingMs(nowMs);
      sql.add.run(cursor, topic.id, from, text, atMs, body);
      topic.events += 1;
      topic.last_cursor = cursor;
      topic.last_ms = atMs;
      unsaved.add(topic);
      trim(topic);
      changes.event(name);
      return { cursor, duplicate: false };
    },

    events({ patterns, after, limit }: EventsRequest): Omit<EventsPage, 'events'> & { events: AsText<BusEvent>[] } {
      const latest = facts.latestCursor();
      if (after > latest) return { events: [], next: latest, missed: true };
      const wanted = [...byName.values()].filter(
        ({ name, last_cursor }) => last_cursor > after && patterns.some((pattern) => topicMatches(pattern, name)),
      );
      const rows = read(wanted, after, limit);
      const missed = after < (facts.get(FLOOR) ?? 0) || wanted.some(({ dropped }) => dropped > after);
      const next = rows.length < limit ? latest : (rows.at(-1)?.cursor ?? after);
      return { events: rows.map(asEvent), next, missed };
    },

    list(): TopicStats[] {
      return [...byName.values()]
        .filter(({ events }) => events > 0)
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ id, name, events, last_cursor, last_ms }) => {
          const { cursor } = sql.first.get(id) as { cursor: number };
          return { topic: name, events, firstCursor: cursor, lastCursor: last_cursor, lastAtMs: last_ms };
        });
    },

    /** When the oldest event is old enough to go. */
    dueMs(): number | null {
      const head = sql.head.get() as { at_ms: number } | undefined;
      return head === undefined ? null : head.at_ms + keepMs;
    },

    /** Drops some of what is older than it is kept. @returns whether there may be more */
    expire(nowMs: number): boolean {
      const heads = sql.heads.all() as EventRow[];
      const old = heads.filter(({ at_ms }) => at_ms <= nowMs - keepMs);
      for (const { topic, cursor } of old) remove(byId.get(topic) as Topic, cursor);
      return old.length === STEP;
    },

    /** Rows of topics without events, after a long time. */
    prune(nowMs: number): void {
      for (const topic of byName.values()) {
        if (topic.events > 0 || topic.last_ms > nowMs - EMPTY_KEPT_MS) continue;
        facts.set(FLOOR, Math.max(facts.get(FLOOR) ?? 0, topic.dropped));
        sql.drop.run(topic.id);
        byName.delete(topic.name);
        byId.delete(topic.id);
        unsaved.delete(topic);
      }
    },

    /** Towards the limits of this opening, which may be lower than those before. @returns whether there is more to drop */
    trimSome(): boolean {
      let left = STEP;
      for (const topic of byName.values()) left -= trim(topic, left);
      return left === 0;
    },

    flush(): void {
      for (const { id, events, last_cursor, last_ms, dropped } of unsaved) {
        sql.save.run(events, last_cursor, last_ms, dropped, id);
      }
      unsaved.clear();
    },
    reset: load,
  };
}
