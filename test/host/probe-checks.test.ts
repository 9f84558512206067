import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { runCheck } from '../../src/host/probe-checks.ts';
import { until } from '../support/wait.ts';

const context = async () => ({ cwd: '/', env: { PATH: process.env['PATH'] ?? '', COLOUR: 'blue' } });
const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function portOf(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const answering = (status: number) => portOf(createServer((_request, response) => response.writeHead(status).end()));
const http = (url: string, timeoutMs = 2000) => runCheck({ kind: 'http', url }, timeoutMs, context);
const exec = (command: string[], timeoutMs = 5000) => runCheck({ kind: 'exec', command }, timeoutMs, context);

describe('http', () => {
  test.each([200, 204, 302, 399])('%i is a success', async (status) => {
    expect(await http(`http://127.0.0.1:${await answering(status)}/`)).toEqual({ ok: true });
  });

  test.each([404, 500, 503])('%i is a failure', async (status) => {
    const url = `http://127.0.0.1:${await answering(status)}/ready`;
    expect(await http(`${url}?token=secret`)).toEqual({ ok: false, why: `GET ${url} answered ${status}` });
  });

  test('nobody there is a failure', async () => {
    const port = await answering(200);
    servers.splice(0).forEach((server) => server.close());
    expect(await http(`http://127.0.0.1:${port}/`)).toMatchObject({
      ok: false,
      why: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('silence is one after the time-out, and so is a header without end', async () => {
    const silent = await portOf(createTcpServer(() => undefined));
    expect(await http(`http://127.0.0.1:${silent}/`, 50)).toEqual({
      ok: false,
      why: `GET http://127.0.0.1:${silent}/ did not answer within 50 ms`,
    });
    const endless = await portOf(
      createTcpServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\n');
        const timer = setInterval(() => socket.write('X-A: b\r\n'), 5);
        socket.on('close', () => clearInterval(timer));
      }),
    );
    expect(await http(`http://127.0.0.1:${endless}/`, 100)).toMatchObject({ ok: false });
  });

  test('a body without end is not waited for', async () => {
    const port = await portOf(createServer((_request, response) => response.writeHead(200).write('more to come')));
    expect(await http(`http://127.0.0.1:${port}/`)).toEqual({ ok: true });
  });
});

describe('tcp', () => {
  test('an accepted connection is a success, a refused one a failure', async () => {
    const server = createTcpServer();
    const port = await portOf(server);
    const check = { kind: 'tcp', host: '127.0.0.1', port } as const;
    expect(await runCheck(check, 2000, context)).toEqual({ ok: true });
    server.close();
    expect(await runCheck(check, 2000, context)).toEqual({ ok: false, why: `127.0.0.1:${port}: ECONNREFUSED` });
  });
});

describe('exec', () => {
  test('exit code 0 is a success, in the folder and environment of the agent', async () => {
    expect(await exec(['sh', '-c', 'test "$COLOUR" = blue && test "$PWD" = /'])).toEqual({ ok: true });
  });

  test('any other end is a failure, with what it said last', async () => {
    expect(await exec(['sh', '-c', 'echo; echo not yet >&2; exit 3'])).toEqual({
      ok: false,
      why: 'sh ended with code 3: not yet',
    });
    expect(await exec(['sh', '-c', 'kill -9 $$'])).toEqual({ ok: false, why: 'sh ended with SIGKILL' });
  });

  test('a program that is not there is a failure', async () => {
    expect(await exec(['no-such-program'])).toMatchObject({ ok: false, why: expect.stringContaining('ENOENT') });
  });

  test('one that takes too long is killed with all that it has started', async () => {
    const mark = `3600${process.pid}`;
    const result = await exec(['sh', '-c', `sleep ${mark} & sleep ${mark}; wait`], 200);
    expect(result).toEqual({ ok: false, why: 'sh took longer than 200 ms' });
    const { readdirSync } = await import('node:fs');
    const sleepers = () =>
      readdirSync('/proc').filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`sleep\0${mark}`);
        } catch {
          return false;
        }
      });
    await until(() => sleepers().length === 0, { what: 'the end of its children' });
  });

  test('what it leaves behind does not hold up the answer', async () => {
    const startMs = performance.now();
    expect(await exec(['sh', '-c', 'sleep 3 & exit 0'])).toEqual({ ok: true });
    expect(performance.now() - startMs).toBeLessThan(2500);
  });

  test('many of them take turns', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => exec(['true'])));
    expect(results.every((result) => result?.ok)).toBe(true);
  });
});
