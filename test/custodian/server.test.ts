import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reachableSocketPathOf } from '../../src/custodian/address.ts';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { createTestHost } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
const sockets: Socket[] = [];
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await host.cleanUp();
});

/** A connection without manners. */
function raw() {
  const socket = connect(reachableSocketPathOf(host.stateDir)).setEncoding('utf8');
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.on('data', (piece: string) => (text += piece));
  socket.on('error', () => {});
  socket.on('close', () => (isClosed = true));
  const answers = () =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { socket, answers, isClosed: () => isClosed };
}
const hello = (role: string) =>
  JSON.stringify({ id: 1, method: 'hello', params: { protocol: 1, role, pid: 5, version: 't' } });

test('a second daemon is refused with the pid of the first', async () => {
  const second = connectCustodian(host.stateDir, { role: 'daemon', version: 'test' });
  await expect(second).rejects.toMatchObject({ code: 'DAEMON_RUNNING', pid: process.pid });
});

test('an observer reads but may not command', async () => {
  await host.spawn('a', 1, ['sleep', '1000']);
  const observer = await connectCustodian(host.stateDir, { role: 'observer', version: 'test' });
  expect((await observer.request('list', {})).entries).toHaveLength(1);
  const stop = observer.request('stop', {
    agent: 'a',
    generation: 1,
    cause: 'operator',
    signal: 'SIGTERM',
    grace_ms: 0,
  });
  await expect(stop).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  const seen = new Promise((resolve) => observer.on('exit', resolve));
  await host.client.request('signal', { agent: 'a', generation: 1, signal: 'SIGKILL' });
  expect(await seen).toMatchObject({ agent: 'a' });
  observer.close();
});

test('hello with another protocol says which one is spoken', async () => {
  const { socket, answers } = raw();
  socket.write(`${hello('observer').replace('"protocol":1', '"protocol":99')}\n`);
  await until(() => answers().length === 1, { what: 'an answer' });
  expect(answers()[0]).toMatchObject({
    id: 1,
    error: { code: 'PROTOCOL_MISMATCH', message: expect.stringMatching(/protocol 1.*99/) },
  });
});

test('nothing is answered before hello', async () => {
  const { socket, answers } = raw();
  socket.write('{"id":7,"method":"list"}\n');
  await until(() => answers().length === 1, { what: 'an answer' });
  expect(answers()[0]).toMatchObject({ id: 7, error: { code: 'NOT_ALLOWED' } });
});

test('bad requests are answered and harm nobody', async () => {
  const { socket, answers } = raw();
  const bad = [
    'no json',
    '[]',
    'null',
    '"text"',
    '{"id":2}',
    '{"id":3,"method":"constructor"}',
    '{"id":4,"method":"__proto__","params":{}}',
    '{"id":5,"method":"custody","params":[]}',
    '{"id":6,"method":"custody","params":{"agent":"../../etc"}}',
    '{"id":7,"method":"custody","params":{"agent":"__proto__"}}',
  ];
  socket.write(`${hello('observer')}\n${bad.join('\n')}\n`);
  await until(() => answers().length === bad.length + 1, { what: 'all answers' });
  const errors = answers().filter((answer) => answer['error']);
  expect(errors).toHaveLength(bad.length);
  for (const answer of errors) expect(answer).toMatchObject({ error: { code: 'BAD_REQUEST' } });
  expect((await host.spawn('a', 1, ['sleep', '1000'])).adopted).toBe(false);
});

test.each([
  [{ generation: -1 }, '`generation`'],
  [{ generation: 1.5 }, '`generation`'],
  [{ generation: Number.MAX_SAFE_INTEGER }, '`generation`'],
  [{ command: [] }, '`command`'],
  [{ command: ['sh', 'a\0b'] }, '`command[1]`'],
  [{ env: { 'A=B': '1' } }, '`env`'],
  [{ env: { A: 1 } }, '`env.A`'],
  [{ log: { max_bytes: 0, keep: 1 } }, '`log.max_bytes`'],
  [{ stop: { signal: 'SIGNOPE', grace_ms: 1 } }, '`stop.signal`'],
])('spawn with %j names the field', async (more, field) => {
  const spawning = host.spawn('a', 1, ['true'], more as never);
  await expect(spawning).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining(field) });
});

test('a line may come in pieces', async () => {
  const { socket, answers } = raw();
  for (const piece of `${hello('observer')}\n{"id":2,"method":"list"}`.match(/.{1,7}|\n/g)!) {
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => answers().length === 1, { what: 'the first answer' });
  socket.write('\n');
  await until(() => answers().length === 2, { what: 'the second answer' });
});

test('a line of more than 4 MiB ends the connection, one of 3 MiB does not', async () => {
  const stdin = 'x'.repeat(3 * 1024 * 1024);
  await host.spawn('a', 1, ['wc', '-c'], { stdin });
  await host.exitOf('a');
  expect(host.log('a', 1).trim()).toBe(String(stdin.length));
  const { socket, answers, isClosed } = raw();
  socket.write('x'.repeat(5 * 1024 * 1024));
  await until(isClosed, { what: 'the end of the connection' });
  expect(answers()[0]).toMatchObject({ error: { code: 'BAD_REQUEST' } });
});

test('the socket and its folder are for the user alone', () => {
  const path = reachableSocketPathOf(host.stateDir);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  expect(statSync(host.stateDir).mode & 0o777).toBe(0o700);
});

test('the socket comes back when its folder is removed, as a logout does', async () => {
  const path = reachableSocketPathOf(host.stateDir);
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  rmSync(dirname(path), { recursive: true });
  await until(() => existsSync(path), { what: 'the socket', deadlineMs: 12_000 });
  const observer = await until(
    () => connectCustodian(host.stateDir, { role: 'observer', version: 't' }).catch(() => undefined),
    { what: 'a connection' },
  );
  expect((await observer.request('custody', { agent: 'a' })).live?.pid).toBe(pid);
  observer.close();
});

test('a custodian is found by its endpoint file, whatever the environment of who looks for it', () => {
  const endpoint = JSON.parse(readFileSync(`${host.stateDir}/custodian.json`, 'utf8')) as Record<string, unknown>;
  expect(endpoint).toMatchObject({ pid: host.pid, protocol: 1 });
  expect(reachableSocketPathOf(host.stateDir, {})).toBe(endpoint['socket']);
});
