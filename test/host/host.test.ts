import { expect, test } from 'vitest';
import type { Definition } from '../../src/contract/definition.ts';
import type { CustodyEntry, SpawnParams } from '../../src/custodian/protocol.ts';
import type { ExitRecord } from '../../src/domain/custody.ts';
import { Host, type HostOptions } from '../../src/host/host.ts';

/** A host whose custodian answers as the test says; `during` happens right before its answer arrives. */
function hostOf(answers: Record<string, unknown>, during: (host: Host, method: string) => void = () => undefined) {
  const recorded: unknown[] = [];
  const rung: string[] = [];
  const ring = async (agentId: string, id: string | number): Promise<boolean> => rung.push(`${agentId}/${id}`) > 0;
  const host: Host = new Host({
    custody: {
      call: async (method: string) => {
        await Promise.resolve();
        during(host, method);
        return answers[method];
      },
    } as unknown as HostOptions['custody'],
    doorbell: { ringRun: ring, ringStop: ring, beat: async () => undefined } as unknown as HostOptions['doorbell'],
    orders: { of: async () => false },
    roster: {
      list: async () => [],
      get: async () => undefined,
      recordProcess: async (...facts: unknown[]) => void recorded.push(facts),
      subscribe: () => () => undefined,
    } as unknown as HostOptions['roster'],
    logs: { tail: async () => [] } as unknown as HostOptions['logs'],
    prepare: async ({ input, generation }) => ({ agent: input.agent_id, generation }) as SpawnParams,
    execContext: () => Promise.reject(new Error('no checks here')),
    onEnd: () => undefined,
    onUnheard: async () => undefined,
    onTrouble: () => undefined,
  });
  return { host, recorded, rung };
}

const exitOf = (generation: number): ExitRecord => ({
  generation,
  code: 0,
  signal: null,
  cause: 'self',
  at: '2026-01-01T00:00:00.000Z',
  ran_ms: 10,
});
const tellExit = (host: Host, generation: number): void =>
  host.onExit({ agent: 'a', exit: exitOf(generation), custody: { fence: generation, last_exit: exitOf(generation) } });
const spawned = { pid: 7, started_at: '2026-01-01T00:00:00.000Z', log_path: '/log', custody: { fence: 1 } };
const spawn = (host: Host, generation: number): Promise<void> =>
  host.spawn({ input: { agent_id: 'a' }, generation } as Parameters<Host['spawn']>[0], {} as Definition);
const isWatched = (host: Host, generation: number): boolean => host.heartbeat('a', {}, generation) !== undefined;
const entryOf = (generation: number): CustodyEntry => ({
  agent: 'a',
  custody: { fence: generation, live: { generation, pid: 7 } },
  live: { generation, pid: 7, started_at: '2026-01-01T00:00:00.000Z', parent: true, log_path: '/log' },
});

test('Host watches what it has spawned, unless its end was told before the answer', async () => {
  const quick = hostOf({ spawn: spawned }, (host, method) => method === 'spawn' && tellExit(host, 1));
  await spawn(quick.host, 1);
  expect(isWatched(quick.host, 1)).toBe(false);
  const slow = hostOf({ spawn: spawned });
  await spawn(slow.host, 1);
  expect(isWatched(slow.host, 1)).toBe(true);
});

test('Host watches a new agent of a name whose generations begin anew', async () => {
  const { host } = hostOf({ spawn: spawned });
  tellExit(host, 9);
  await spawn(host, 1);
  expect(isWatched(host, 1)).toBe(true);
});

test('Host does not take over a process that ends while the list of them is on its way', async () => {
  const { host, recorded, rung } = hostOf({ list: { entries: [entryOf(3)] } }, (own) => tellExit(own, 3));
  await host.sync(() => 2);
  expect(isWatched(host, 3)).toBe(false);
  expect(rung).toEqual(['a/3']);
  expect(recorded).toEqual([['a', expect.objectContaining({ generation: 3, pid: null })]]);
});

test('Host takes over what lives, and tells an end that nobody has dealt with', async () => {
  const { host } = hostOf({ list: { entries: [entryOf(3)] } });
  await host.sync(() => 2);
  expect(isWatched(host, 3)).toBe(true);
  const ended = { agent: 'a', custody: { fence: 3, last_exit: exitOf(3) } };
  for (const [handled, told] of [
    [3, []],
    [2, ['a/3']],
  ] as const) {
    const other = hostOf({ list: { entries: [ended] } });
    await other.host.sync(() => handled);
    expect(other.rung).toEqual(told);
  }
});

test('Host watches a process that the custodian started after the call for it had been given up', async () => {
  const { host, recorded } = hostOf({ list: { entries: [entryOf(3)] } });
  await host.adopt('a', 3);
  expect(isWatched(host, 3)).toBe(true);
  expect(recorded).toEqual([['a', expect.objectContaining({ generation: 3, pid: 7 })]]);

  const ended = hostOf({ list: { entries: [entryOf(3)] } }, (own) => tellExit(own, 3));
  await ended.host.adopt('a', 3);
  expect(isWatched(ended.host, 3)).toBe(false);
  const other = hostOf({ list: { entries: [entryOf(4)] } });
  await other.host.adopt('a', 3);
  expect([isWatched(other.host, 3), isWatched(other.host, 4)]).toEqual([false, false]);
});

test('Host tells every stop that waits for an end, also those from before the custodian was started again', async () => {
  const stopping = { ...entryOf(3), live: { ...entryOf(3).live!, stopping: { cause: 'operator', since: '' } } };
  const { host, rung } = hostOf({ stop: { done: false }, list: { entries: [stopping] } });
  const stop = { agent_id: 'a', generation: 3, reason: '', cause: 'operator', stop: { signal: 'SIGTERM', graceMs: 1 } };
  await host.stop(stop as Parameters<Host['stop']>[0], 'stop/3/1');
  await host.sync(() => 2);
  tellExit(host, 3);
  expect(rung.toSorted()).toEqual(['a/3', 'a/stop/3', 'a/stop/3/1']);
});

test('Host tells the roster once of what cannot be killed, of the generation that it watches', async () => {
  const { host, recorded } = hostOf({ spawn: spawned });
  await spawn(host, 2);
  const stuck = { agent: 'a', generation: 2, pid: 8, kernel_state: 'D' };
  recorded.length = 0;
  for (const told of [{ ...stuck, generation: 1 }, stuck, stuck]) host.onStuck(told);
  expect(recorded).toMatchObject([['a', { generation: 2, pid: 7, stuck: { pid: 8, kernel_state: 'D' } }]]);
});
