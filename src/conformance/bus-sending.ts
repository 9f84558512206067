import assert from 'node:assert/strict';
import type { BusCase } from './fixture.ts';
import {
  busOptions,
  clockAt,
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
} from './fixture.ts';
import { DIFFICULT_VALUES } from './payloads.ts';

/** What goes in, comes out: as it was, once, in order, up to the limits. */
export const sendingCases: BusCase[] = [
  {
    name: 'a message is received with everything that its sender said',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const [sent, ...none] = await bus.send([
        messageOf({
          priority: 7,
          ttlMs: HOUR,
          correlationId: 'c "1" \0 \ud800 é',
          replyTo: 'carol',
          payload: { question: 1 },
        }),
      ]);
      assert.deepEqual(none, []);
      assert.equal(sent?.duplicate, false);
      const { lease, ...delivery } = await takeOne(bus);
      assert.equal(typeof lease, 'string');
      assert.deepEqual(delivery, {
        id: sent?.id,
        queue: 'work',
        from: 'alice',
        type: 'TEXT',
        payload: { question: 1 },
        priority: 7,
        correlationId: 'c "1" \0 \ud800 é',
        replyTo: 'carol',
        sentAtMs: clock.now(),
        expiresAtMs: clock.now() + HOUR,
        attempt: 1,
        leaseUntilMs: clock.now() + MINUTE,
      });
    },
  },
  {
    name: 'what the sender left out is null, the default priority and the time to live of the queue',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('brief', { ttlMs: MINUTE });
      await bus.configure('endless', { ttlMs: null });
      const expiries: (number | null)[] = [];
      for (const queue of ['work', 'brief', 'endless', '@carol']) {
        await sendOne(bus, { queue });
        const { priority, correlationId, replyTo, expiresAtMs } = await takeOne(bus, queue);
        assert.deepEqual({ priority, correlationId, replyTo }, { priority: 4, correlationId: null, replyTo: null });
        expiries.push(expiresAtMs);
      }
      assert.deepEqual(expiries, [clock.now() + 7 * DAY, clock.now() + MINUTE, null, clock.now() + 7 * DAY]);
    },
  },
  ...DIFFICULT_VALUES.map(({ name, value }) => ({
    name: `a payload comes out as it went in: ${name}`,
    async run(make: Parameters<BusCase['run']>[0]) {
      const { bus } = await openBus(make);
      await sendOne(bus, { payload: value });
      assert.equal(JSON.stringify((await bus.browse({ queue: 'work', limit: 1 }))[0]?.payload), JSON.stringify(value));
      const { payload } = await takeOne(bus);
      assert.equal(JSON.stringify(payload), JSON.stringify(value));
      const { cursor } = await bus.publish({ topic: 'a.topic', from: 'alice', payload: value });
      const { events } = await bus.events({ patterns: ['a.topic'], after: cursor - 1, limit: 1 });
      assert.equal(JSON.stringify(events[0]?.payload), JSON.stringify(value));
    },
  })),
  {
    name: 'of equal priority, the one sent first comes first',
    async run(make) {
      const { bus } = await openBus(make);
      await bus.send(numbers(50).map((n) => messageOf({ payload: n })));
      for (const n of numbers(50)) await sendOne(bus, { payload: 50 + n });
      await Promise.all(numbers(50).map((n) => sendOne(bus, { payload: 100 + n })));
      assert.deepEqual(await drain(bus), numbers(150));
    },
  },
  {
    name: 'the higher priority comes first, within one sender in the order of sending',
    async run(make) {
      const { bus, clock } = await openBus(make);
      for (const n of numbers(40)) {
        clock.advance(10);
        await sendOne(bus, { payload: [9 - (n % 10), n], priority: 9 - (n % 10), from: n % 3 === 0 ? 'ann' : 'ben' });
      }
      const got = (await drain(bus)) as [number, number][];
      const expected = got.toSorted((a, b) => b[0] - a[0] || a[1] - b[1]);
      assert.deepEqual(got, expected);
    },
  },
  {
    name: 'a message gains one step of priority for each `ageing` that it waits',
    async run(make) {
      const { bus, clock } = await openBus(make, { ageingMs: 10 * SECOND });
      const startMs = clock.now();
      const sendAt = async (ms: number, priority: number, payload: string): Promise<void> => {
        clock.advance(startMs + ms - clock.now());
        await sendOne(bus, { payload, priority });
      };
      await sendAt(0, 2, 'low');
      await sendAt(19_999, 4, 'two steps above, in time');
      await sendAt(20_001, 4, 'two steps above, too late');
      await sendAt(69_998, 9, 'seven steps above, in time');
      await sendAt(70_002, 9, 'seven steps above, too late');
      assert.deepEqual(await drain(bus), [
        'seven steps above, in time',
        'two steps above, in time',
        'low',
        'two steps above, too late',
        'seven steps above, too late',
      ]);
    },
  },
  {
    name: 'the order within (sender, priority) outlives an opening with another `ageing`',
    async run(make) {
      const clock = clockAt();
      for (const [n, ageingMs] of [10 * SECOND, 60 * SECOND, SECOND, 30 * SECOND].entries()) {
        const bus = await make(busOptions({ now: clock.now, ageingMs }));
        await sendOne(bus, { payload: n, priority: 5 });
        clock.advance(SECOND);
        await bus.close();
      }
      const bus = await make(busOptions({ now: clock.now, ageingMs: 5 * SECOND }));
      await sendOne(bus, { payload: 4, priority: 5 });
      assert.deepEqual(await drain(bus), numbers(5));
    },
  },
  {
    name: 'the order holds when the clock is set back, also across an opening',
    async run(make) {
      const first = await openBus(make);
      await sendOne(first.bus, { payload: 0 });
      first.clock.advance(-HOUR);
      await sendOne(first.bus, { payload: 1 });
      await first.bus.close();
      const earlier = clockAt(first.clock.now() - DAY);
      const bus = await make(busOptions({ now: earlier.now }));
      await sendOne(bus, { payload: 2, ttlMs: MINUTE });
      const stored = await bus.browse({ limit: 10 });
      const times = stored.map((message) => message.sentAtMs);
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
        'sending went back in time',
      );
      assert.deepEqual(
        stored.map((message) => message.payload),
        numbers(3),
      );
      assert.equal(stored[2]?.expiresAtMs, earlier.now() + MINUTE, 'durations count from the clock as it is');
      assert.deepEqual(await drain(bus), numbers(3));
    },
  },
  {
    name: 'several queues are received from as if they were one',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const queues = ['@bob', 'work', 'other'];
      for (const n of numbers(12)) {
        await sendOne(bus, { queue: queues[n % 3] as string, payload: n, priority: n >= 9 ? 9 : 4 });
        clock.advance(1);
      }
      await sendOne(bus, { queue: 'not-asked-for', payload: 'x', priority: 9 });
      const all = await bus.receive({ queues, consumer: 'bob/1', max: 5 });
      assert.deepEqual(
        all.map(({ payload }) => payload),
        [9, 10, 11, 0, 1],
      );
      assert.deepEqual(
        all.map(({ queue }) => queue),
        ['@bob', 'work', 'other', '@bob', 'work'],
      );
      assert.deepEqual(await drain(bus, queues), [2, 3, 4, 5, 6, 7, 8]);
    },
  },
  {
    name: 'all messages of a call are sent, or none',
    async run(make) {
      const { bus } = await openBus(make, { defaults: { maxMessages: 3 } });
      await sendOne(bus, { queue: 'small', payload: 'first' });
      const batch = ['work', 'small', 'small', 'small'].map((queue) =>
        messageOf({ queue, idempotencyKey: 'k' + queue }),
      );
      batch.push(messageOf({ queue: 'small' }), messageOf({ queue: 'small' }), messageOf({ queue: 'small' }));
      await rejectsWith('QUEUE_FULL', bus.send(batch));
      assert.equal((await bus.queue('work'))?.ready ?? 0, 0);
      assert.equal((await bus.queue('small'))?.ready, 1);
      const [sent] = await bus.send([messageOf({ idempotencyKey: 'kwork' })]);
      assert.equal(sent?.duplicate, false, 'a key of a call that failed was kept');
    },
  },
  {
    name: 'ids are unique and sort in the order of sending, across openings',
    async run(make) {
      const ids: string[] = [];
      for (let opening = 0; opening < 3; opening += 1) {
        const { bus } = await openBus(make);
        ids.push(...(await bus.send(numbers(40).map(() => messageOf()))).map(({ id }) => id));
        await drain(bus);
        await bus.close();
      }
      assert.equal(new Set(ids).size, 120);
      assert.deepEqual(ids, ids.toSorted());
    },
  },
  {
    name: 'the same key is the same message: within a call, afterwards, acknowledged, and after an opening',
    async run(make) {
      const first = await openBus(make);
      const keyed = messageOf({ idempotencyKey: 'once \0 \ud800' });
      const [one, two] = await first.bus.send([keyed, keyed]);
      assert.deepEqual([one?.duplicate, two], [false, { id: one?.id, duplicate: true }]);
      assert.deepEqual(await first.bus.send([keyed]), [{ id: one?.id, duplicate: true }]);
      assert.deepEqual(await drain(first.bus), ['hello']);
      assert.deepEqual(await first.bus.send([keyed]), [{ id: one?.id, duplicate: true }]);
      await first.bus.close();
      const bus = await make(busOptions({ now: first.clock.now }));
      assert.deepEqual(await bus.send([keyed]), [{ id: one?.id, duplicate: true }]);
      assert.deepEqual(await drain(bus), []);
    },
  },
  {
    name: 'a key belongs to its sender and queue, and 50 calls at once with it send one message',
    async run(make) {
      const { bus } = await openBus(make);
      const keyed = messageOf({ idempotencyKey: 'k' });
      const answers = await Promise.all(numbers(50).map(() => bus.send([keyed])));
      assert.equal(answers.flat().filter(({ duplicate }) => !duplicate).length, 1);
      assert.equal(new Set(answers.flat().map(({ id }) => id)).size, 1);
      const others = await bus.send([
        { ...keyed, from: 'ann' },
        { ...keyed, queue: 'other' },
      ]);
      assert.deepEqual(
        others.map(({ duplicate }) => duplicate),
        [false, false],
      );
    },
  },
  {
    name: 'a key is forgotten after a day',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const keyed = messageOf({ idempotencyKey: 'k' });
      const [first] = await bus.send([keyed]);
      clock.advance(DAY - SECOND);
      assert.deepEqual(await bus.send([keyed]), [{ id: first?.id, duplicate: true }]);
      clock.advance(2 * SECOND);
      const [second] = await bus.send([keyed]);
      assert.equal(second?.duplicate, false);
      assert.notEqual(second?.id, first?.id);
      assert.deepEqual(await bus.send([keyed]), [{ id: second?.id, duplicate: true }]);
    },
  },
  {
    name: 'a key is forgotten with its queue: who has the name later is another one',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const keyed = messageOf({ idempotencyKey: 'k' });
      const other = messageOf({ idempotencyKey: 'k', queue: 'other' });
      const [first, others] = await bus.send([keyed, other]);
      await drain(bus);
      await bus.deleteQueue('work');
      const [second] = await bus.send([keyed]);
      assert.equal(second?.duplicate, false);
      assert.notEqual(second?.id, first?.id);
      assert.deepEqual(await bus.send([keyed, other]), [
        { id: second?.id, duplicate: true },
        { id: others?.id, duplicate: true },
      ]);
      await bus.close();
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await again.send([keyed]), [{ id: second?.id, duplicate: true }]);
      assert.deepEqual(await drain(again), ['hello']);
      await again.deleteQueue('work');
      clock.advance(DAY - SECOND);
      const [third] = await again.send([keyed]);
      assert.equal(third?.duplicate, false);
      clock.advance(2 * SECOND);
      assert.deepEqual(await again.send([keyed]), [{ id: third?.id, duplicate: true }]);
    },
  },
  {
    name: 'a full queue refuses with its limit, until something has been acknowledged',
    async run(make) {
      const { bus } = await openBus(make, { defaults: { maxMessages: 5, maxPerSender: 4 } });
      await bus.send(numbers(3).map(() => messageOf({ from: 'ann' })));
      await bus.send([messageOf({ from: 'ben', idempotencyKey: 'k' }), messageOf({ from: 'ben' })]);
      const details = await rejectsWith('QUEUE_FULL', bus.send([messageOf({ from: 'carol' })]));
      assert.deepEqual(details, { queue: 'work', limit: 5, of: 'queue' });
      const [again] = await bus.send([messageOf({ from: 'ben', idempotencyKey: 'k' })]);
      assert.equal(again?.duplicate, true, 'what was sent before needs no room');
      const taken = await takeOne(bus);
      await rejectsWith('QUEUE_FULL', bus.send([messageOf({ from: 'carol' })]));
      await bus.ack(taken);
      await sendOne(bus, { from: 'carol' });
      await rejectsWith('QUEUE_FULL', bus.send([messageOf({ from: 'carol' })]));
      await sendOne(bus, { from: 'carol', queue: 'other' });
    },
  },
  {
    name: 'a sender that has filled its share is refused, and others are not',
    async run(make) {
      const { bus, clock } = await openBus(make, { defaults: { maxMessages: 100, maxPerSender: 2 } });
      await bus.send([messageOf({ ttlMs: MINUTE }), messageOf()]);
      const details = await rejectsWith('QUEUE_FULL', bus.send([messageOf()]));
      assert.deepEqual(details, { queue: 'work', limit: 2, of: 'sender', from: 'alice' });
      await sendOne(bus, { from: 'ben' });
      clock.advance(MINUTE); // one of them expires
      await sendOne(bus);
      await rejectsWith('QUEUE_FULL', bus.send([messageOf()]));
      const [mine] = (await take(bus, 10)).filter(({ from }) => from === 'alice');
      assert.ok(mine !== undefined);
      await bus.nack(mine, { delayMs: HOUR });
      await rejectsWith('QUEUE_FULL', bus.send([messageOf()]));
    },
  },
];
