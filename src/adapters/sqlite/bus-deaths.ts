import type Database from 'libsql';
import { type DeathCause, describeDeath, noticeOf } from '../../domain/messages/dead-letters.ts';
import { DAEMON_SENDER, type Json, type Message } from '../../domain/messages/message.ts';
import { DEAD_LETTER_TOPIC } from '../../domain/messages/topic.ts';
import { queueFull } from '../bus-errors.ts';
import type { Ids } from './bus-ids.ts';
import { COLUMNS, DEAD, DELAYED, LEASED, type MessageRow, type Messages } from './bus-messages.ts';
import type { Queue, Queues } from './bus-queues.ts';
import type { Tally } from './bus-tally.ts';
import type { Topics } from './bus-topics.ts';

/** So many messages are moved in one transaction; each takes a notice and an event with it. */
const STEP = 200;

export type Deaths = ReturnType<typeof createDeaths>;

export interface DeathsDeps {
  db: Database.Database;
  ids: Ids;
  tally: Tally;
  queues: Queues;
  messages: Messages;
  topics: Topics;
  keptMs: number;
}

/** Messages that were given up: their notices and events, and what an operator does with them. */
export function createDeaths({ db, ids, tally, queues, messages, topics, keptMs }: DeathsDeps) {
  const apart = `SELECT ${COLUMNS} FROM message INDEXED BY message_apart WHERE state = ? AND queue = ?`;
  const sql = {
    oldest: db.prepare(`${apart} AND state <> 0 ORDER BY seq LIMIT ?`),
    before: db.prepare(`${apart} AND state <> 0 AND until_ms <= ? ORDER BY seq LIMIT ?`),
    until: db.prepare(`${apart} AND state <> 0 AND seq <= ? ORDER BY seq LIMIT ?`),
    ready: db.prepare(
      `SELECT ${COLUMNS} FROM message INDEXED BY message_ready WHERE queue = ? AND state = 0 AND seq <= ? LIMIT ?`,
    ),
  };

  /** Room in the mailbox of the one who is notified: a notice that finds none is left out, the death is not. */
  function tellSender(message: Message, cause: DeathCause, detail: string | null, nowMs: number): void {
    const notice = noticeOf(message, cause, detail);
    if (notice === undefined) return;
    const mailbox = queues.need(notice.queue);
    if (queues.waiting(mailbox) >= mailbox.settings.maxMessages) return;
    const { payload, ...rest } = notice;
    messages.add(mailbox, { ...rest, body: JSON.stringify(payload) }, nowMs);
  }

  function die(row: MessageRow, cause: DeathCause, detail: string | null, nowMs: number): void {
    const queue = queues.of(row.queue);
    const message: Message = { ...messages.asMessage(row), payload: null };
    const reason = describeDeath(message, cause, detail);
    const death = JSON.stringify({ cause, reason });
    messages.move(row, { state: DEAD, untilMs: nowMs, dueMs: nowMs + keptMs, death });
    // As many as may wait: what is sent only to die must not fill the disk.
    const excess = Math.min(STEP, tally.of(queue.id, 'dead') - queue.settings.maxMessages);
    if (excess > 0)
      for (const oldest of sql.oldest.all(DEAD, queue.id, excess) as MessageRow[]) messages.remove(oldest);
    tellSender(message, cause, detail, nowMs);
    const { id, from, type } = message;
    const payload: Json = { message_id: id, queue: queue.name, from, type, cause, reason };
    topics.publish({ topic: DEAD_LETTER_TOPIC, from: DAEMON_SENDER, body: JSON.stringify(payload) }, nowMs);
  }

  /** Those with these ids, or of all of them some that died before; without the others, however often it is asked. */
  function someDead(queue: Queue, wanted: readonly string[] | undefined, sinceMs: number): MessageRow[] {
    if (wanted === undefined) return sql.before.all(DEAD, queue.id, sinceMs, STEP) as MessageRow[];
    const rows = [...new Set(wanted)].map((id) => messages.get(ids.seqOf(id) ?? -1));
    return rows.filter((row) => row !== undefined).filter(({ state, queue: of }) => state === DEAD && of === queue.id);
  }

  return {
    die,

    /** Checks whether a requeue has room, before it begins. @throws CodedError QUEUE_FULL */
    checkRequeue(name: string, wanted?: readonly string[]): void {
      const queue = queues.find(name);
      if (queue === undefined) return;
      const { maxMessages } = queues.settingsOf(name);
      const count = wanted === undefined ? tally.of(queue.id, 'dead') : someDead(queue, wanted, 0).length;
      if (count > 0 && queues.waiting(queue) + count > maxMessages) throw queueFull(name, maxMessages);
    },

    /** @returns how many, and whether there may be more */
    requeue(name: string, wanted: readonly string[] | undefined, startedMs: number, nowMs: number) {
      if (queues.find(name) === undefined) return { moved: 0, more: false };
      const rows = someDead(queues.need(name), wanted, startedMs);
      for (const row of rows) messages.renew(row, nowMs);
      return { moved: rows.length, more: wanted === undefined && rows.length === STEP };
    },

    discard(name: string, wanted: readonly string[] | undefined, startedMs: number) {
      const queue = queues.find(name);
      if (queue === undefined) return { moved: 0, more: false };
      const rows = someDead(queue, wanted, startedMs);
      for (const row of rows) messages.remove(row);
      return { moved: rows.length, more: wanted === undefined && rows.length === STEP };
    },

    /** Of what the queue held up to this number, some become dead letters; after the last ones it is forgotten. */
    deleteQueue(name: string, upTo: number, nowMs: number): { more: boolean } {
      const queue = queues.find(name);
      if (queue === undefined) return { more: false };
      const rows = sql.ready.all(queue.id, upTo, STEP) as MessageRow[];
      for (const state of [LEASED, DELAYED]) {
        if (rows.length < STEP)
          rows.push(...(sql.until.all(state, queue.id, upTo, STEP - rows.length) as MessageRow[]));
      }
      for (const row of rows) die(row, 'deleted', null, nowMs);
      if (rows.length === STEP) return { more: true };
      queues.forget(queue);
      // What was sent to it meanwhile has recreated it.
      if (queues.waiting(queue) > 0) queues.need(name);
      return { more: false };
    },
  };
}

/** Why a message that is not acknowledged does not come back; undefined if it does. */
export function deathOf(row: MessageRow, maxAttempts: number, nowMs: number): DeathCause | undefined {
  if (row.attempt >= maxAttempts) return 'attempts';
  return row.expires_ms !== null && row.expires_ms <= nowMs ? 'expired' : undefined;
}
