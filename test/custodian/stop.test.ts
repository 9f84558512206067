import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, fixture, isAlive, pidsOf } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const stop = (agent: string, generation: number, graceMs: number, signal = 'SIGTERM') =>
  host.client.request('stop', { agent, generation, cause: 'operator', signal, grace_ms: graceMs });
const isReady = (agent: string) => until(() => host.log(agent, 1).includes('ready'), { what: 'a ready agent' });

test('stop sends the signal once and carries the code of the process', async () => {
  await host.spawn('a', 1, [fixture('count-term.py')]);
  await isReady('a');
  expect(await stop('a', 1, 5000)).toMatchObject({ done: false, custody: { live: { generation: 1 } } });
  await stop('a', 1, 5000);
  const { exit } = await host.exitOf('a');
  expect(exit).toMatchObject({ code: 3, signal: null, cause: 'operator' });
  expect(host.log('a', 1).match(/term/g)).toHaveLength(1);
});

test('stop kills who ignores the signal after the grace', async () => {
  await host.spawn('a', 1, [fixture('ignore-term.sh')]);
  await isReady('a');
  const startMs = performance.now();
  await stop('a', 1, 300);
  const { exit } = await host.exitOf('a');
  const tookMs = performance.now() - startMs;
  expect(exit).toMatchObject({ signal: 'SIGKILL', cause: 'operator' });
  expect(tookMs).toBeGreaterThanOrEqual(290);
  expect(tookMs).toBeLessThan(2300);
});

test('stop reaches a stopped process', async () => {
  const { pid } = await host.spawn('a', 1, [fixture('count-term.py')]);
  await isReady('a');
  process.kill(pid, 'SIGSTOP');
  await stop('a', 1, 10_000);
  expect((await host.exitOf('a')).exit).toMatchObject({ code: 3, cause: 'operator' });
});

test('stop with a shorter grace shortens the first', async () => {
  await host.spawn('a', 1, [fixture('ignore-term.sh')]);
  await isReady('a');
  await stop('a', 1, 60_000);
  expect((await host.entry('a'))?.live?.stopping).toMatchObject({ cause: 'operator' });
  await stop('a', 1, 0);
  expect((await host.exitOf('a')).exit.signal).toBe('SIGKILL');
});

test('stop of what does not live is done at once and forbids the late start', async () => {
  expect(await stop('a', 4, 1000)).toEqual({ done: true, custody: { fence: 4 } });
  await expect(host.spawn('a', 4, ['sleep', '1'])).rejects.toMatchObject({ code: 'SUPERSEDED', custody: { fence: 4 } });
  expect((await host.spawn('a', 5, ['sleep', '1000'])).custody.fence).toBe(5);
});

test('stop of an older generation leaves the newer one alone', async () => {
  await host.spawn('a', 2, ['sleep', '1000']);
  expect(await stop('a', 1, 0)).toMatchObject({ done: true, custody: { live: { generation: 2 } } });
});

test('stop goes on when the daemon leaves', async () => {
  const { pid } = await host.spawn('a', 1, [fixture('ignore-term.sh')]);
  await isReady('a');
  await stop('a', 1, 300);
  host.client.close();
  await until(() => !isAlive(pid), { what: 'the end of the process' });
});

test('stop ends a tree that forks without end', async () => {
  // Each process lives a moment and leaves two; bounded, so that a defect here does not take the machine along.
  const bomb =
    'n=$1; while [ "$n" -gt 0 ]; do n=$((n-1)); setsid sh -c "sleep 0.05; sleep 1000" & sleep 0.01; done; wait';
  await host.spawn('a', 1, ['sh', '-c', bomb, 'bomb', '150']);
  const run = host.env['BENCH_RUN']!;
  await until(() => pidsOf(run).length > 30, { what: 'some forks' });
  await stop('a', 1, 0);
  await host.exitOf('a');
  // the custodian itself carries the variable too
  expect(pidsOf(run)).toEqual([host.pid]);
});

test('signal is refused for a generation that does not live', async () => {
  await host.spawn('a', 2, ['sleep', '1000']);
  const ask = (generation: number) => host.client.request('signal', { agent: 'a', generation, signal: 'SIGUSR1' });
  await expect(ask(1)).rejects.toMatchObject({ code: 'NOT_LIVE' });
  expect(await ask(2)).toEqual({ delivered: true });
  expect((await host.exitOf('a')).exit).toMatchObject({ signal: 'SIGUSR1', cause: 'self' });
});
