import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CustodianError, connectCustodian, connectOrStart, startCustodian } from '../../src/host/custodian-client.ts';
import { createTestHost, custodianBundle } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

const AS_DAEMON = { role: 'daemon', version: 'test' } as const;
let host: TestHost;
beforeEach(async () => {
  host = await createTestHost({ isStarted: false });
});
afterEach(() => host.cleanUp());

test('connectCustodian without a custodian is CUSTODIAN_UNAVAILABLE and names the socket', async () => {
  const connecting = connectCustodian(host.stateDir, AS_DAEMON);
  await expect(connecting).rejects.toMatchObject({
    code: 'CUSTODIAN_UNAVAILABLE',
    message: expect.stringMatching(/\.sock/),
  });
});

test('connectOrStart starts one, and finds it the next time', async () => {
  const options = { ...AS_DAEMON, ...host.startOptions };
  const first = await connectOrStart(host.stateDir, custodianBundle(), options);
  expect(first.hello).toMatchObject({ protocol: 1, tree: 'best-effort', state_dir: host.stateDir });
  first.close();
  await first.closed;
  const second = await until(() => connectOrStart(host.stateDir, custodianBundle(), options).catch(() => undefined), {
    what: 'a connection',
  });
  expect(second.hello.pid).toBe(first.hello.pid);
  second.close();
});

test('startCustodian passes on no variable but those it needs', async () => {
  await startCustodian(host.stateDir, custodianBundle(), {
    ...host.startOptions,
    env: { ...host.env, API_KEY: 'private', OPENSTARRY_TOKEN: 'private' },
  });
  const client = await connectCustodian(host.stateDir, AS_DAEMON);
  const environ = readFileSync(`/proc/${client.hello.pid}/environ`, 'utf8');
  expect(environ).not.toContain('private');
  expect(environ).toContain('BENCH_RUN=');
  client.close();
});

test('startCustodian reports an early end with the end of its log', async () => {
  const entry = join(host.stateDir, 'broken.mjs');
  writeFileSync(entry, 'console.error("no luck today"); process.exit(3);');
  const starting = startCustodian(host.stateDir, entry, { ...host.startOptions });
  await expect(starting).rejects.toMatchObject({
    code: 'CUSTODIAN_UNAVAILABLE',
    message: expect.stringMatching(/exit code 3[^]*no luck today/),
  });
});

test('startCustodian gives up on one that never listens', async () => {
  const entry = join(host.stateDir, 'silent.mjs');
  writeFileSync(entry, 'setTimeout(() => {}, 20_000);');
  const starting = startCustodian(host.stateDir, entry, { ...host.startOptions, deadlineMs: 300 });
  await expect(starting).rejects.toMatchObject({
    code: 'CUSTODIAN_UNAVAILABLE',
    message: expect.stringContaining('300 ms'),
  });
});

test('request rejects with an error that carries code, errno and custody', async () => {
  await host.start();
  const failed = await host.spawn('a', 1, ['/no/such']).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(CustodianError);
  expect(failed).toMatchObject({ code: 'SPAWN_FAILED', errno: 'ENOENT' });
});

test('request and closed tell of a custodian that dies', async () => {
  await host.start();
  await host.spawn('a', 1, ['sh', '-c', 'trap "" TERM; sleep 1000'], { stop: { signal: 'SIGTERM', grace_ms: 60_000 } });
  const shutdown = host.client.request('shutdown', { waves: [] });
  const rejected = expect(shutdown).rejects.toMatchObject({ code: 'CUSTODIAN_UNAVAILABLE' });
  await host.kill();
  await rejected;
  expect(host.client.closeReason?.code).toBe('CUSTODIAN_UNAVAILABLE');
  expect(host.client.isOpen).toBe(false);
  await expect(host.client.request('list', {})).rejects.toMatchObject({ code: 'CUSTODIAN_UNAVAILABLE' });
});

test('close ends without a reason', async () => {
  await host.start();
  host.client.close();
  await host.client.closed;
  expect(host.client.closeReason).toBeUndefined();
});

test('on stops calling once it is taken back', async () => {
  await host.start();
  const seen: string[] = [];
  const off = host.client.on('exit', ({ agent }) => seen.push(agent));
  await host.spawn('a', 1, ['true']);
  await host.exitOf('a');
  off();
  await host.spawn('b', 1, ['true']);
  await host.exitOf('b');
  expect(seen).toEqual(['a']);
});

test('request gives up after its time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'oc-mute-'));
  const socket = join(folder, 's.sock');
  const mute = createServer(() => {}).listen(socket);
  writeFileSync(join(host.stateDir, 'custodian.json'), JSON.stringify({ socket }));
  const connecting = connectCustodian(host.stateDir, { ...AS_DAEMON, timeoutMs: 100 });
  await expect(connecting).rejects.toMatchObject({
    code: 'CUSTODIAN_UNAVAILABLE',
    message: expect.stringContaining('100 ms'),
  });
  mute.close();
  rmSync(folder, { recursive: true });
});

test('many requests at the same time all find their answer', async () => {
  await host.start();
  const spawned = await Promise.all(Array.from({ length: 60 }, (_, i) => host.spawn(`a${i}`, 1, ['sleep', '1000'])));
  expect(new Set(spawned.map(({ pid }) => pid)).size).toBe(60);
  const same = await Promise.all(Array.from({ length: 20 }, () => host.spawn('a0', 1, ['sleep', '1000'])));
  expect(new Set(same.map(({ pid }) => pid))).toEqual(new Set([spawned[0]!.pid]));
});
