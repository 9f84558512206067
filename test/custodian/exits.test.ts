import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

test('exit carries the code of the process', async () => {
  await host.spawn('a', 1, ['sh', '-c', 'exit 7']);
  const { exit, custody } = await host.exitOf('a');
  expect(exit).toMatchObject({ generation: 1, code: 7, signal: null, cause: 'self' });
  expect(custody).toMatchObject({ fence: 1, last_exit: { generation: 1, code: 7 } });
  expect(custody.live).toBeUndefined();
});

test('exit carries the signal of the process', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '100']);
  process.kill(pid, 'SIGKILL');
  const { exit } = await host.exitOf('a');
  expect(exit).toMatchObject({ code: null, signal: 'SIGKILL', cause: 'self' });
});

test('exit is told once for each of 50 that are killed at the same time', async () => {
  const pids: number[] = [];
  for (let i = 0; i < 50; i += 1) pids.push((await host.spawn(`a${i}`, 1, ['sleep', '1000'])).pid);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  for (let i = 0; i < 50; i += 1) await host.exitOf(`a${i}`);
  expect(host.exits).toHaveLength(50);
  expect(new Set(host.exits.map((one) => one.agent)).size).toBe(50);
});

test('exit is in custody for a daemon that was away', async () => {
  await host.spawn('a', 1, ['sh', '-c', 'read line; exit 9'], { stdin: '' });
  host.client.close();
  await host.client.closed;
  host.client = await until(() => host.connect().catch(() => undefined), { what: 'a connection' });
  const entry = await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit' });
  expect(entry).toMatchObject({ generation: 1, code: 9 });
});

test('exit tells how long the process ran', async () => {
  await host.spawn('a', 1, ['sleep', '0.3']);
  const { exit } = await host.exitOf('a');
  expect(exit.ran_ms).toBeGreaterThanOrEqual(250);
  expect(exit.ran_ms).toBeLessThan(3000);
});
