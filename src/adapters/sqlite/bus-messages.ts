import type Database from 'libsql';
import { DEFAULT_PRIORITY, type Message, type OutgoingMessage } from '../../domain/messages/message.ts';
import { rankOf } from '../../domain/messages/queue-order.ts';
import type { MessageState } from '../../ports/message-bus.ts';
import type { Changes } from './bus-changes.ts';
import type { Facts } from './bus-facts.ts';
import type { Ids } from './bus-ids.ts';
import type { Queue, Queues } from './bus-queues.ts';
import { EVERY_QUEUE, heldBy, sentBy, type Tally } from './bus-tally.ts';

/** A payload goes between threads, and into the database, as its JSON. */
export type AsText<T> = Omit<T, 'payload'> & { body: string };

export const READY = 0;
export const LEASED = 1;
export const DELAYED = 2;
export const DEAD = 3;
export const STATES: readonly MessageState[] = ['ready', 'leased', 'delayed', 'dead'];

export interface MessageRow {
  seq: number;
  queue: number;
  state: number;
  until_ms: number | null;
  attempt: number;
  consumer: string | null;
  lease: string | null;
  sender: string;
  type: string;
  priority: number;
  sent_ms: number;
  expires_ms: number | null;
  ttl_ms: number | null;
  correlation: string | null;
  reply_to: string | null;
  death: string | null;
  /** Its payload has a row of its own. */
  long: 0 | 1;
}

/** What becomes of a message; all that is left out is cleared. */
export interface Move {
  state: number;
  untilMs?: number | null;
  dueMs: number | null;
  attempt?: number;
  consumer?: string;
  lease?: string;
  death?: string;
}

export const COLUMNS =
  'seq, queue, state, until_ms, attempt, consumer, lease, sender, type, priority, sent_ms, expires_ms, ttl_ms, ' +
  'correlation, reply_to, death, payload IS NULL AS long';
export const WITH_BODY = `${COLUMNS}, coalesce(payload, (SELECT payload FROM body WHERE body.seq = message.seq)) AS body`;

/** A longer payload gets a row of its own. */
const LONG = 1000;

export type Messages = ReturnType<typeof createMessages>;

export interface MessagesDeps {
  db: Database.Database;
  ids: Ids;
  facts: Facts;
  tally: Tally;
  queues: Queues;
  changes: Changes;
  ageingMs: number;
}

/** The rows of messages, and the counters that go with each change of one. */
export function createMessages({ db, ids, facts, tally, queues, changes, ageingMs }: MessagesDeps) {
  const sql = {
    get: db.prepare(`SELECT ${COLUMNS} FROM message WHERE seq = ?`),
    read: db.prepare(`SELECT ${WITH_BODY} FROM message WHERE seq = ?`),
    add: db.prepare(
      'INSERT INTO message (seq, queue, state, rank, due_ms, attempt, sender, type, priority, sent_ms, expires_ms, ttl_ms, ' +
        `correlation, reply_to, payload) VALUES (?, ?, ${READY}, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addBody: db.prepare('INSERT INTO body (seq, payload) VALUES (?, ?)'),
    move: db.prepare(
      'UPDATE message SET state = ?, until_ms = ?, due_ms = ?, attempt = ?, consumer = ?, lease = ?, death = ? WHERE seq = ?',
    ),
    renew: db.prepare('UPDATE message SET sent_ms = ?, rank = ?, expires_ms = ? WHERE seq = ?'),
    remove: db.prepare('DELETE FROM message WHERE seq = ?'),
    removeBody: db.prepare('DELETE FROM body WHERE seq = ?'),
  };

  function count(queue: Queue, row: Pick<MessageRow, 'state' | 'consumer' | 'sender'>, by: 1 | -1): void {
    tally.add(queue.id, STATES[row.state] as MessageState, by);
    if (row.state !== DEAD) tally.add(queue.id, sentBy(row.sender), by);
    if (row.state !== LEASED) return;
    tally.add(queue.id, heldBy(row.consumer as string), by);
    tally.add(EVERY_QUEUE, heldBy(row.consumer as string), by);
  }

  /** Tells of what has become possible. */
  function tell(queue: Queue, before: number | null, after: number | null): void {
    if (after === READY) return changes.ready(queue);
    const { concurrency, perConsumer } = queue.settings;
    const makesRoom = before === LEASED && (concurrency !== null || perConsumer !== null);
    if (makesRoom && tally.of(queue.id, 'ready') > 0) changes.ready(queue);
  }

  function move(
    row: MessageRow,
    { state, untilMs = null, dueMs, attempt = row.attempt, consumer, lease, death }: Move,
  ): void {
    const queue = queues.of(row.queue);
    sql.move.run(state, untilMs, dueMs, attempt, consumer ?? null, lease ?? null, death ?? null, row.seq);
    count(queue, row, -1);
    count(queue, { state, consumer: consumer ?? null, sender: row.sender }, 1);
    tell(queue, row.state, state);
  }

  return {
    get: (seq: number): MessageRow | undefined => sql.get.get(seq) as MessageRow | undefined,
    read: (seq: number): MessageRow & { body: string } => sql.read.get(seq) as MessageRow & { body: string },

    /** @returns its number */
    add(queue: Queue, message: AsText<OutgoingMessage>, nowMs: number): number {
      const seq = facts.nextSeq();
      const sentMs = facts.sendingMs(nowMs);
      const { priority = DEFAULT_PRIORITY, from, body, ttlMs = queue.settings.ttlMs } = message;
      const expiresMs = ttlMs === null ? null : nowMs + ttlMs;
      const isLong = body.length > LONG;
      sql.add.run(
        seq,
        queue.id,
        rankOf(sentMs, priority, ageingMs),
        expiresMs,
        from,
        message.type,
        priority,
        sentMs,
        expiresMs,
        message.ttlMs ?? null,
        asJson(message.correlationId),
        asJson(message.replyTo),
        isLong ? null : body,
      );
      if (isLong) sql.addBody.run(seq, body);
      count(queue, { state: READY, consumer: null, sender: from }, 1);
      tell(queue, null, READY);
      return seq;
    },

    move,

    /** As if it were sent now. */
    renew(row: MessageRow, nowMs: number): void {
      const ttlMs = row.ttl_ms ?? queues.of(row.queue).settings.ttlMs;
      const sentMs = facts.sendingMs(nowMs);
      const expiresMs = ttlMs === null ? null : nowMs + ttlMs;
      sql.renew.run(sentMs, rankOf(sentMs, row.priority, ageingMs), expiresMs, row.seq);
      move(row, { state: READY, dueMs: expiresMs, attempt: 0 });
    },

    remove(row: MessageRow): void {
      const queue = queues.of(row.queue);
      if (sql.remove.run(row.seq).changes === 0) return; // dropped meanwhile
      if (row.long === 1) sql.removeBody.run(row.seq);
      count(queue, row, -1);
      tell(queue, row.state, null);
    },

    /** Without its payload. */
    asMessage(row: MessageRow): Omit<Message, 'payload'> {
      return {
        id: ids.idOf(row.seq),
        queue: queues.of(row.queue).name,
        from: row.sender,
        type: row.type,
        priority: row.priority,
        correlationId: fromJson(row.correlation),
        replyTo: fromJson(row.reply_to),
        sentAtMs: row.sent_ms,
        expiresAtMs: row.expires_ms,
        attempt: row.attempt,
      };
    },
  };
}

/** Any text as one that SQLite keeps as it is. */
export const asJson = (text: string | undefined): string | null => (text === undefined ? null : JSON.stringify(text));
const fromJson = (text: string | null): string | null => (text === null ? null : (JSON.parse(text) as string));
