import assert from 'node:assert/strict';
import type { BusEvent, EventsPage, MessageBus } from '../ports/message-bus.ts';
import type { BusCase } from './fixture.ts';
import { busOptions, DAY, HOUR, numbers, openBus, SECOND, watching } from './fixture.ts';
import { until } from './wait.ts';

/** Publishing and reading on. */
export const topicCases: BusCase[] = [
  {
    name: 'an event is read as it was published, with a cursor that grows by one',
    async run(make) {
      const { bus, clock } = await openBus(make);
      assert.equal(await bus.latestEvent(), 0);
      assert.deepEqual(await events(bus, ['>']), { events: [], next: 0, missed: false });
      const first = await bus.publish({ topic: 'a.b', from: 'alice', payload: { n: 1 }, key: 'k \0 \ud800' });
      const second = await bus.publish({ topic: 'c', from: 'ben', payload: null });
      assert.deepEqual(
        [first, second],
        [
          { cursor: 1, duplicate: false },
          { cursor: 2, duplicate: false },
        ],
      );
      const atMs = clock.now();
      assert.deepEqual(await events(bus, ['>']), {
        events: [
          { cursor: 1, topic: 'a.b', from: 'alice', payload: { n: 1 }, key: 'k \0 \ud800', atMs },
          { cursor: 2, topic: 'c', from: 'ben', payload: null, key: null, atMs },
        ],
        next: 2,
        missed: false,
      });
      assert.equal(await bus.latestEvent(), 2);
    },
  },
  {
    name: 'patterns choose topics: names, * for one segment, > for the rest',
    async run(make) {
      const { bus } = await openBus(make);
      const topics = ['a', 'a.b', 'a.b.c', 'a.c', 'b', 'b.a', 'A', 'a_b', 'a.b-c'];
      for (const topic of topics) await publish(bus, topic);
      const seen = async (...patterns: string[]) => (await events(bus, patterns)).events.map(({ topic }) => topic);
      assert.deepEqual(await seen('>'), topics);
      assert.deepEqual(await seen('a'), ['a']);
      assert.deepEqual(await seen('*'), ['a', 'b', 'A', 'a_b']);
      assert.deepEqual(await seen('a.*'), ['a.b', 'a.c', 'a.b-c']);
      assert.deepEqual(await seen('a.>'), ['a.b', 'a.b.c', 'a.c', 'a.b-c']);
      assert.deepEqual(await seen('*.a'), ['b.a']);
      assert.deepEqual(await seen('a.*.c', 'b', 'a.b.>', 'b'), ['a.b.c', 'b']);
      assert.deepEqual(await seen('none'), []);
      assert.deepEqual(await seen(), []);
    },
  },
  {
    name: 'pages go on where the last one ended, and past what does not match',
    async run(make) {
      const { bus } = await openBus(make);
      for (const n of numbers(30)) await publish(bus, n % 3 === 0 ? 'mine' : `other.${n % 3}`, n);
      const seen: unknown[] = [];
      let after = 0;
      for (;;) {
        const page = await bus.events({ patterns: ['mine'], after, limit: 4 });
        assert.ok(page.events.length <= 4);
        seen.push(...page.events.map(({ payload }) => payload));
        assert.ok(page.next >= after);
        if (page.next === after) break;
        after = page.next;
      }
      assert.deepEqual(
        seen,
        numbers(10).map((n) => n * 3),
      );
      assert.equal(after, 30, 'what does not match is not looked at again');
      await publish(bus, 'mine', 'new');
      assert.equal((await bus.events({ patterns: ['mine'], after, limit: 4 })).events[0]?.payload, 'new');
    },
  },
  {
    name: 'a pattern may match hundreds of topics',
    async run(make) {
      const { bus } = await openBus(make);
      await Promise.all(numbers(600).map((n) => publish(bus, `${n % 2 === 0 ? 'mine' : 'other'}.t${n % 200}`, n)));
      const seen: BusEvent[] = [];
      for (let after = 0; ;) {
        const page = await bus.events({ patterns: ['mine.*'], after, limit: 70 });
        seen.push(...page.events);
        if (page.next === after) break;
        after = page.next;
      }
      assert.equal(new Set(payloadsOf(seen)).size, 300);
      assert.ok(seen.every(({ topic, payload }) => topic === `mine.t${(payload as number) % 200}`));
      const cursors = seen.map(({ cursor }) => cursor);
      assert.deepEqual(
        cursors,
        cursors.toSorted((a, b) => a - b),
      );
    },
  },
  {
    name: 'concurrent publishers get cursors of their own, and a reader misses none of them',
    async run(make) {
      const { bus } = await openBus(make);
      const published: Promise<{ cursor: number }>[] = [];
      const read: number[] = [];
      let after = 0;
      for (let round = 0; round < 20; round += 1) {
        published.push(...numbers(10).map((n) => publish(bus, `t.${n}`)));
        const page = await bus.events({ patterns: ['>'], after, limit: 1000 });
        read.push(...page.events.map(({ cursor }) => cursor));
        after = page.next;
      }
      const cursors = (await Promise.all(published)).map(({ cursor }) => cursor);
      read.push(...(await bus.events({ patterns: ['>'], after, limit: 1000 })).events.map(({ cursor }) => cursor));
      assert.deepEqual(
        cursors.toSorted((a, b) => a - b),
        numbers(200).map((n) => n + 1),
      );
      assert.deepEqual(
        read,
        numbers(200).map((n) => n + 1),
      );
    },
  },
  {
    name: 'the same key on the same topic is the same event while the first is kept',
    async run(make) {
      const { bus, clock } = await openBus(make, { topics: { keepCount: 2, keepMs: HOUR } });
      const keyed = { topic: 't', from: 'alice', payload: 1, key: 'k' };
      assert.deepEqual(await bus.publish(keyed), { cursor: 1, duplicate: false });
      assert.deepEqual(await bus.publish({ ...keyed, payload: 2 }), { cursor: 1, duplicate: true });
      assert.deepEqual(await bus.publish({ ...keyed, topic: 'other' }), { cursor: 2, duplicate: false });
      await bus.close();
      const again = await make(busOptions({ now: clock.now, topics: { keepCount: 2, keepMs: HOUR } }));
      assert.deepEqual(await again.publish(keyed), { cursor: 1, duplicate: true });
      assert.equal((await events(again, ['t'])).events.length, 1);
      await publish(again, 't');
      await publish(again, 't'); // the first one is dropped: only two are kept
      assert.deepEqual(await again.publish(keyed), { cursor: 5, duplicate: false });
      clock.advance(HOUR);
      assert.deepEqual(await again.publish(keyed), { cursor: 6, duplicate: false });
    },
  },
  {
    name: 'of each topic only so many events are kept; who comes late is told that he missed some',
    async run(make) {
      const { bus } = await openBus(make, { topics: { keepCount: 5, keepMs: DAY } });
      await publish(bus, 'quiet', 'q');
      for (const n of numbers(12)) await publish(bus, 'busy', n);
      const late = await events(bus, ['busy']);
      assert.deepEqual(payloadsOf(late.events), [7, 8, 9, 10, 11]);
      assert.equal(late.missed, true);
      assert.equal((await events(bus, ['busy'], 7)).missed, true, 'the event with cursor 8 is gone');
      assert.equal((await events(bus, ['busy'], 8)).missed, false, 'the next one is cursor 9');
      assert.equal((await events(bus, ['quiet', 'busy'])).missed, true);
      const quiet = await events(bus, ['quiet']);
      assert.deepEqual([payloadsOf(quiet.events), quiet.missed], [['q'], false], 'another topic dropped them');
    },
  },
  {
    name: 'events are kept so long; that one was missed is known also when none is left',
    async run(make) {
      const { bus, clock } = await openBus(make, { topics: { keepCount: 100, keepMs: HOUR } });
      await publish(bus, 'old', 1);
      clock.advance(HOUR - SECOND);
      await publish(bus, 'new', 2);
      assert.equal((await events(bus, ['>'])).events.length, 2);
      clock.advance(SECOND);
      const page = await events(bus, ['>']);
      assert.deepEqual([payloadsOf(page.events), page.missed, page.next], [[2], true, 2]);
      assert.deepEqual(await events(bus, ['old']), { events: [], next: 2, missed: true });
      assert.equal((await events(bus, ['old'], 1)).missed, false);
      assert.deepEqual(
        (await bus.topics()).map(({ topic }) => topic),
        ['new'],
      );
      await bus.close();
      clock.advance(HOUR);
      const again = await make(busOptions({ now: clock.now, topics: { keepCount: 100, keepMs: HOUR } }));
      assert.deepEqual(await again.topics(), []);
      assert.equal(await again.latestEvent(), 2, 'cursors are not used twice');
      assert.equal((await events(again, ['new'], 1)).missed, true);
      assert.equal((await publish(again, 'new', 3)).cursor, 3);
    },
  },
  {
    name: 'a cursor from beyond the end, of a store that was lost, is put back to it',
    async run(make) {
      const { bus } = await openBus(make);
      await publish(bus, 't');
      assert.deepEqual(await events(bus, ['t'], 500), { events: [], next: 1, missed: true });
    },
  },
  {
    name: 'topics tells of each what it holds, by name, also after an opening',
    async run(make) {
      const { bus, clock } = await openBus(make);
      const firstMs = clock.now();
      await publish(bus, 'b.two');
      clock.advance(SECOND);
      await publish(bus, 'a.one');
      await publish(bus, 'b.two');
      await bus.close();
      const again = await make(busOptions({ now: clock.now }));
      assert.deepEqual(await again.topics(), [
        { topic: 'a.one', events: 1, firstCursor: 2, lastCursor: 2, lastAtMs: firstMs + SECOND },
        { topic: 'b.two', events: 2, firstCursor: 1, lastCursor: 3, lastAtMs: firstMs + SECOND },
      ]);
      assert.deepEqual(
        (await events(again, ['>'])).events.map(({ cursor }) => cursor),
        [1, 2, 3],
      );
    },
  },
  {
    name: 'who watches is told of an event, and finds it',
    async run(make) {
      const { bus } = await openBus(make);
      const { changes } = watching(bus);
      await publish(bus, 'a.b');
      await until(() => changes.length > 0, { what: 'being told' });
      assert.deepEqual(changes, [{ kind: 'event', topic: 'a.b' }]);
      assert.equal((await events(bus, ['a.*'])).events.length, 1);
    },
  },
];

const publish = (bus: MessageBus, topic: string, payload: number | string = 0) =>
  bus.publish({ topic, from: 'alice', payload });

const events = (bus: MessageBus, patterns: string[], after = 0): Promise<EventsPage> =>
  bus.events({ patterns, after, limit: 1000 });

const payloadsOf = (events: BusEvent[]) => events.map(({ payload }) => payload);
