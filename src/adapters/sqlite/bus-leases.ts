import { randomBytes } from 'node:crypto';
import type Database from 'libsql';
import { backoffDelayMs } from '../../domain/backoff.ts';
import { isIn } from '../../domain/messages/queue-name.ts';
import { leasePrefixOf } from '../../domain/messages/receive-id.ts';
import type {
  Delivery,
  HandedOutRequest,
  LeaseRef,
  NackOptions,
  NackResult,
  ReceiveRequest,
} from '../../ports/message-bus.ts';
import { leaseStale, messageNotFound } from '../bus-errors.ts';
import { type Deaths, deathOf } from './bus-deaths.ts';
import type { Ids } from './bus-ids.ts';
import {
  type AsText,
  asJson,
  COLUMNS,
  DEAD,
  DELAYED,
  LEASED,
  type MessageRow,
  type Messages,
  READY,
  WITH_BODY,
} from './bus-messages.ts';
import type { Queue, Queues } from './bus-queues.ts';
import { heldBy, type Tally } from './bus-tally.ts';

/** So many messages are looked after in one transaction. */
const STEP = 200;

interface Candidate {
  seq: number;
  rank: number;
}

export interface LeasesDeps {
  db: Database.Database;
  ids: Ids;
  tally: Tally;
  queues: Queues;
  messages: Messages;
  deaths: Deaths;
}

/** Handing out and taking back. */
export function createLeases({ db, ids, tally, queues, messages, deaths }: LeasesDeps) {
  // What has expired and was not looked after yet is left out.
  const next = 'AND state = 0 AND (expires_ms IS NULL OR expires_ms > ?) ORDER BY rank, seq LIMIT ?';
  const sql = {
    next: db.prepare(`SELECT seq, rank FROM message INDEXED BY message_ready WHERE queue = ? ${next}`),
    nextOf: db.prepare(
      `SELECT seq, rank FROM message INDEXED BY message_correlation WHERE correlation = ? AND queue = ? ${next}`,
    ),
    held: db.prepare(`SELECT ${COLUMNS} FROM message INDEXED BY message_held WHERE state = 1 AND consumer = ?`),
    handedOut: db.prepare(
      `SELECT ${WITH_BODY} FROM message INDEXED BY message_held WHERE state = 1 AND consumer = ? AND until_ms > ? ` +
        'AND substr(lease, 1, ?) = ? ORDER BY rank, seq',
    ),
    due: db.prepare(
      `SELECT ${COLUMNS} FROM message INDEXED BY message_due WHERE due_ms <= ? ORDER BY due_ms, seq LIMIT ${STEP}`,
    ),
    dueMs: db.prepare(
      'SELECT due_ms FROM message INDEXED BY message_due WHERE due_ms IS NOT NULL ORDER BY due_ms LIMIT 1',
    ),
    extend: db.prepare('UPDATE message SET until_ms = ?, due_ms = ? WHERE seq = ?'),
  };

  function roomFor(queue: Queue, consumer: string, max: number): number {
    const { concurrency, perConsumer } = queue.settings;
    const room = concurrency === null ? max : concurrency - tally.of(queue.id, 'leased');
    const own = perConsumer === null ? max : perConsumer - tally.of(queue.id, heldBy(consumer));
    return Math.min(max, room, own);
  }

  function candidates(name: string, { consumer, max, correlationId }: ReceiveRequest, nowMs: number): Candidate[] {
    const queue = queues.find(name);
    if (queue === undefined || tally.of(queue.id, 'ready') === 0) return [];
    const limit = roomFor(queue, consumer, max);
    if (limit <= 0) return [];
    return (
      correlationId === undefined
        ? sql.next.all(queue.id, nowMs, limit)
        : sql.nextOf.all(asJson(correlationId), queue.id, nowMs, limit)
    ) as Candidate[];
  }

  function handOut(
    { body, ...row }: MessageRow & { body: string },
    { consumer, leaseMs, receiveId }: ReceiveRequest,
    nowMs: number,
  ): AsText<Delivery> {
    const leaseUntilMs = nowMs + (leaseMs ?? queues.of(row.queue).settings.leaseMs);
    const lease = leasePrefixOf(receiveId) + randomBytes(12).toString('base64url');
    const attempt = row.attempt + 1;
    messages.move(row, { state: LEASED, untilMs: leaseUntilMs, dueMs: leaseUntilMs, attempt, consumer, lease });
    return { ...messages.asMessage({ ...row, attempt }), body, lease, leaseUntilMs };
  }

  /** The row under this lease. @throws CodedError LEASE_STALE, MESSAGE_NOT_FOUND */
  function held({ id, lease, place }: LeaseRef, nowMs: number): MessageRow {
    const seq = ids.seqOf(id);
    const row = seq === undefined ? undefined : messages.get(seq);
    if (row === undefined || (place !== undefined && !isIn(place, queues.of(row.queue).name)))
      throw messageNotFound(id);
    const isHeld = row.state === LEASED && row.lease === lease && (row.until_ms as number) > nowMs;
    if (!isHeld) throw leaseStale(id);
    return row;
  }

  /** A message that was handed out, or has waited, is due again, or dead. */
  function comeBack(row: MessageRow, nowMs: number): void {
    const cause = deathOf(row, queues.of(row.queue).settings.maxAttempts, nowMs);
    if (cause === undefined) messages.move(row, { state: READY, dueMs: row.expires_ms });
    else deaths.die(row, cause, null, nowMs);
  }

  return {
    receive(request: ReceiveRequest, nowMs: number): AsText<Delivery>[] {
      const best = [...new Set(request.queues)]
        .flatMap((name) => candidates(name, request, nowMs))
        .toSorted((a, b) => a.rank - b.rank || a.seq - b.seq)
        .slice(0, request.max);
      const handedOut: AsText<Delivery>[] = [];
      let bytes = 0;
      for (const { seq } of best) {
        const row = messages.read(seq);
        bytes += Buffer.byteLength(row.body);
        if (handedOut.length > 0 && bytes > (request.maxBytes ?? Infinity)) break;
        handedOut.push(handOut(row, request, nowMs));
      }
      return handedOut;
    },

    handedOut({ queues: names, consumer, receiveId }: HandedOutRequest, nowMs: number): AsText<Delivery>[] {
      const prefix = leasePrefixOf(receiveId);
      const rows = sql.handedOut.all(consumer, nowMs, prefix.length, prefix) as (MessageRow & { body: string })[];
      return rows
        .filter((row) => names.includes(queues.of(row.queue).name))
        .map(({ body, ...row }) => {
          const [lease, leaseUntilMs] = [row.lease as string, row.until_ms as number];
          return { ...messages.asMessage(row), body, lease, leaseUntilMs };
        });
    },

    ack: (ref: LeaseRef, nowMs: number): void => messages.remove(held(ref, nowMs)),

    nack(ref: LeaseRef, options: NackOptions, nowMs: number): NackResult {
      const row = held(ref, nowMs);
      const { maxAttempts, retry } = queues.of(row.queue).settings;
      const cause = options.dead === true ? 'rejected' : deathOf(row, maxAttempts, nowMs);
      if (cause !== undefined) {
        deaths.die(row, cause, options.reason ?? null, nowMs);
        return { dead: true };
      }
      const delayMs = options.delayMs ?? backoffDelayMs(retry, row.attempt, Math.random());
      const dueAtMs = nowMs + delayMs;
      if (delayMs <= 0) messages.move(row, { state: READY, dueMs: row.expires_ms });
      else
        messages.move(row, { state: DELAYED, untilMs: dueAtMs, dueMs: Math.min(dueAtMs, row.expires_ms ?? dueAtMs) });
      return { dead: false, dueAtMs };
    },

    extend(ref: LeaseRef, leaseMs: number, nowMs: number): { leaseUntilMs: number } {
      const leaseUntilMs = nowMs + leaseMs;
      sql.extend.run(leaseUntilMs, leaseUntilMs, held(ref, nowMs).seq);
      return { leaseUntilMs };
    },

    release(consumer: string, nowMs: number): number {
      const rows = sql.held.all(consumer) as MessageRow[];
      for (const row of rows) comeBack(row, nowMs);
      return rows.length;
    },

    /** Looks after some of what is due by itself. @returns whether there may be more */
    sweep(nowMs: number): boolean {
      const rows = sql.due.all(nowMs) as MessageRow[];
      for (const row of rows) {
        if (row.state === DEAD) messages.remove(row);
        else if (row.state === READY) deaths.die(row, 'expired', null, nowMs);
        else comeBack(row, nowMs);
      }
      return rows.length === STEP;
    },

    dueMs: (): number | null => (sql.dueMs.get() as { due_ms: number } | undefined)?.due_ms ?? null,
  };
}
