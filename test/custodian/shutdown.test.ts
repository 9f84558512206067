import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, fixture, isAlive } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const end = () => host.client.request('end', {});

test('shutdown stops wave after wave and the rest with the last', async () => {
  for (const agent of ['web', 'worker', 'db', 'extra', '_temporal']) await host.spawn(agent, 1, ['sleep', '1000']);
  const { stopped } = await host.client.request('shutdown', { waves: [['web', 'nobody'], ['worker'], ['db']] });
  expect(stopped.slice(0, 2)).toEqual(['web', 'worker']);
  expect(stopped.slice(2).toSorted()).toEqual(['db', 'extra']);
  expect(host.exits.map((one) => one.agent).slice(0, 2)).toEqual(['web', 'worker']);
  for (const { exit } of host.exits) expect(exit).toMatchObject({ cause: 'shutdown', signal: 'SIGTERM' });
  expect((await host.entry('_temporal'))?.live).toBeDefined();
});

test('shutdown refuses starts of agents, not of the daemon’s own children', async () => {
  await host.spawn('a', 1, ['sleep', '1000']);
  await host.client.request('shutdown', { waves: [] });
  await expect(host.spawn('a', 2, ['sleep', '1000'])).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  expect((await host.spawn('_temporal', 1, ['sleep', '1000'])).adopted).toBe(false);
});

test('shutdown is over for the daemon that comes next', async () => {
  await host.client.request('shutdown', { waves: [] });
  host.client.close();
  await host.client.closed;
  host.client = await until(() => host.connect().catch(() => undefined), { what: 'a connection' });
  expect((await host.spawn('a', 1, ['sleep', '1000'])).adopted).toBe(false);
});

test('shutdown called again without grace forces all waves', async () => {
  for (const agent of ['a', 'b']) {
    await host.spawn(agent, 1, [fixture('ignore-term.sh')], { stop: { signal: 'SIGTERM', grace_ms: 60_000 } });
    await until(() => host.log(agent, 1).includes('ready'), { what: 'a ready agent' });
  }
  const first = host.client.request('shutdown', { waves: [['a'], ['b']] });
  await until(async () => (await host.entry('a'))?.live?.stopping, { what: 'the first wave' });
  expect((await host.entry('b'))?.live?.stopping).toBeUndefined();
  const second = host.client.request('shutdown', { waves: [], grace_ms: 0 });
  expect(await first).toEqual({ stopped: ['a', 'b'] });
  expect(await second).toEqual({ stopped: ['a', 'b'] });
});

test('end is refused while a reserved child lives', async () => {
  await host.spawn('_temporal', 1, ['sleep', '1000']);
  await expect(end()).rejects.toMatchObject({ code: 'STILL_LIVE' });
  await host.client.request('stop', {
    agent: '_temporal',
    generation: 1,
    cause: 'shutdown',
    signal: 'SIGTERM',
    grace_ms: 1000,
  });
  await host.exitOf('_temporal');
  await end();
  await until(() => !isAlive(host.pid), { what: 'the end of the custodian' });
});

test('SIGTERM stops everything and ends the custodian; SIGINT and SIGHUP do nothing', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  const reserved = await host.spawn('_temporal', 1, ['sleep', '1000']);
  process.kill(host.pid, 'SIGINT');
  process.kill(host.pid, 'SIGHUP');
  expect((await host.entry('a'))?.live?.pid).toBe(pid);
  process.kill(host.pid, 'SIGTERM');
  await until(() => !isAlive(host.pid), { what: 'the end of the custodian' });
  expect([pid, reserved.pid].filter(isAlive)).toEqual([]);
  await host.start();
  expect((await host.entry('a'))?.custody.last_exit).toMatchObject({ cause: 'shutdown', signal: 'SIGTERM' });
});

test('SIGTERM is final: a daemon that comes meanwhile starts nothing', async () => {
  for (const agent of ['a', '_temporal']) {
    const stop = { signal: 'SIGTERM', grace_ms: agent === 'a' ? 200 : 60_000 };
    await host.spawn(agent, 1, [fixture('ignore-term.sh')], { stop });
    await until(() => host.log(agent, 1).includes('ready'), { what: 'a ready process' });
  }
  process.kill(host.pid, 'SIGTERM');
  await host.exitOf('a');
  await until(async () => (await host.entry('_temporal'))?.live?.stopping, { what: 'the stop of what is reserved' });
  host.client.close();
  await host.client.closed;
  host.client = await until(() => host.connect().catch(() => undefined), { what: 'a connection' });
  for (const agent of ['b', '_daemon']) {
    await expect(host.spawn(agent, 1, ['sleep', '1000'])).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  }
  // The second one forces.
  process.kill(host.pid, 'SIGTERM');
  await until(() => !isAlive(host.pid), { what: 'the end of the custodian' });
});

test('end by a daemon that is itself the last child waits for it', async () => {
  const { pid } = await host.spawn('_daemon', 1, ['sleep', '1000']);
  host.client.close();
  await host.client.closed;
  const { connectCustodian } = await import('../../src/host/custodian-client.ts');
  const connect = () =>
    connectCustodian(host.stateDir, { role: 'daemon', version: 'test', pid }).catch(() => undefined);
  host.client = await until(connect, { what: 'a connection' });
  await end();
  expect(isAlive(host.pid)).toBe(true);
  process.kill(pid, 'SIGTERM');
  await until(() => !isAlive(host.pid), { what: 'the end of the custodian' });
});
