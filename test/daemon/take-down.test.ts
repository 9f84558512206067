import { expect, test } from 'vitest';
import type { CustodyEntry } from '../../src/custodian/protocol.ts';
import { undoStart, type Standing } from '../../src/daemon/take-down.ts';

/** Everything that a start brings up; `ended` says in which order it ended. */
function standingWith(entries: Partial<CustodyEntry>[]) {
  const ended: string[] = [];
  const end = (name: string) => async (): Promise<void> => void ended.push(name);
  const part = (name: string) => ({ stop: end(name), close: end(name) });
  const standing = {
    custody: {
      call: async (method: string) => (method === 'list' ? { entries } : void ended.push(`custody ${method}`)),
      expectEnd: () => undefined,
      close: end('custody link'),
    },
    parts: {
      ...Object.fromEntries(
        ['reconciler', 'watch', 'otherDaemons', 'waits', 'http', 'fleet', 'native'].map((name) => [name, part(name)]),
      ),
      host: { stopWatching: end('watching'), settle: end('settled'), close: end('host') },
      workers: { host: part('host worker'), control: part('control worker'), workflows: part('workflow worker') },
      messaging: { stopWaking: end('waking'), close: end('messaging') },
      runs: { scheduleWatch: part('schedule watch'), upkeep: part('run upkeep'), answers: part('answers') },
      incidents: { upkeep: part('incident upkeep') },
    },
    temporal: { embedded: { stop: end('temporal'), detach: end('temporal detached') } },
    roster: part('roster'),
    stores: part('stores'),
    trouble: (message: string, error: unknown) => expect.unreachable(`${message}: ${String(error)}`),
  } as unknown as Standing;
  return { standing, ended, letGo: () => void ended.push('calls to Temporal') };
}

const LIVE = {} as NonNullable<CustodyEntry['live']>;
const PARTS = [
  'waking',
  'reconciler',
  'watch',
  'otherDaemons',
  'schedule watch',
  'run upkeep',
  'incident upkeep',
  'watching',
  'host worker',
  'control worker',
  'settled',
  'workflow worker',
  'answers',
  'host',
  'waits',
  'calls to Temporal',
  'http',
  'messaging',
  'stores',
  'fleet',
  'native',
  'roster',
];

test('a start that failed ends all that it has brought up', async () => {
  const { standing, ended, letGo } = standingWith([{ agent: '_temporal', live: LIVE }]);
  await undoStart(standing, letGo);
  // What listens first: nothing more is to be accepted.
  expect(ended[0]).toBe('http');
  expect(ended.slice(1).toSorted()).toEqual([...PARTS, 'temporal', 'custody end', 'custody link'].toSorted());
  expect(ended.slice(-3)).toEqual(['temporal', 'custody end', 'custody link']);
});

test('a start that failed leaves the agents that ran before, and Temporal', async () => {
  const { standing, ended, letGo } = standingWith([{ agent: 'a', live: LIVE }]);
  await undoStart(standing, letGo);
  expect(ended.slice(1).toSorted()).toEqual([...PARTS, 'temporal detached', 'custody link'].toSorted());
});
