import assert from 'node:assert/strict';
import type { Delivery, MessageBus } from '../ports/message-bus.ts';
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
} from './fixture.ts';

/** What a receive that is repeated finds. */
export const repeatCases: BusCase[] = [
  {
    name: 'what was handed out to a receive with a name is told again: the same, under the same leases, best first',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(numbers(4).map((n) => messageOf({ payload: n, priority: n })));
      assert.deepEqual(await told(bus, 'r1'), []);
      const first = await take(bus, 3, 'work', { receiveId: 'r1' });
      assert.deepEqual(
        first.map(({ payload, attempt }) => [payload, attempt]),
        [
          [3, 1],
          [2, 1],
          [1, 1],
        ],
      );
      for (const _ of numbers(2)) assert.deepEqual(await told(bus, 'r1'), first);
      assert.equal(await countOf(bus, 'leased'), 3);
      assert.equal(new Set(first.map(({ lease }) => lease)).size, 3);
      for (const delivery of await told(bus, 'r1')) await bus.ack(delivery);
      assert.deepEqual(await told(bus, 'r1'), []);
      assert.deepEqual([await countOf(bus, 'leased'), await countOf(bus, 'ready')], [0, 1]);
    },
  },
  {
    name: 'it is told to its consumer alone, by the whole name, from the queues that are asked for',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(numbers(4).map((n) => messageOf({ payload: n })));
      await sendOne(bus, { queue: 'other', payload: 'other' });
      const both = ['work', 'other'];
      await bus.receive({ queues: ['work'], consumer: 'bob/1', max: 1, receiveId: 'r-1' });
      await bus.receive({ queues: ['work'], consumer: 'bob/1', max: 1, receiveId: 'r' });
      await bus.receive({ queues: ['other'], consumer: 'bob/1', max: 1, receiveId: 'r' });
      await bus.receive({ queues: ['work'], consumer: 'bob/10', max: 1, receiveId: 'r' });
      await bus.receive({ queues: ['work'], consumer: 'bob/1', max: 1 });
      const payloads = async (consumer: string, receiveId: string, queues = both): Promise<unknown[]> =>
        (await bus.handedOut({ queues, consumer, receiveId })).map(({ payload }) => payload);
      assert.deepEqual(await payloads('bob/1', 'r-1'), [0]);
      assert.deepEqual(await payloads('bob/1', 'r'), [1, 'other']);
      assert.deepEqual(await payloads('bob/1', 'r', ['other', 'unknown']), ['other']);
      assert.deepEqual(await payloads('bob/1', 'r', []), []);
      assert.deepEqual(await payloads('bob/10', 'r'), [2]);
      for (const unknown of ['R', 'r-', '-', 'r_1', 'r-11', '_'])
        assert.deepEqual(await payloads('bob/1', unknown), []);
      assert.deepEqual(await payloads('nobody', 'r'), []);
    },
  },
  {
    name: 'it is told as it stands, and no more once it is settled, taken back, or its lease is over',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send(numbers(4).map((n) => messageOf({ payload: n })));
      const [kept, refused, lost] = await take(bus, 3, 'work', { receiveId: 'r1' });
      assert.ok(kept !== undefined && refused !== undefined && lost !== undefined);
      await bus.extend(kept, HOUR);
      await bus.nack(refused, { delayMs: 10 * MINUTE });
      clock.advance(MINUTE - SECOND);
      const extended = { ...kept, leaseUntilMs: clock.now() - (MINUTE - SECOND) + HOUR };
      assert.deepEqual(await told(bus, 'r1'), [extended, lost]);
      clock.advance(SECOND);
      assert.deepEqual(await told(bus, 'r1'), [extended]);
      const again = await takeOne(bus, 'work', { receiveId: 'r1' });
      assert.deepEqual([again.id, again.attempt], [lost.id, 2]);
      assert.notEqual(again.lease, lost.lease);
      await rejectsWith('LEASE_STALE', bus.ack(lost));
      assert.deepEqual(await told(bus, 'r1'), [extended, again]);
      await takeOne(bus, 'work', { receiveId: 'r2' });
      assert.equal(await bus.release('bob/1'), 3);
      assert.deepEqual([await told(bus, 'r1'), await told(bus, 'r2')], [[], []]);
    },
  },
  {
    name: 'it is told over an opening, also of long payloads, and nothing is changed by asking',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await sendOne(bus, {
        payload: { long: 'x'.repeat(5000) },
        correlationId: 'q \0',
        replyTo: '@alice',
        ttlMs: HOUR,
      });
      const taken = await take(bus, 1, 'work', { receiveId: 'a_long-NAME'.padEnd(64, '0') });
      await bus.close();
      const again = await make(busOptions({ now: clock.now }));
      const receiveId = 'a_long-NAME'.padEnd(64, '0');
      const before = [await again.queue('work'), await again.inFlight(['bob/1'])];
      assert.deepEqual(await told(again, receiveId), taken);
      assert.deepEqual([await again.queue('work'), await again.inFlight(['bob/1'])], before);
      await again.ack(taken[0] as Delivery);
    },
  },
];

const told = (bus: MessageBus, receiveId: string): Promise<Delivery[]> =>
  bus.handedOut({ queues: ['work'], consumer: 'bob/1', receiveId });
