import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, fixture, isAlive } from '../../support/custodian.ts';
import type { TestHost } from '../../support/custodian.ts';
import { until } from '../../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

async function pidsInLog(agent: string, count: number): Promise<number[]> {
  const read = () => host.log(agent, 1).split('\n').filter(Boolean).map(Number);
  const pids = await until(() => (read().length >= count ? read() : undefined), { what: `${count} pids in the log` });
  for (const pid of pids) host.owns(pid);
  return pids;
}

test('stop ends sh, its sh and their sleep', async () => {
  await host.spawn('a', 1, [fixture('nested.sh')]);
  const pids = await pidsInLog('a', 3);
  await host.client.request('stop', {
    agent: 'a',
    generation: 1,
    cause: 'operator',
    signal: 'SIGTERM',
    grace_ms: 2000,
  });
  const { exit } = await host.exitOf('a');
  expect(exit.cause).toBe('operator');
  expect(pids.filter(isAlive)).toEqual([]);
});

test('exit of the main process kills what holds its standard output', async () => {
  await host.spawn('a', 1, [fixture('orphan-holds-stdout.sh')]);
  const { exit } = await host.exitOf('a');
  const [orphan] = await pidsInLog('a', 1);
  expect(exit.code).toBe(5);
  expect(isAlive(orphan!)).toBe(false);
});

test('exit of the main process kills a double-forked child in its own session', async () => {
  await host.spawn('a', 1, [fixture('double-fork.py'), 'exit']);
  const [child] = await pidsInLog('a', 1);
  expect(isAlive(child!)).toBe(true);
  await host.exitOf('a');
  expect(isAlive(child!)).toBe(false);
});

test('stop kills a child that left session, parent and environment, once it has been seen', async () => {
  await host.spawn('a', 1, [fixture('double-fork.py'), 'stay', 'clear-env']);
  const [child] = await pidsInLog('a', 1);
  // A look at the tree happens each second; this signal brings one at once and changes nothing.
  await host.client.request('signal', { agent: 'a', generation: 1, signal: 'SIGCONT' });
  await host.client.request('stop', {
    agent: 'a',
    generation: 1,
    cause: 'operator',
    signal: 'SIGTERM',
    grace_ms: 2000,
  });
  await host.exitOf('a');
  expect(isAlive(child!)).toBe(false);
});

test('exit of one agent leaves the tree of another alone', async () => {
  await host.spawn('a', 1, [fixture('nested.sh')]);
  await host.spawn('b', 1, [fixture('nested.sh')]);
  await pidsInLog('a', 3);
  const others = await pidsInLog('b', 3);
  process.kill((await host.entry('a'))!.live!.pid, 'SIGKILL');
  await host.exitOf('a');
  expect(others.filter(isAlive)).toEqual(others);
});

test('SIGSTOP and SIGCONT go to the whole tree', async () => {
  const { stateOf } = await import('../../support/custodian.ts');
  await host.spawn('a', 1, [fixture('double-fork.py'), 'stay']);
  const [child] = await pidsInLog('a', 1);
  const pids = [(await host.entry('a'))!.live!.pid, child!];
  await host.client.request('signal', { agent: 'a', generation: 1, signal: 'SIGSTOP' });
  await until(() => pids.every((pid) => stateOf(pid) === 'T'), { what: 'a stopped tree' });
  await host.client.request('signal', { agent: 'a', generation: 1, signal: 'SIGCONT' });
  await until(() => pids.every((pid) => stateOf(pid) !== 'T'), { what: 'a tree that runs again' });
});
