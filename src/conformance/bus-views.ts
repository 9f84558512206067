import assert from 'node:assert/strict';
import type { BrowseRequest, MessageBus } from '../ports/message-bus.ts';
import type { BusCase } from './fixture.ts';
import {
  busOptions,
  clockAt,
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

/** Looking without taking; settings; going down. */
export const viewCases: BusCase[] = [
  {
    name: 'queue counts what is ready, leased, delayed and dead, and knows the oldest and newest of the ready',
    async run(make) {
      const { bus, clock } = await openBus(make);
      assert.equal(await bus.queue('work'), undefined);
      const startMs = clock.now();
      for (const n of numbers(6)) {
        await sendOne(bus, { payload: n, priority: n });
        clock.advance(SECOND);
      }
      const [leased, delayed, dead] = await take(bus, 3); // 5, 4 and 3: the newest ones
      assert.ok(leased !== undefined && delayed !== undefined && dead !== undefined);
      await bus.nack(delayed, { delayMs: HOUR });
      await bus.nack(dead, { dead: true });
      const { settings, ...stats } = (await bus.queue('work')) as NonNullable<Awaited<ReturnType<MessageBus['queue']>>>;
      assert.deepEqual(stats, {
        name: 'work',
        ready: 3,
        leased: 1,
        delayed: 1,
        dead: 1,
        oldestReadyAtMs: startMs,
        newestReadyAtMs: startMs + 2 * SECOND,
      });
      assert.deepEqual(settings, busOptions().defaults);
      clock.advance(MINUTE);
      const after = await bus.queue('work');
      assert.deepEqual([after?.ready, after?.leased, after?.newestReadyAtMs], [4, 0, startMs + 5 * SECOND]);
      await drain(bus);
      const empty = await bus.queue('work');
      assert.deepEqual([empty?.ready, empty?.oldestReadyAtMs, empty?.newestReadyAtMs], [0, null, null]);
      assert.deepEqual([empty?.delayed, empty?.dead], [1, 1]);
    },
  },
  {
    name: 'counts are right after a long random life',
    async run(make) {
      const defaults = { maxAttempts: 3, leaseMs: 20 * SECOND };
      const { bus, clock } = await openBus(make, { defaults });
      let seed = 42;
      const random = (below: number): number => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return Math.floor(seed / 65_536) % below; // the low bits of such a number are not random at all
      };
      for (let step = 0; step < 400; step += 1) {
        const queue = `q${random(2)}`;
        const ttlMs = (random(90) + 1) * SECOND;
        if (random(3) > 0) await sendOne(bus, { queue, ttlMs, from: `s${random(3)}`, priority: random(10) });
        const deliveries = await take(bus, random(3), queue, { consumer: `c${random(3)}/1` });
        for (const delivery of deliveries) {
          const what = random(5);
          if (what < 2) await bus.ack(delivery);
          else if (what === 2) await bus.nack(delivery, { delayMs: random(3) * 10 * SECOND });
          else if (what === 3) await bus.nack(delivery, { dead: random(2) === 0 });
        }
        if (random(20) === 0) await bus.release(`c${random(3)}/1`);
        if (random(40) === 0) await bus.requeue(queue);
        clock.advance(random(2000));
      }
      await checkCounts(bus);
      const before = await bus.queues();
      await bus.close();
      const again = await make(busOptions({ now: clock.now, defaults }));
      assert.deepEqual(await again.queues(), before);
      await checkCounts(again);
    },
  },
  {
    name: 'queues lists by name what holds something or was configured',
    async run(make) {
      const { bus } = await openBus(make);
      assert.deepEqual(await bus.queues(), []);
      await bus.configure('set', { concurrency: 2 });
      for (const queue of ['work', '@zoe', '@alice', 'emptied']) await sendOne(bus, { queue });
      await drain(bus, ['emptied']);
      const listed = await bus.queues();
      assert.deepEqual(
        listed.map(({ name, ready }) => [name, ready]),
        [
          ['@alice', 1],
          ['@zoe', 1],
          ['set', 0],
          ['work', 1],
        ],
      );
      assert.deepEqual(listed[2], await bus.queue('set'));
      assert.equal((await bus.queue('emptied'))?.ready, 0);
    },
  },
  {
    name: 'settings count at once, are kept, replace what was configured before, and follow the defaults in the rest',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.configure('work', { leaseMs: 5 * SECOND, concurrency: 1 });
      await sendOne(bus);
      assert.equal((await takeOne(bus)).leaseUntilMs, clock.now() + 5 * SECOND);
      await bus.configure('work', { leaseMs: 7 * SECOND, perConsumer: null });
      await bus.close();
      const again = await make(busOptions({ now: clock.now, defaults: { maxAttempts: 9 } }));
      const expected = { ...busOptions().defaults, maxAttempts: 9, leaseMs: 7 * SECOND };
      assert.deepEqual((await again.queue('work'))?.settings, expected);
      await again.configure('work', {});
      assert.equal((await again.queue('work'))?.settings.leaseMs, MINUTE);
    },
  },
  {
    name: 'browse shows messages of every state without taking them',
    async run(make) {
      const { bus, clock } = await openBus(make);
      await bus.send(['dead', 'leased', 'delayed', 'ready'].map((payload) => messageOf({ payload, ttlMs: HOUR })));
      const [dead, , delayed] = await take(bus, 3);
      assert.ok(dead !== undefined && delayed !== undefined);
      await bus.nack(dead, { dead: true });
      await bus.nack(delayed);
      const stored = await bus.browse({ queue: 'work', limit: 10 });
      assert.deepEqual(
        stored.map(({ payload, state, consumer, attempt, death }) => [payload, state, consumer, attempt, death?.cause]),
        [
          ['dead', 'dead', null, 1, 'rejected'],
          ['leased', 'leased', 'bob/1', 1, undefined],
          ['delayed', 'delayed', null, 1, undefined],
          ['ready', 'ready', null, 0, undefined],
        ],
      );
      const { id, ...ready } = stored[3] as (typeof stored)[0];
      assert.equal(typeof id, 'string');
      assert.deepEqual(ready, {
        queue: 'work',
        from: 'alice',
        type: 'TEXT',
        payload: 'ready',
        priority: 4,
        correlationId: null,
        replyTo: null,
        sentAtMs: clock.now(),
        expiresAtMs: clock.now() + HOUR,
        attempt: 0,
        state: 'ready',
        consumer: null,
        death: null,
      });
      assert.equal((await take(bus, 9)).length, 1);
    },
  },
  {
    name: 'browse filters by queue, state, sender and correlation id, and pages by id',
    async run(make) {
      const { bus } = await openBus(make);
      for (const n of numbers(24)) {
        const who = { queue: n % 2 === 0 ? 'work' : 'other', from: n % 3 === 0 ? 'ann' : 'ben' };
        await sendOne(bus, { ...who, payload: n, ...(n % 4 === 0 ? { correlationId: 'c' } : {}) });
      }
      await take(bus, 3); // 0, 2 and 4
      const seen = async (request: Omit<BrowseRequest, 'limit'>) =>
        (await bus.browse({ ...request, limit: 100 })).map(({ payload }) => payload as number);
      const where = (test: (n: number) => boolean): number[] => numbers(24).filter(test);
      assert.deepEqual(
        await seen({ queue: 'work' }),
        where((n) => n % 2 === 0),
      );
      assert.deepEqual(
        await seen({ from: 'ann' }),
        where((n) => n % 3 === 0),
      );
      assert.deepEqual(
        await seen({ correlationId: 'c' }),
        where((n) => n % 4 === 0),
      );
      assert.deepEqual(await seen({ queue: 'work', from: 'ann', correlationId: 'c' }), [0, 12]);
      assert.deepEqual(await seen({ state: 'leased' }), [0, 2, 4]);
      assert.deepEqual(await seen({ queue: 'other', state: 'leased' }), []);
      assert.deepEqual(await seen({ queue: 'unknown' }), []);
      const paged: string[] = [];
      for (;;) {
        const after = paged.at(-1);
        const page = await bus.browse({ limit: 7, ...(after === undefined ? {} : { after }) });
        if (page.length === 0) break;
        assert.ok(page.length <= 7);
        paged.push(...page.map(({ id }) => id));
      }
      assert.equal(new Set(paged).size, 24);
      assert.deepEqual(paged, paged.toSorted());
    },
  },
  {
    name: 'a watcher that throws costs nobody else anything',
    async run(make) {
      const warnings: string[] = [];
      const { bus } = await openBus(make, { warn: (message) => void warnings.push(message) });
      bus.watch(() => {
        throw new Error('a careless watcher');
      });
      const { ofQueue } = watching(bus);
      await sendOne(bus);
      assert.equal((await takeOne(bus)).payload, 'hello');
      assert.ok(ofQueue('work') > 0);
      assert.match(warnings.join('\n'), /a careless watcher/);
    },
  },
  {
    name: 'close finishes what is under way; afterwards calls are refused',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const sent = Promise.all(numbers(100).map((n) => bus.send([messageOf({ payload: n })])));
      const closed = bus.close(10 * SECOND);
      assert.equal((await sent).length, 100);
      assert.deepEqual(await closed, { unsent: 0 });
      assert.deepEqual(await bus.close(), { unsent: 0 });
      await rejectsWith('BUS_UNAVAILABLE', bus.send([messageOf()]));
      await rejectsWith('BUS_UNAVAILABLE', bus.events({ patterns: ['>'], after: 0, limit: 1 }));
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await drain(again), numbers(100));
    },
  },
  {
    name: 'it says how durable it is',
    async run(make) {
      const bus = await make(busOptions({ now: clockAt().now }));
      assert.equal(typeof bus.durability.survivesPowerLoss, 'boolean');
      assert.match(bus.durability.says, /\w+ \w+/);
    },
  },
];

/** What the counters say is what is there. */
async function checkCounts(bus: MessageBus): Promise<void> {
  for (const queue of ['q0', 'q1', '@s0', '@s1', '@s2']) {
    const stats = await bus.queue(queue);
    const stored = await bus.browse({ queue, limit: 10_000 });
    const count = (state: string): number => stored.filter((message) => message.state === state).length;
    const { ready, leased, delayed, dead } = stats as NonNullable<typeof stats>;
    const counted = { ready: count('ready'), leased: count('leased'), delayed: count('delayed'), dead: count('dead') };
    assert.deepEqual({ ready, leased, delayed, dead }, counted, queue);
    assert.ok(queue.startsWith('@') || (ready > 0 && dead > 0), 'the case has become too easy');
  }
}
