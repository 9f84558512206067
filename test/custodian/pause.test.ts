import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, fixture, isAlive, pidsOf, stateOf } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const pause = (agent: string, generation = 1) => host.client.request('pause', { agent, generation });
const resume = (agent: string, generation = 1) => host.client.request('resume', { agent, generation });
const stop = (agent: string) =>
  host.client.request('stop', { agent, generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: 10_000 });
/** All but the custodian, which carries the variable of the test too. */
const tree = () => pidsOf(host.env['BENCH_RUN']!).filter((pid) => pid !== host.pid);
const states = () => tree().map(stateOf);

test('pause lets the whole tree stand still, resume lets it go on', async () => {
  await host.spawn('a', 1, ['sh', '-c', 'setsid sleep 1000 & sleep 1000 & echo up; wait']);
  await until(() => tree().length === 3, { what: 'the tree' });
  expect(await pause('a')).toMatchObject({ live: { generation: 1, paused: true } });
  expect(states()).toEqual(['T', 'T', 'T']);
  const custody = await resume('a');
  expect(custody.live).not.toHaveProperty('paused');
  await until(() => states().every((state) => state !== 'T'), { what: 'a tree that goes on' });
});

test('pause catches a tree that forks without end', async () => {
  const forks = 'while :; do setsid sh -c "sleep 0.2; sleep 1000" & sleep 0.005; done';
  await host.spawn('a', 1, ['sh', '-c', forks]);
  await until(() => tree().length > 20, { what: 'some forks' });
  await pause('a');
  const before = tree().toSorted((a, b) => a - b);
  // `D`: one that was in the middle of a vfork waits for its child, which stands still.
  expect(states().filter((state) => state !== 'T' && state !== 'D')).toEqual([]);
  await host.client.request('custody', { agent: 'a' });
  expect(tree().toSorted((a, b) => a - b)).toEqual(before);
});

test('pause stops again what somebody else lets go on', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  await pause('a');
  process.kill(pid, 'SIGCONT');
  await until(() => stateOf(pid) !== 'T', { what: 'a process that goes on' });
  await until(() => stateOf(pid) === 'T', { what: 'a process that stands again' });
});

test('pause is kept by the custodian that follows a killed one', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  await pause('a');
  await host.kill();
  process.kill(pid, 'SIGCONT');
  await host.start();
  expect((await host.entry('a'))?.custody.live).toMatchObject({ paused: true });
  await until(() => stateOf(pid) === 'T', { what: 'a process that stands again' });
  await resume('a');
  await host.kill();
  await host.start();
  expect((await host.entry('a'))?.custody.live).not.toHaveProperty('paused');
  expect(stateOf(pid)).toBe('S');
});

test('stop of a paused tree lets it go on and leave by itself', async () => {
  await host.spawn('a', 1, [fixture('count-term.py')]);
  await until(() => host.log('a', 1).includes('ready'), { what: 'a ready agent' });
  await pause('a');
  await stop('a');
  expect((await host.exitOf('a')).exit).toMatchObject({ code: 3, cause: 'operator' });
  expect((await host.entry('a'))?.custody).not.toHaveProperty('live');
});

test('a pause after the stop changes nothing: it ends all the same', async () => {
  await host.spawn('a', 1, [fixture('count-term.py')]);
  await until(() => host.log('a', 1).includes('ready'), { what: 'a ready agent' });
  const [, custody] = await Promise.all([stop('a'), pause('a')]);
  expect(custody.live).not.toHaveProperty('paused');
  expect((await host.exitOf('a')).exit).toMatchObject({ code: 3 });
});

test('a paused process that is killed ends with its exit', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  await pause('a');
  process.kill(pid, 'SIGKILL');
  expect((await host.exitOf('a')).exit).toMatchObject({ signal: 'SIGKILL', cause: 'self' });
});

test('pause of what has not started forbids the start; of what has ended, or another generation, does nothing', async () => {
  expect(await pause('a', 4)).toEqual({ fence: 4 });
  await expect(host.spawn('a', 4, ['sleep', '1'])).rejects.toMatchObject({ code: 'SUPERSEDED' });
  const { pid } = await host.spawn('a', 5, ['sleep', '1000']);
  expect((await pause('a', 4)).live).toEqual({ generation: 5, pid });
  expect((await pause('a', 6)).live).toEqual({ generation: 5, pid });
  expect(isAlive(pid)).toBe(true);
  expect(await resume('b', 1)).toEqual({ fence: 0 });
});

test('stop names its cause and what was seen in the exit', async () => {
  await host.spawn('a', 1, ['sleep', '1000']);
  const why = 'memory 300 MiB, over its limit of 256 MiB';
  const stopped = { agent: 'a', generation: 1, signal: 'SIGTERM', grace_ms: 1000 };
  await host.client.request('stop', { ...stopped, cause: 'limit', why });
  await host.client.request('stop', { ...stopped, cause: 'operator' }).catch(() => undefined);
  expect((await host.exitOf('a')).exit).toMatchObject({ cause: 'limit', why, signal: 'SIGTERM' });
});

test('trees tells the pids of all trees, or of those asked for', async () => {
  const { pid } = await host.spawn('a', 1, ['sh', '-c', 'sleep 1000 & sleep 1000 & wait']);
  const { pid: other } = await host.spawn('b', 1, ['sleep', '1000']);
  const all = await until(
    async () => {
      const { trees } = await host.client.request('trees', {});
      return trees['a']?.length === 3 && trees;
    },
    { what: 'the pass that sees the children' },
  );
  expect(all).toMatchObject({ a: expect.arrayContaining([pid]) as number[], b: [other] });
  expect(await host.client.request('trees', { agents: ['b', 'nobody'] })).toEqual({ trees: { b: [other] } });
});
