import assert from 'node:assert/strict';
import type { StateOptions, StateStore } from '../ports/state-store.ts';
import { clockAt, type Clock, type ConformanceCase, HOUR, MINUTE, numbers, rejectsWith, SECOND } from './fixture.ts';
import { DIFFICULT_VALUES } from './payloads.ts';

/** Opens a state store on the store of this case, with exactly these options. */
export type MakeState = (options: StateOptions) => Promise<StateStore>;
type StateCase = ConformanceCase<MakeState>;

/** What every state store must do, whatever it is kept in: the contract of `src/ports/state-store.ts`, case by case. */
export const stateStoreCases: readonly StateCase[] = [
  {
    name: 'what was put is read, also after an opening',
    async run(make) {
      const { store, clock } = await openStore(make);
      assert.equal(await store.get('shared', 'k'), undefined);
      const written = await store.put('shared', 'k', { n: 1 });
      const { version, ...rest } = written;
      assert.ok(version >= 1);
      assert.deepEqual(rest, { key: 'k', value: { n: 1 }, updatedAtMs: clock.now(), expiresAtMs: null });
      assert.deepEqual(await store.get('shared', 'k'), written);
      await store.close();
      const again = await make({ now: clock.now, warn: () => undefined });
      assert.deepEqual(await again.get('shared', 'k'), written);
    },
  },
  ...DIFFICULT_VALUES.map(({ name, value }) => ({
    name: `a value comes out as it went in: ${name}`,
    async run(make: MakeState) {
      const { store } = await openStore(make);
      const text = JSON.stringify(value);
      assert.equal(JSON.stringify((await store.put('shared', 'k', value)).value), text);
      assert.equal(JSON.stringify((await store.get('shared', 'k'))?.value), text);
      assert.equal(JSON.stringify((await store.list('shared', { limit: 1 }))[0]?.value), text);
    },
  })),
  {
    name: 'versions grow with each write, and never come again: deleted, cleared, expired, after an opening',
    async run(make) {
      const { store, clock } = await openStore(make);
      const versions = [(await store.put('s', 'k', 1)).version, (await store.put('s', 'k', 1)).version];
      for (const n of numbers(20)) await store.put('s', 'busy', n); // what another key does changes nothing about it
      await store.delete('s', 'busy');
      await store.delete('s', 'k');
      versions.push((await store.put('s', 'k', 1, { ttlMs: SECOND })).version);
      clock.advance(HOUR);
      versions.push((await store.put('s', 'k', 1)).version);
      await store.clear('s');
      versions.push((await store.put('s', 'k', 1)).version);
      await store.delete('s', 'k');
      await store.close();
      const again = await make({ now: clock.now, warn: () => undefined });
      versions.push((await again.put('s', 'k', 1)).version);
      assert.deepEqual(
        versions,
        [...new Set(versions)].toSorted((a, b) => a - b),
      );
    },
  },
  {
    name: 'put with an expected version writes only if the entry has it; 0 is none',
    async run(make) {
      const { store } = await openStore(make);
      assert.equal(
        (await rejectsWith('VERSION_CONFLICT', store.put('s', 'k', 1, { expectedVersion: 7 })))['version'],
        0,
      );
      const first = await store.put('s', 'k', 1, { expectedVersion: 0 });
      const details = await rejectsWith('VERSION_CONFLICT', store.put('s', 'k', 2, { expectedVersion: 0 }));
      assert.deepEqual(details, { scope: 's', key: 'k', version: first.version });
      const second = await store.put('s', 'k', 2, { expectedVersion: first.version });
      const stale = store.put('s', 'k', 3, { expectedVersion: first.version });
      assert.equal((await rejectsWith('VERSION_CONFLICT', stale))['version'], second.version);
      assert.deepEqual(await store.get('s', 'k'), second);
    },
  },
  {
    name: 'of 100 writers at once with the same expected version, one wins each round',
    async run(make) {
      const { store } = await openStore(make);
      let expectedVersion = 0;
      for (const round of numbers(5)) {
        const writers = numbers(100).map((n) => store.put('s', 'k', [round, n], { expectedVersion }));
        const results = await Promise.allSettled(writers);
        const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        assert.equal(won.length, 1);
        const [winner] = won as [(typeof won)[0]];
        assert.deepEqual(await store.get('s', 'k'), winner);
        for (const result of results) {
          if (result.status === 'fulfilled') continue;
          await rejectsWith('VERSION_CONFLICT', Promise.reject(result.reason as Error));
          assert.equal((result.reason as { details: { version: number } }).details.version, winner.version);
        }
        expectedVersion = winner.version;
      }
    },
  },
  {
    name: '100 counters that try again all count',
    async run(make) {
      const { store } = await openStore(make);
      await Promise.all(
        numbers(100).map(async () => {
          for (;;) {
            const entry = await store.get('s', 'count');
            const next = ((entry?.value as number | undefined) ?? 0) + 1;
            const done = await store.put('s', 'count', next, { expectedVersion: entry?.version ?? 0 }).then(
              () => true,
              () => false,
            );
            if (done) return;
          }
        }),
      );
      assert.equal((await store.get('s', 'count'))?.value, 100);
    },
  },
  {
    name: 'delete says whether there was one, and heeds an expected version',
    async run(make) {
      const { store } = await openStore(make);
      assert.equal(await store.delete('s', 'k'), false);
      assert.equal(await store.delete('s', 'k', { expectedVersion: 0 }), false);
      assert.equal(
        (await rejectsWith('VERSION_CONFLICT', store.delete('s', 'k', { expectedVersion: 3 })))['version'],
        0,
      );
      const { version } = await store.put('s', 'k', 1);
      const details = await rejectsWith('VERSION_CONFLICT', store.delete('s', 'k', { expectedVersion: version + 1 }));
      assert.deepEqual(details, { scope: 's', key: 'k', version });
      assert.equal(
        (await rejectsWith('VERSION_CONFLICT', store.delete('s', 'k', { expectedVersion: 0 })))['version'],
        version,
      );
      assert.equal(await store.delete('s', 'k', { expectedVersion: version }), true);
      assert.equal(await store.get('s', 'k'), undefined);
      await store.put('s', 'k', 2);
      assert.equal(await store.delete('s', 'k'), true);
    },
  },
  {
    name: 'an entry with a time to live is gone when it is over; the next write without one keeps it',
    async run(make) {
      const { store, clock } = await openStore(make);
      const entry = await store.put('s', 'brief', 1, { ttlMs: MINUTE });
      assert.equal(entry.expiresAtMs, clock.now() + MINUTE);
      await store.put('s', 'kept', 1, { ttlMs: MINUTE });
      await store.put('s', 'kept', 2);
      clock.advance(MINUTE - 1);
      assert.equal((await store.list('s', { limit: 9 })).length, 2);
      clock.advance(1);
      assert.equal(await store.get('s', 'brief'), undefined);
      assert.deepEqual(
        (await store.list('s', { limit: 9 })).map(({ key }) => key),
        ['kept'],
      );
      const stale = store.put('s', 'brief', 2, { expectedVersion: entry.version });
      assert.equal((await rejectsWith('VERSION_CONFLICT', stale))['version'], 0);
      assert.equal(await store.delete('s', 'brief'), false);
      await store.put('s', 'again', 1, { ttlMs: MINUTE });
      await store.put('s', 'brief', 3, { expectedVersion: 0 });
      await store.close();
      clock.advance(HOUR);
      const reopened = await make({ now: clock.now, warn: () => undefined });
      assert.deepEqual(
        (await reopened.list('s', { limit: 9 })).map(({ key }) => key),
        ['brief', 'kept'],
      );
      assert.equal(await reopened.clear('s'), 2);
    },
  },
  {
    name: 'list gives the keys with the prefix in the order of their bytes, page by page',
    async run(make) {
      const { store } = await openStore(make);
      const keys = [
        'a',
        'a%b',
        'a*',
        'a.b',
        'a/1',
        'a/10',
        'a/2',
        'a[b',
        'a_b',
        'aé',
        'a\uffee',
        'a\u{1f680}',
        'b',
        'A',
      ];
      await Promise.all(keys.map((key) => store.put('s', key, key)));
      const inBytes = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const listed = async (prefix: string): Promise<string[]> =>
        (await store.list('s', { prefix, limit: 100 })).map(({ key }) => key);
      for (const prefix of ['', 'a', 'a%', 'a_', 'a/', 'a/1', 'a[', 'a*', 'aé', 'a\u{1f680}', 'c']) {
        assert.deepEqual(
          await listed(prefix),
          inBytes.filter((key) => key.startsWith(prefix)),
          prefix,
        );
      }
      assert.deepEqual(
        (await store.list('s', { limit: 100 })).map(({ key }) => key),
        inBytes,
      );
      const paged: string[] = [];
      for (;;) {
        const after = paged.at(-1);
        const page = await store.list('s', { prefix: 'a', limit: 3, ...(after === undefined ? {} : { after }) });
        if (page.length === 0) break;
        assert.ok(page.length <= 3);
        paged.push(...page.map(({ key }) => key));
      }
      assert.deepEqual(
        paged,
        inBytes.filter((key) => key.startsWith('a')),
      );
      const above = await store.list('s', { prefix: 'a', after: 'a/1x', limit: 2 });
      assert.deepEqual(
        above.map(({ key }) => key),
        ['a/2', 'a[b'],
      );
      assert.deepEqual(above[0], await store.get('s', 'a/2'));
    },
  },
  {
    name: 'scopes do not know each other, and clear empties one of them',
    async run(make) {
      const { store } = await openStore(make);
      const scopes = ['shared', 'agent/a', 'agent/a.b', 'agent/aa', 'agent'];
      for (const scope of scopes) {
        await store.put(scope, 'k', scope);
        await store.put(scope, 'a/k', scope);
      }
      assert.equal(await store.clear('agent/a'), 2);
      assert.equal(await store.clear('agent/a'), 0);
      assert.deepEqual(await store.list('agent/a', { limit: 9 }), []);
      for (const scope of scopes.filter((each) => each !== 'agent/a')) {
        assert.deepEqual(
          (await store.list(scope, { limit: 9 })).map(({ key, value }) => [key, value]),
          [
            ['a/k', scope],
            ['k', scope],
          ],
        );
      }
    },
  },
  {
    name: 'close finishes what is under way; afterwards calls are refused',
    async run(make) {
      const { store, clock } = await openStore(make);
      const written = Promise.all(numbers(100).map((n) => store.put('s', `k${n}`, n)));
      const closed = store.close(10 * SECOND);
      assert.equal((await written).length, 100);
      assert.deepEqual(await closed, { unsent: 0 });
      assert.deepEqual(await store.close(), { unsent: 0 });
      await rejectsWith('STATE_UNAVAILABLE', store.put('s', 'k', 1));
      await rejectsWith('STATE_UNAVAILABLE', store.get('s', 'k'));
      const again = await make({ now: clock.now, warn: () => undefined });
      assert.equal((await again.list('s', { prefix: 'k', limit: 1000 })).length, 100);
    },
  },
  {
    name: 'it says how durable it is',
    async run(make) {
      const { store } = await openStore(make);
      assert.equal(typeof store.durability.survivesPowerLoss, 'boolean');
      assert.match(store.durability.says, /\w+ \w+/);
    },
  },
];

async function openStore(make: MakeState): Promise<{ store: StateStore; clock: Clock }> {
  const clock = clockAt();
  return { store: await make({ now: clock.now, warn: () => undefined }), clock };
}
