import type Database from 'libsql';
import { DAEMON_SENDER, type OutgoingMessage } from '../../domain/messages/message.ts';
import type { Sent } from '../../ports/message-bus.ts';
import { queueFull } from '../bus-errors.ts';
import type { Ids } from './bus-ids.ts';
import { type AsText, asJson, type Messages } from './bus-messages.ts';
import type { Queues } from './bus-queues.ts';
import { sentBy, type Tally } from './bus-tally.ts';

const KEYS_KEPT_MS = 24 * 3600_000;
const STEP = 1000;

type Outgoing = AsText<OutgoingMessage>;

export interface SendingDeps {
  db: Database.Database;
  ids: Ids;
  tally: Tally;
  queues: Queues;
  messages: Messages;
  /** @throws CodedError STORAGE_FULL */
  checkRoom: () => void;
}

/** Sending within the limits, once for each key. */
export function createSending({ db, ids, tally, queues, messages, checkRoom }: SendingDeps) {
  const sql = {
    key: db.prepare('SELECT seq FROM idempotency WHERE queue = ? AND sender = ? AND key = ? AND at_ms > ?'),
    keep: db.prepare('INSERT OR REPLACE INTO idempotency (queue, sender, key, seq, at_ms) VALUES (?, ?, ?, ?, ?)'),
    ofQueue: db.prepare(
      'DELETE FROM idempotency WHERE (queue, sender, key) IN ' +
        `(SELECT queue, sender, key FROM idempotency WHERE queue = ? AND seq <= ? LIMIT ${STEP})`,
    ),
    old: db.prepare(
      `DELETE FROM idempotency WHERE at_ms IN (SELECT at_ms FROM idempotency WHERE at_ms <= ? ORDER BY at_ms LIMIT ${STEP})`,
    ),
  };

  function sentBefore({ queue, from, idempotencyKey }: Outgoing, nowMs: number): number | undefined {
    const known = idempotencyKey === undefined ? undefined : queues.find(queue);
    if (known === undefined) return undefined;
    const key = asJson(idempotencyKey);
    return (sql.key.get(known.id, from, key, nowMs - KEYS_KEPT_MS) as { seq: number } | undefined)?.seq;
  }

  const keyOf = ({ queue, from, idempotencyKey }: Outgoing): string | undefined =>
    idempotencyKey === undefined ? undefined : JSON.stringify([queue, from, idempotencyKey]);

  /** How many of them are new, by queue and by sender. @throws CodedError QUEUE_FULL before anything is written */
  function checkLimits(fresh: readonly Outgoing[]): void {
    const byQueue = new Map<string, Map<string, number>>();
    for (const { queue, from } of fresh) {
      const bySender = byQueue.get(queue) ?? new Map<string, number>();
      byQueue.set(queue, bySender.set(from, (bySender.get(from) ?? 0) + 1));
    }
    for (const [name, bySender] of byQueue) {
      const queue = queues.find(name);
      const { maxMessages, maxPerSender } = queues.settingsOf(name);
      const count = [...bySender.values()].reduce((sum, n) => sum + n, 0);
      if ((queue === undefined ? 0 : queues.waiting(queue)) + count > maxMessages) throw queueFull(name, maxMessages);
      for (const [from, n] of bySender) {
        const before = queue === undefined ? 0 : tally.of(queue.id, sentBy(from));
        if (before + n > maxPerSender) throw queueFull(name, maxPerSender, from);
      }
    }
  }

  return {
    send(outgoing: readonly Outgoing[], nowMs: number): Sent[] {
      const seen = new Set<string>();
      const isFirst = (message: Outgoing): boolean => {
        const key = keyOf(message);
        if (key === undefined) return true;
        return !seen.has(key) && (seen.add(key), true);
      };
      const before = outgoing.map((message) => sentBefore(message, nowMs));
      const fresh = outgoing.filter((message, n) => before[n] === undefined && isFirst(message));
      checkLimits(fresh);
      if (fresh.some(({ from }) => from !== DAEMON_SENDER)) checkRoom();
      return outgoing.map((message, n) => {
        // A key that came earlier in this very call is found now.
        const known = before[n] ?? (seen.size === 0 ? undefined : sentBefore(message, nowMs));
        if (known !== undefined) return { id: ids.idOf(known), duplicate: true };
        const queue = queues.need(message.queue);
        const seq = messages.add(queue, message, nowMs);
        if (message.idempotencyKey !== undefined) {
          sql.keep.run(queue.id, message.from, asJson(message.idempotencyKey), seq, nowMs);
        }
        return { id: ids.idOf(seq), duplicate: false };
      });
    },

    /** Forgets some keys of a deleted queue: a later one of its name is another. @returns whether there may be more */
    forget(name: string, upTo: number): boolean {
      const queue = queues.find(name);
      return queue !== undefined && sql.ofQueue.run(queue.id, upTo).changes >= STEP;
    },

    /** Forgets some keys that are too old. @returns whether there may be more */
    expire: (nowMs: number): boolean => sql.old.run(nowMs - KEYS_KEPT_MS).changes >= STEP,
  };
}
