import assert from 'node:assert/strict';
import type { Place } from '../domain/messages/queue-name.ts';
import type { BusCase } from './fixture.ts';
import {
  busOptions,
  countOf,
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

/** Handing out, and taking back. */
export const leaseCases: BusCase[] = [
  {
    name: 'receive hands out up to `max`, nothing where nothing is, and each message to one consumer only',
    async run(make) {
      const { bus } = await openBus(make);
      assert.deepEqual(await take(bus, 10), []);
      await bus.send(numbers(5).map((n) => messageOf({ payload: n })));
      assert.deepEqual(
        (await take(bus, 3)).map(({ payload }) => payload),
        [0, 1, 2],
      );
      assert.deepEqual(
        (await take(bus, 3, 'work', { consumer: 'carol/1' })).map(({ payload }) => payload),
        [3, 4],
      );
      assert.deepEqual(await take(bus, 3), []);
    },
  },
  {
    name: 'receive ends before `maxBytes` of payloads, with one at least, and passes none over',
    async run(make) {
      const { bus } = await openBus(make);
      const large = (n: number) => n + 'x'.repeat(999);
      await bus.send([...numbers(5).map((n) => messageOf({ payload: large(n) })), messageOf({ payload: 'small' })]);
      const receive = async (maxBytes?: number): Promise<unknown[]> => {
        const limit = maxBytes === undefined ? {} : { maxBytes };
        const deliveries = await bus.receive({ queues: ['work'], consumer: 'bob/1', max: 10, ...limit });
        return deliveries.map(({ payload }) => payload);
      };
      assert.deepEqual(await receive(2500), [large(0), large(1)]);
      assert.equal(await countOf(bus, 'leased'), 2);
      assert.equal(await countOf(bus, 'ready'), 4);
      assert.deepEqual(await receive(1), [large(2)]);
      assert.deepEqual(await receive(2 * 1002), [large(3), large(4)]);
      assert.deepEqual(await receive(), ['small']);
    },
  },
  {
    name: '50 receivers at once never get the same message',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(numbers(300).map((n) => messageOf({ payload: n })));
      const got: unknown[] = [];
      await Promise.all(
        numbers(50).map(async (n) => {
          for (;;) {
            const deliveries = await take(bus, (n % 3) + 1, 'work', { consumer: `c${n}/1` });
            if (deliveries.length === 0) return;
            for (const { payload } of deliveries) got.push(payload);
            await Promise.all(deliveries.filter((_, at) => at === 0).map((delivery) => bus.ack(delivery)));
          }
        }),
      );
      assert.equal(got.length, 300);
      assert.equal(new Set(got).size, 300);
    },
  },
  {
    name: 'an acknowledged message is gone, and stays so after an opening',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus);
      const delivery = await takeOne(bus);
      await bus.ack(delivery);
      await rejectsWith('MESSAGE_NOT_FOUND', bus.ack(delivery));
      await rejectsWith('MESSAGE_NOT_FOUND', bus.nack(delivery));
      await rejectsWith('MESSAGE_NOT_FOUND', bus.extend(delivery, MINUTE));
      await rejectsWith('MESSAGE_NOT_FOUND', bus.ack({ id: 'no-such-id', lease: delivery.lease }));
      clock.advance(HOUR);
      assert.deepEqual(await take(bus), []);
      await bus.close();
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await take(again), []);
      assert.deepEqual(await again.browse({ limit: 10 }), []);
    },
  },
  {
    name: 'a lease settles where it says only: in its queue, or among what an agent receives from',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send([messageOf(), messageOf({ queue: '@bob' })]);
      const inQueue = (queue: string): { place: Place } => ({ place: { kind: 'queue', queue } });
      const ofAgent = (agentId: string): { place: Place } => ({ place: { kind: 'agent', agentId } });
      const work = await takeOne(bus);
      const mail = await takeOne(bus, '@bob');
      for (const lease of [
        { ...work, ...inQueue('@bob') },
        { ...work, ...inQueue('other') },
        { ...mail, ...inQueue('work') },
        { ...mail, ...ofAgent('carol') },
      ]) {
        await rejectsWith('MESSAGE_NOT_FOUND', bus.extend(lease, HOUR));
        await rejectsWith('MESSAGE_NOT_FOUND', bus.nack(lease, { dead: true }));
        await rejectsWith('MESSAGE_NOT_FOUND', bus.ack(lease));
      }
      assert.equal(await countOf(bus, 'leased'), 1);
      await bus.extend({ ...work, ...ofAgent('carol') }, HOUR);
      await bus.ack({ ...work, ...inQueue('work') });
      await bus.extend({ ...mail, ...inQueue('@bob') }, HOUR);
      await bus.ack({ ...mail, ...ofAgent('bob') });
    },
  },
  {
    name: 'a lease that has run out hands the message out again: same id, next attempt, another lease, its old place',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send(numbers(3).map((n) => messageOf({ payload: n })));
      const first = await takeOne(bus);
      clock.advance(MINUTE - 1);
      assert.equal(await countOf(bus, 'leased'), 1);
      clock.advance(1);
      const second = await takeOne(bus, 'work', { consumer: 'carol/1', leaseMs: 5 * SECOND });
      assert.equal(second.id, first.id);
      assert.deepEqual([first.attempt, second.attempt], [1, 2]);
      assert.notEqual(second.lease, first.lease);
      assert.equal(second.sentAtMs, first.sentAtMs);
      assert.equal(second.leaseUntilMs, clock.now() + 5 * SECOND);
      for (const stale of [bus.ack(first), bus.nack(first), bus.extend(first, MINUTE)]) {
        await rejectsWith('LEASE_STALE', stale);
      }
      await bus.ack(second);
      assert.deepEqual(
        (await take(bus, 10)).map(({ payload }) => payload),
        [1, 2],
      );
    },
  },
  {
    name: 'a lease that has run out is stale, also before the message is handed out again',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus);
      const delivery = await takeOne(bus);
      clock.advance(MINUTE);
      await rejectsWith('LEASE_STALE', bus.ack(delivery));
      await rejectsWith('LEASE_STALE', bus.extend(delivery, MINUTE));
      await rejectsWith('LEASE_STALE', bus.nack(delivery));
      assert.equal(await countOf(bus, 'ready'), 1);
    },
  },
  {
    name: 'a lease of another message, or an invented one, is stale',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send([messageOf(), messageOf()]);
      const [one, two] = await take(bus, 2);
      assert.ok(one !== undefined && two !== undefined);
      await rejectsWith('LEASE_STALE', bus.ack({ id: one.id, lease: two.lease }));
      await rejectsWith('LEASE_STALE', bus.ack({ id: one.id, lease: '' }));
      await bus.ack(one);
      await bus.ack(two);
    },
  },
  {
    name: 'a lease outlives an opening, and so does its end',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send([messageOf({ payload: 'held' }), messageOf({ payload: 'lost' })]);
      const [held, lost] = await take(bus, 2);
      assert.ok(held !== undefined && lost !== undefined);
      await bus.close();
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await take(again, 2), []);
      await again.ack(held);
      await again.close();
      clock.advance(MINUTE);
      const third = await make(busOptions({ now: clock.now }));
      const back = await takeOne(third);
      assert.deepEqual([back.payload, back.attempt], ['lost', 2]);
      await rejectsWith('LEASE_STALE', third.ack(lost));
    },
  },
  {
    name: 'extend lets a lease hold from now on',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus);
      const delivery = await takeOne(bus);
      clock.advance(50 * SECOND);
      assert.deepEqual(await bus.extend(delivery, 30 * SECOND), { leaseUntilMs: clock.now() + 30 * SECOND });
      clock.advance(29 * SECOND);
      assert.deepEqual(await take(bus), []);
      assert.deepEqual(await bus.extend(delivery, SECOND), { leaseUntilMs: clock.now() + SECOND });
      clock.advance(SECOND);
      assert.equal((await takeOne(bus)).attempt, 2);
    },
  },
  {
    name: 'nack waits as long as the back-off of the queue says, longer each time',
    async run(make) {
      const { bus, clock } = await openBus(make, { defaults: { maxAttempts: 10 } });
      await sendOne(bus);
      for (const waitMs of [SECOND, 2 * SECOND, 4 * SECOND]) {
        const answer = await bus.nack(await takeOne(bus));
        assert.deepEqual(answer, { dead: false, dueAtMs: clock.now() + waitMs });
        assert.equal(await countOf(bus, 'delayed'), 1);
        clock.advance(waitMs - 1);
        assert.deepEqual(await take(bus), []);
        clock.advance(1);
        assert.equal(await countOf(bus, 'ready'), 1);
      }
      assert.equal((await takeOne(bus)).attempt, 4);
    },
  },
  {
    name: 'nack with a delay waits so long; with 0, not at all, and the message is back in its place',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send([messageOf({ payload: 0 }), messageOf({ payload: 1 })]);
      const first = await takeOne(bus);
      assert.deepEqual(await bus.nack(first, { delayMs: 0 }), { dead: false, dueAtMs: clock.now() });
      await rejectsWith('LEASE_STALE', bus.ack(first));
      const second = await takeOne(bus);
      assert.deepEqual([second.payload, second.attempt], [0, 2]);
      assert.deepEqual(await bus.nack(second, { delayMs: HOUR }), { dead: false, dueAtMs: clock.now() + HOUR });
      assert.equal((await takeOne(bus)).payload, 1);
      await bus.close();
      clock.advance(HOUR);
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(
        (await take(again, 2)).map(({ payload, attempt }) => [payload, attempt]),
        [
          [0, 3],
          [1, 2],
        ],
      );
    },
  },
  {
    name: 'release makes all that a consumer holds due at once; the attempts count; others keep theirs',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(numbers(4).map((n) => messageOf({ payload: n, queue: n % 2 === 0 ? 'work' : 'other' })));
      const held = await bus.receive({ queues: ['work', 'other'], consumer: 'bob/1', max: 3 });
      const kept = await bus.receive({ queues: ['other'], consumer: 'bob/10', max: 1 });
      assert.equal(kept.length, 1);
      assert.equal(await bus.release('bob/1'), 3);
      assert.equal(await bus.release('bob/1'), 0);
      assert.equal(await bus.release('nobody'), 0);
      await rejectsWith('LEASE_STALE', bus.ack(held[0] as (typeof held)[0]));
      const again = await bus.receive({ queues: ['work', 'other'], consumer: 'bob/2', max: 9 });
      assert.deepEqual(
        again.map(({ payload, attempt }) => [payload, attempt]),
        [
          [0, 2],
          [1, 2],
          [2, 2],
        ],
      );
      await bus.ack(kept[0] as (typeof kept)[0]);
    },
  },
  {
    name: 'concurrency limits what is out of a queue, perConsumer what one consumer has of it',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('work', { concurrency: 3, perConsumer: 2 });
      await bus.send(numbers(6).map((n) => messageOf({ payload: n })));
      await sendOne(bus, { queue: 'other', payload: 'other' });
      const mine = await bus.receive({ queues: ['work', 'other'], consumer: 'bob/1', max: 10 });
      assert.deepEqual(
        mine.map(({ payload }) => payload),
        [0, 1, 'other'],
      );
      assert.deepEqual(await take(bus, 10), []);
      const hers = await take(bus, 10, 'work', { consumer: 'carol/1' });
      assert.deepEqual(
        hers.map(({ payload }) => payload),
        [2],
      );
      assert.deepEqual(await take(bus, 10, 'work', { consumer: 'dora/1' }), []);
      await bus.ack(mine[0] as (typeof mine)[0]);
      assert.deepEqual(
        (await take(bus, 10, 'work', { consumer: 'dora/1' })).map(({ payload }) => payload),
        [3],
      );
      clock.advance(MINUTE); // all leases run out
      assert.equal((await take(bus, 10, 'work', { consumer: 'emma/1' })).length, 2);
      assert.equal((await take(bus, 10, 'work', { consumer: 'dora/1' })).length, 1);
      await bus.configure('work', {});
      assert.equal((await take(bus, 10, 'work', { consumer: 'emma/1' })).length, 2);
    },
  },
  {
    name: 'only messages with the correlation id are handed out to who asks for it',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(
        numbers(9).map((n) => messageOf({ payload: n, ...(n % 3 === 0 ? { correlationId: 'q \0' } : {}) })),
      );
      await sendOne(bus, { queue: 'other', payload: 9, correlationId: 'q \0' });
      const wanted = await bus.receive({ queues: ['work', 'other'], consumer: 'b/1', max: 3, correlationId: 'q \0' });
      assert.deepEqual(
        wanted.map(({ payload }) => payload),
        [0, 3, 6],
      );
      assert.deepEqual(await take(bus, 3, 'work', { correlationId: 'q' }), []);
      assert.equal((await take(bus, 20)).length, 6);
    },
  },
  {
    name: 'inFlight counts what each consumer holds, over all queues',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send(numbers(4).map((n) => messageOf({ queue: `q${n % 2}` })));
      const held = await bus.receive({ queues: ['q0', 'q1'], consumer: 'bob/1', max: 3 });
      await bus.receive({ queues: ['q0', 'q1'], consumer: 'carol/1', max: 3, leaseMs: HOUR });
      const all = ['bob/1', 'carol/1', 'idle/1'];
      assert.deepEqual(await bus.inFlight(all), { 'bob/1': 3, 'carol/1': 1 });
      await bus.ack(held[0] as (typeof held)[0]);
      await bus.nack(held[1] as (typeof held)[0]);
      assert.deepEqual(await bus.inFlight(all), { 'bob/1': 1, 'carol/1': 1 });
      clock.advance(MINUTE);
      assert.deepEqual(await bus.inFlight(all), { 'carol/1': 1 });
      assert.deepEqual(await bus.inFlight([]), {});
    },
  },
  {
    name: 'who watches is told when a message was sent, comes back, or room is made, without asking',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('work', { concurrency: 1 });
      const { changes, ofQueue } = watching(bus);
      const told = async (what: string, act: () => Promise<unknown>): Promise<void> => {
        const before = ofQueue('work');
        await act();
        await until(() => ofQueue('work') > before, { what: `being told of ${what}` });
      };
      await told('a message', () => bus.send([messageOf(), messageOf()]));
      const first = await takeOne(bus);
      await told('the room that an ack makes', () => bus.ack(first));
      const second = await takeOne(bus);
      await told('a nack without delay', () => bus.nack(second, { delayMs: 0 }));
      await takeOne(bus);
      await told('a release', () => bus.release('bob/1'));
      await takeOne(bus);
      await told('the end of a lease', async () => clock.advance(MINUTE));
      await bus.nack(await takeOne(bus), { delayMs: HOUR });
      await told('the end of a delay', async () => clock.advance(HOUR));
      await told('new settings', () => bus.configure('work', {}));
      assert.deepEqual(
        changes.filter((change) => change.kind === 'queue' && change.queue !== 'work'),
        [],
      );
    },
  },
  {
    name: 'who has ended watching is told nothing more',
    async run(make) {
      const { bus } = await openBus(make);
      let told = 0;
      const end = bus.watch(() => (told += 1));
      const { ofQueue } = watching(bus);
      end();
      await sendOne(bus);
      await until(() => ofQueue('work') > 0, { what: 'the other one being told' });
      assert.equal(told, 0);
    },
  },
];
