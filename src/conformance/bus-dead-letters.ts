import assert from 'node:assert/strict';
import { DAEMON_SENDER, type Json } from '../domain/messages/message.ts';
import { DEAD_LETTER_TOPIC } from '../domain/messages/topic.ts';
import type { BusEvent, MessageBus, StoredMessage } from '../ports/message-bus.ts';
import type { BusCase } from './fixture.ts';
import {
  busOptions,
  countOf,
  DAY,
  drain,
  HOUR,
  messageOf,
  MINUTE,
  numbers,
  openBus,
  rejectsWith,
  SECOND,
  sendOne,
  take,
  takeOne,
  watching,
} from './fixture.ts';
import { until } from './wait.ts';

/** What becomes of messages that could not be delivered. */
export const deadLetterCases: BusCase[] = [
  {
    name: 'after the last attempt a message that is refused becomes a dead letter; its sender and the topic are told',
    async run(make) {
      const { bus, clock } = await openBus(make, { defaults: { maxAttempts: 2 } });
      const id = await sendOne(bus, { type: 'TASK_DELEGATE', correlationId: 'c-1', payload: { n: 1 } });
      assert.deepEqual(await bus.nack(await takeOne(bus), { delayMs: 0 }), { dead: false, dueAtMs: clock.now() });
      assert.deepEqual(await bus.nack(await takeOne(bus), { delayMs: 0, reason: 'no \0 disk' }), { dead: true });
      const reason = 'it was handed out 2 times and never acknowledged: no \0 disk';
      const [dead] = await deadOf(bus);
      const { id: deadId, payload, attempt, state, consumer, death } = dead as StoredMessage;
      assert.deepEqual([deadId, payload, attempt, state, consumer], [id, { n: 1 }, 2, 'dead', null]);
      assert.deepEqual(death, { cause: 'attempts', reason, atMs: clock.now() });
      const notice = await takeOne(bus, '@alice');
      assert.equal(notice.from, DAEMON_SENDER);
      assert.equal(notice.type, 'CONTROL');
      assert.equal(notice.priority, 7);
      assert.equal(notice.correlationId, 'c-1');
      assert.deepEqual(notice.payload, {
        event: 'dead_letter',
        message_id: id,
        queue: 'work',
        type: 'TASK_DELEGATE',
        cause: 'attempts',
        reason,
        attempts: 2,
      });
      const [event] = await deathEvents(bus);
      assert.equal(event?.from, DAEMON_SENDER);
      assert.deepEqual(event?.payload, {
        message_id: id,
        queue: 'work',
        from: 'alice',
        type: 'TASK_DELEGATE',
        cause: 'attempts',
        reason,
      });
    },
  },
  {
    name: 'the end of the last lease, and a release after it, count as the last attempt',
    async run(make) {
      const { bus, clock } = await openBus(make, { defaults: { maxAttempts: 1 } });
      await sendOne(bus, { payload: 'lease' });
      await takeOne(bus);
      clock.advance(MINUTE);
      assert.deepEqual(await take(bus), []);
      await sendOne(bus, { payload: 'release' });
      await takeOne(bus);
      assert.equal(await bus.release('bob/1'), 1);
      assert.deepEqual(await take(bus), []);
      assert.deepEqual(await deaths(bus), [
        ['lease', 'attempts'],
        ['release', 'attempts'],
      ]);
      assert.equal((await take(bus, 5, '@alice')).length, 2);
    },
  },
  {
    name: 'nack with `dead` gives up at once',
    async run(make) {
      const { bus } = await openBus(make);
      await sendOne(bus);
      const delivery = await takeOne(bus);
      assert.deepEqual(await bus.nack(delivery, { dead: true, reason: 'not mine' }), { dead: true });
      await rejectsWith('LEASE_STALE', bus.ack(delivery));
      const [dead] = await deadOf(bus);
      assert.equal(dead?.death?.cause, 'rejected');
      assert.equal(dead?.death?.reason, 'its receiver has refused it for good: not mine');
    },
  },
  {
    name: 'a message whose time to live is over becomes a dead letter without anybody asking',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const { changes, ofQueue } = watching(bus);
      await sendOne(bus, { ttlMs: 10 * SECOND });
      clock.advance(10 * SECOND - 1);
      assert.equal(await countOf(bus, 'ready'), 1);
      clock.advance(1);
      await until(() => ofQueue('@alice') > 0, { what: 'being told of the notice' });
      const isDeath = (change: (typeof changes)[0]) => change.kind === 'event' && change.topic === DEAD_LETTER_TOPIC;
      await until(() => changes.some(isDeath), { what: 'being told of the event' });
      assert.deepEqual(await deaths(bus), [['hello', 'expired']]);
      assert.deepEqual(await take(bus), []);
      assert.equal((await takeOne(bus, '@alice')).type, 'CONTROL');
    },
  },
  {
    name: 'a message that waits for its next attempt expires too',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus, { ttlMs: MINUTE });
      await bus.nack(await takeOne(bus), { delayMs: HOUR });
      clock.advance(MINUTE);
      assert.deepEqual(await deaths(bus), [['hello', 'expired']]);
    },
  },
  {
    name: 'what is handed out does not expire before its lease does: it may still be acknowledged',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send(
        ['acked', 'nacked', 'lost', 'released'].map((payload) => messageOf({ payload, ttlMs: 10 * SECOND })),
      );
      const [acked, nacked] = await take(bus, 2);
      assert.ok(acked !== undefined && nacked !== undefined);
      await take(bus, 1, 'work', { consumer: 'carol/1' });
      await take(bus, 1, 'work', { consumer: 'dora/1' });
      clock.advance(30 * SECOND);
      assert.equal(await countOf(bus, 'leased'), 4);
      await bus.ack(acked);
      assert.deepEqual(await bus.nack(nacked, { delayMs: 0 }), { dead: true });
      assert.equal(await bus.release('dora/1'), 1);
      assert.deepEqual(await take(bus), []);
      clock.advance(30 * SECOND);
      assert.deepEqual((await deaths(bus)).toSorted(byPayload), [
        ['lost', 'expired'],
        ['nacked', 'expired'],
        ['released', 'expired'],
      ]);
    },
  },
  {
    name: 'nobody is told who is no agent: no notice for the admin, the daemon, or a notice',
    async run(make) {
      const { bus, clock } = await openBus(make);
      for (const from of ['admin', DAEMON_SENDER, 'alice']) await sendOne(bus, { from, ttlMs: SECOND });
      clock.advance(SECOND);
      assert.equal((await deaths(bus)).length, 3);
      assert.deepEqual(
        (await bus.queues()).map(({ name, ready }) => [name, ready]),
        [
          ['@alice', 1],
          ['work', 0],
        ],
      );
      await bus.nack(await takeOne(bus, '@alice'), { dead: true });
      assert.deepEqual(await drain(bus, ['@alice', '@admin', `@${DAEMON_SENDER}`]), []);
      assert.equal((await deathEvents(bus)).length, 4);
    },
  },
  {
    name: 'a full mailbox of the sender keeps nothing from dying',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('@alice', { maxMessages: 1 });
      await sendOne(bus, { queue: '@alice', from: 'ben' });
      await bus.send(numbers(3).map((n) => messageOf({ payload: n, ttlMs: SECOND })));
      clock.advance(SECOND);
      assert.equal((await deaths(bus)).length, 3);
      assert.equal((await deathEvents(bus)).length, 3);
    },
  },
  {
    name: 'many that expire together all become dead letters, each with one notice and one event',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const all = numbers(1500);
      await bus.send(all.map((n) => messageOf({ payload: n, ttlMs: MINUTE })));
      await sendOne(bus, { payload: 'stays' });
      clock.advance(MINUTE);
      assert.equal((await takeOne(bus)).payload, 'stays');
      await until(async () => (await countOf(bus, 'dead')) === all.length, { what: 'the deaths' });
      assert.deepEqual(new Set((await deaths(bus, 2000)).map(([payload]) => payload)), new Set(all));
      assert.equal(await countOf(bus, 'ready', '@alice'), all.length);
      assert.equal((await deathEvents(bus)).length, all.length);
    },
  },
  {
    name: 'deaths are durable together with their notices and events',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus, { ttlMs: MINUTE });
      await sendOne(bus, { payload: 'later', ttlMs: HOUR });
      clock.advance(MINUTE);
      assert.equal(await countOf(bus, 'dead'), 1);
      await bus.close();
      clock.advance(HOUR); // the other one dies while nobody looks
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await deaths(again), [
        ['hello', 'expired'],
        ['later', 'expired'],
      ]);
      assert.equal(await countOf(again, 'ready', '@alice'), 2);
      assert.equal((await deathEvents(again)).length, 2);
    },
  },
  {
    name: 'dead letters do not count as waiting, and are dropped when their time is over',
    async run(make) {
      const { bus, clock } = await openBus(make, { deadLettersKeptMs: DAY, defaults: { maxMessages: 1 } });
      await sendOne(bus, { ttlMs: MINUTE });
      clock.advance(MINUTE);
      await sendOne(bus, { ttlMs: 3 * DAY });
      clock.advance(DAY - SECOND);
      assert.equal(await countOf(bus, 'dead'), 1);
      clock.advance(SECOND);
      await until(async () => (await countOf(bus, 'dead')) === 0, { what: 'the dead letter being dropped' });
      assert.deepEqual(await deadOf(bus), []);
      assert.equal(await countOf(bus, 'ready'), 1);
    },
  },
  {
    name: 'of one queue as many dead letters are kept as messages may wait, the newest ones',
    async run(make) {
      const { bus } = await openBus(make, { defaults: { maxMessages: 3 } });
      for (const n of numbers(5)) {
        await sendOne(bus, { payload: n });
        await bus.nack(await takeOne(bus), { dead: true });
      }
      assert.deepEqual(
        (await deaths(bus)).map(([payload]) => payload),
        [2, 3, 4],
      );
      assert.equal(await countOf(bus, 'dead'), 3);
      assert.equal((await deathEvents(bus)).length, 5);
    },
  },
  {
    name: 'requeue brings dead letters back under their ids, as new',
    async run(make) {
      const { bus, clock } = await openBus(make, { defaults: { ttlMs: HOUR } });
      const ids = [
        await sendOne(bus, { payload: 0 }),
        await sendOne(bus, { payload: 1, ttlMs: MINUTE }),
        await sendOne(bus, { payload: 2 }),
      ];
      for (const delivery of await take(bus, 3)) await bus.nack(delivery, { dead: true });
      clock.advance(DAY);
      const newer = await sendOne(bus, { payload: 'newer', priority: 9 });
      assert.equal(await bus.requeue('work', [ids[1] as string, newer, 'no-such-id', ids[1] as string]), 1);
      assert.equal(await bus.requeue('other'), 0);
      const { ofQueue } = watching(bus);
      assert.equal(await bus.requeue('work'), 2);
      await until(() => ofQueue('work') > 0, { what: 'being told of them' });
      assert.equal(await countOf(bus, 'dead'), 0);
      const got = await take(bus, 9);
      assert.deepEqual(
        got.map(({ payload, attempt }) => [payload, attempt]),
        [
          ['newer', 1],
          [0, 1],
          [1, 1],
          [2, 1],
        ],
      );
      assert.deepEqual(
        got.slice(1).map(({ id }) => id),
        ids,
      );
      assert.ok(got.every(({ sentAtMs }) => sentAtMs === clock.now()));
      assert.deepEqual(
        got.slice(1).map(({ expiresAtMs }) => (expiresAtMs ?? 0) - clock.now()),
        [HOUR, MINUTE, HOUR],
      );
    },
  },
  {
    name: 'requeue into a full queue moves nothing',
    async run(make) {
      const { bus } = await openBus(make, { defaults: { maxMessages: 2 } });
      await bus.send([messageOf(), messageOf()]);
      for (const delivery of await take(bus, 2)) await bus.nack(delivery, { dead: true });
      await sendOne(bus);
      const details = await rejectsWith('QUEUE_FULL', bus.requeue('work'));
      assert.deepEqual(details, { queue: 'work', limit: 2, of: 'queue' });
      assert.equal(await countOf(bus, 'dead'), 2);
      const [one] = await deadOf(bus);
      assert.equal(await bus.requeue('work', [one?.id as string]), 1);
    },
  },
  {
    name: 'discard deletes dead letters, and nothing else',
    async run(make) {
      const { bus } = await openBus(make);
      const ids = (await bus.send(numbers(3).map((n) => messageOf({ payload: n })))).map(({ id }) => id);
      for (const delivery of await take(bus, 2)) await bus.nack(delivery, { dead: true });
      assert.equal(await bus.discard('other'), 0);
      assert.equal(await bus.discard('work', [ids[0] as string, ids[2] as string, ids[0] as string]), 1);
      assert.deepEqual(await deaths(bus), [[1, 'rejected']]);
      assert.equal(await bus.discard('work'), 1);
      assert.deepEqual(await deadOf(bus), []);
      assert.deepEqual(await drain(bus), [2]);
    },
  },
  {
    name: 'deleteQueue makes dead letters of all that it held, with notices, and forgets its settings',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('work', { leaseMs: SECOND });
      await bus.send(['ready', 'leased', 'delayed'].map((payload) => messageOf({ payload, correlationId: payload })));
      const leased = await takeOne(bus, 'work', { correlationId: 'leased', leaseMs: HOUR });
      await bus.nack(await takeOne(bus, 'work', { correlationId: 'delayed' }), { delayMs: HOUR });
      await bus.deleteQueue('work');
      assert.deepEqual((await deaths(bus)).toSorted(byPayload), [
        ['delayed', 'deleted'],
        ['leased', 'deleted'],
        ['ready', 'deleted'],
      ]);
      assert.equal((await take(bus, 9, '@alice')).length, 3);
      assert.deepEqual(await bus.inFlight(['bob/1']), { 'bob/1': 3 });
      await rejectsWith('LEASE_STALE', bus.ack(leased));
      clock.advance(HOUR);
      assert.equal((await deaths(bus)).length, 3);
      await bus.discard('work');
      await sendOne(bus);
      assert.equal((await bus.queue('work'))?.settings.leaseMs, MINUTE);
    },
  },
  {
    name: 'a thousand are deleted with their queue, requeued and discarded like one, and others are served meanwhile',
    async run(make) {
      const { bus } = await openBus(make);
      const all = numbers(1000);
      for (let n = 0; n < 10; n += 1)
        await bus.send(all.slice(n * 100, n * 100 + 100).map((payload) => messageOf({ payload })));
      const held = await take(bus, 100);
      await Promise.all(held.slice(0, 50).map((delivery) => bus.nack(delivery, { delayMs: HOUR })));
      const deleted = bus.deleteQueue('work');
      await sendOne(bus, { queue: 'other', payload: 'meanwhile' });
      assert.equal((await takeOne(bus, 'other')).payload, 'meanwhile');
      await deleted;
      assert.equal((await deaths(bus, 2000)).length, 1000);
      assert.deepEqual(await bus.inFlight(['bob/1']), { 'bob/1': 1 });
      assert.equal(await bus.requeue('work'), 1000);
      assert.deepEqual(await drain(bus), all);
      assert.equal(await countOf(bus, 'ready', '@alice'), 1000);
      await bus.deleteQueue('@alice');
      assert.equal(await bus.discard('@alice'), 1000);
      assert.equal(await bus.discard('@alice'), 0);
      assert.deepEqual(await bus.browse({ queue: '@alice', limit: 9 }), []);
    },
  },
  {
    name: 'deleteQueue of an empty or unknown queue leaves nothing of it',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.deleteQueue('unknown');
      await bus.configure('work', { concurrency: 1 });
      await sendOne(bus);
      await drain(bus);
      await bus.deleteQueue('work');
      assert.equal(await bus.queue('work'), undefined);
      assert.deepEqual(await bus.queues(), []);
    },
  },
];

const deadOf = (bus: MessageBus, limit = 100): Promise<StoredMessage[]> =>
  bus.browse({ queue: 'work', state: 'dead', limit });

async function deaths(bus: MessageBus, limit?: number): Promise<[Json, string | undefined][]> {
  return (await deadOf(bus, limit)).map(({ payload, death }) => [payload, death?.cause]);
}

const byPayload = ([a]: [Json, unknown], [b]: [Json, unknown]): number =>
  JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;

async function deathEvents(bus: MessageBus): Promise<BusEvent[]> {
  return (await bus.events({ patterns: [DEAD_LETTER_TOPIC], after: 0, limit: 10_000 })).events;
}
