import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, isAlive } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const isRoot = process.getuid?.() === 0;
const NOBODY = { uid: 65_534, gid: 65_534 };

test.runIf(isRoot)(
  'user: the process runs as it, without the groups of the custodian, and is stopped all the same',
  async () => {
    await host.spawn('a', 1, ['sh', '-c', 'echo "$(id -u) $(id -g) $(id -G)"; sleep 1000'], { user: NOBODY, cwd: '/' });
    await until(() => host.log('a', 1).includes('65534 65534 65534\n'), { what: 'its ids' });
    await host.client.request('stop', {
      agent: 'a',
      generation: 1,
      cause: 'operator',
      signal: 'SIGTERM',
      grace_ms: 5000,
    });
    expect((await host.exitOf('a')).exit).toMatchObject({ signal: 'SIGTERM', cause: 'operator' });
  },
);

test.runIf(isRoot)('user: one that may not run the program is refused, and nothing is left', async () => {
  const spawning = host.spawn('a', 1, ['/root/../bin/sh', '-c', 'true'], { user: NOBODY, cwd: host.stateDir });
  await expect(spawning).rejects.toMatchObject({ code: 'SPAWN_FAILED' });
  expect(await host.entry('a')).toBeUndefined();
});

test.runIf(!isRoot)('user: another one takes root', async () => {
  const spawning = host.spawn('a', 1, ['true'], { user: NOBODY });
  await expect(spawning).rejects.toMatchObject({ code: 'SPAWN_FAILED' });
});

const LEAVES_ONE = ['sh', '-c', 'sleep 1000 & echo "left $!"; exec sleep 999'];
const leftOf = (agent: string): Promise<number> =>
  until(() => Number(/left (\d+)/.exec(host.log(agent, 1))?.[1] ?? 0), { what: 'the child' });

test('kill_mode process: what the main process leaves behind runs on, at its end and at a stop', async () => {
  const { pid } = await host.spawn('a', 1, LEAVES_ONE, { kill_mode: 'process' });
  const left = await leftOf('a');
  host.owns(left);
  process.kill(pid, 'SIGKILL');
  await host.exitOf('a');
  expect(isAlive(left)).toBe(true);

  await host.spawn('b', 1, LEAVES_ONE, { kill_mode: 'process' });
  const other = await leftOf('b');
  host.owns(other);
  await host.client.request('stop', { agent: 'b', generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: 0 });
  expect((await host.exitOf('b')).exit).toMatchObject({ signal: 'SIGKILL', cause: 'operator' });
  expect(isAlive(other)).toBe(true);
});

test('kill_mode tree, the default: nothing is left', async () => {
  const { pid } = await host.spawn('a', 1, LEAVES_ONE);
  const left = await leftOf('a');
  process.kill(pid, 'SIGKILL');
  await host.exitOf('a');
  expect(isAlive(left)).toBe(false);
});

test('kill_mode is kept by the custodian that takes over', async () => {
  const { pid } = await host.spawn('a', 1, LEAVES_ONE, { kill_mode: 'process' });
  const left = await leftOf('a');
  host.owns(left);
  host.owns(pid);
  await host.kill();
  await host.start();
  process.kill(pid, 'SIGKILL');
  await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit' });
  expect(isAlive(left)).toBe(true);
});
