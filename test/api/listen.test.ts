import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildHealthApp, buildMetricsApp } from '../../src/api/app.ts';
import { listen, type Listening } from '../../src/api/listen.ts';
import { until } from '../support/wait.ts';
import { agentView, apiFixture, TOKEN, type ApiFixture } from './api-fixture.ts';

let api: ApiFixture;
let server: Listening;
beforeEach(async () => {
  api = apiFixture();
  server = await listen(api.app, { port: 0, name: 'api' });
});
afterEach(() => server.close());

const authorization = `Bearer ${TOKEN}`;
const url = (path: string, host = '127.0.0.1'): string => `http://${host}:${server.port}${path}`;

/** What a raw client is answered until the server closes the connection. */
async function raw(text: string): Promise<string> {
  const socket = net.connect(server.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.on('error', () => undefined); // reset after the answer, while still sending
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('listen answers on both loopback addresses with one port', async () => {
  expect(server.addresses).toEqual([`127.0.0.1:${server.port}`, `[::1]:${server.port}`]);
  for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
    const response = await fetch(url('/agents', host), { headers: { authorization } });
    expect(response.status).toBe(200);
    expect(((await response.json()) as { agents: unknown[] }).agents).toHaveLength(2);
  }
});

test('listen refuses a port in use on either address, naming it', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    const other = net.createServer().listen(0, host);
    await once(other, 'listening');
    const { port } = other.address() as net.AddressInfo;
    const second = apiFixture();
    await expect(listen(second.app, { port, name: 'api' })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(`api port ${port}`),
    });
    await second.app.close();
    other.close();
  }
});

test('listen leaves nothing behind when the second address is refused', async () => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as net.AddressInfo;
  const second = apiFixture();
  await expect(listen(second.app, { port, name: 'api' })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  other.close();
  await once(other, 'close');
  const third = apiFixture();
  const again = await listen(third.app, { port, name: 'api' });
  expect(again.port).toBe(port);
  await again.close();
  await second.app.close();
});

test('close ends idle keep-alive connections on both addresses', async () => {
  const agent = new http.Agent({ keepAlive: true });
  const closed: Promise<unknown>[] = [];
  for (const host of ['127.0.0.1', '::1']) {
    const request = http.get({ host, port: server.port, path: '/healthz', agent });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    closed.push(once(response.socket, 'close'));
    response.resume();
    await once(response, 'end');
  }
  await server.close();
  await Promise.all(closed);
  agent.destroy();
});

test('close answers those who wait', async () => {
  api.state.answer = (call: { signal: AbortSignal }) =>
    new Promise((resolve) => {
      const agent = agentView('a', { state: 'stopping' });
      call.signal.addEventListener('abort', () => resolve({ agent_id: 'a', revision: 1, settled: false, agent }));
    });
  const waiting = ['127.0.0.1', '[::1]'].map((host) =>
    fetch(url('/agents/a/stop', host), { method: 'POST', headers: { authorization } }),
  );
  await until(() => api.asked.length === 2, { what: 'the requests' });
  const closing = server.close();
  for (const response of await Promise.all(waiting)) {
    expect([response.status, ((await response.json()) as { state: string }).state]).toEqual([202, 'stopping']);
  }
  await closing;
});

test('close does not wait for one that never ends', async () => {
  api.state.answer = () => new Promise(() => undefined);
  const hanging = fetch(url('/agents/a'), { headers: { authorization } }).then(
    (response) => response.status,
    () => 'cut off',
  );
  await until(() => api.asked.length === 1, { what: 'the request' });
  await server.close();
  expect(await hanging).toBe('cut off');
});

test('a client that hangs up ends the waiting', async () => {
  let signal: AbortSignal | undefined;
  api.state.answer = (call: { signal: AbortSignal }) => {
    signal = call.signal;
    return new Promise(() => undefined);
  };
  const client = new AbortController();
  const request = fetch(url('/agents/a/stop'), { method: 'POST', headers: { authorization }, signal: client.signal });
  request.catch(() => undefined);
  await until(() => signal !== undefined, { what: 'the request' });
  expect(signal?.aborted).toBe(false);
  client.abort();
  await until(() => signal?.aborted, { what: 'the signal' });
});

test('following the logs of a silent agent begins at once, and ends with the client and with the server', async () => {
  const signals: AbortSignal[] = [];
  api.state.answer = (call: { signal: AbortSignal }) => {
    signals.push(call.signal);
    return silent(call.signal);
  };
  const client = new AbortController();
  const follow = (signal?: AbortSignal) =>
    fetch(url('/agents/a/logs?follow=true'), { headers: { authorization }, ...(signal ? { signal } : {}) });
  const first = await follow(client.signal);
  expect([first.status, first.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  client.abort();
  await until(() => signals[0]?.aborted, { what: 'the follower to end' });
  const second = await follow();
  const reading = second.text();
  await server.close();
  expect(await reading).toBe('');
});

async function* silent(signal: AbortSignal): AsyncGenerator<string> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  yield* [];
}

test('what is not HTTP gets a 400 of the usual shape', async () => {
  for (const text of [
    'nonsense\r\n\r\n',
    'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
    `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  ]) {
    const [head = '', body = ''] = (await raw(text)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
  }
});

test('a body over the limit is refused before it is read', async () => {
  const head = `POST /agents HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\n`;
  const declared = await raw(`${head}Content-Length: 10000000\r\nConnection: close\r\n\r\n{"agent_id":`);
  expect(declared).toMatch(/^HTTP\/1\.1 413 /);
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const chunked = await raw(`${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk.repeat(6)}`);
  expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
});

test('a request without a token is refused before its body is read', async () => {
  const answer = await raw(
    'POST /agents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n{',
  );
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
});

test('health and metrics have ports of their own, with nothing else on them', async () => {
  const [health, metrics] = [buildHealthApp(api.deps), buildMetricsApp(api.deps)];
  const ports = [
    await listen(health, { port: 0, name: 'health' }),
    await listen(metrics, { port: 0, name: 'metrics' }),
  ] as const;
  const get = (port: number, path: string) => fetch(`http://localhost:${port}${path}`);
  expect(await (await get(ports[0].port, '/healthz')).text()).toBe('ok');
  expect(await (await get(ports[1].port, '/metrics')).text()).toContain('# TYPE agent_state gauge');
  expect((await get(ports[0].port, '/agents')).status).toBe(404);
  expect((await get(ports[1].port, '/healthz')).status).toBe(404);
  await Promise.all(ports.map((port) => port.close()));
});
