import { once } from 'node:events';
import { connect } from 'node:net';
import Fastify from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventStreams } from '../../src/api/event-stream.ts';
import { listen, type Listening } from '../../src/api/listen.ts';
import { endWaitsEarly } from '../../src/api/request-context.ts';
import type { FleetEvent } from '../../src/service/fleet-events.ts';
import { AGENT_TOKEN, agentView, apiFixture, refusal, TOKEN, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';
import { until } from '../support/wait.ts';

let api: ApiFixture;
let server: Listening | undefined;
beforeEach(() => {
  api = apiFixture({ streamTimes: { heartbeatMs: 20, slowMs: 200 } });
});
afterEach(async () => {
  await (server ? server.close() : api.app.close());
  server = undefined;
});

const transition: FleetEvent = {
  kind: 'transition',
  transition: {
    agent_id: 'a',
    id: 7,
    run_id: 'r',
    sequence: 1,
    at_ms: 0,
    state: 'live',
    generation: 1,
    reason: 'created',
  },
};

/** Answers with these events, and then none until the request ends. */
function happening(...events: FleetEvent[]): { signal: () => AbortSignal | undefined } {
  let signal: AbortSignal | undefined;
  api.state.answer = async (call: { signal: AbortSignal }) => {
    signal = call.signal;
    return (async function* () {
      yield* events;
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    })();
  };
  return { signal: () => signal };
}

const AS_MASTER = { authorization: `Bearer ${AGENT_TOKEN}` };

async function follow(headers: Record<string, string> = {}, path = '/events') {
  server ??= await listen(api.app, { port: 0, name: 'api' });
  const ending = new AbortController();
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    signal: ending.signal,
  });
  const seen = { text: '', status: response.status, headers: response.headers };
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) seen.text += decoder.decode(chunk as Uint8Array);
  })().catch(() => undefined);
  return { seen, hangUp: () => ending.abort(), reading };
}

describe('GET /events', () => {
  test('writes events as the standard has them, with ids to resume from', async () => {
    happening(
      transition,
      { kind: 'agent', agent: agentView('a', { reason: 'two\nlines' }) },
      { kind: 'removed', agent_id: 'b' },
    );
    const { seen, hangUp } = await follow();
    await until(() => seen.text.includes('event: removed'), { what: 'the last event' });
    const [head, ...events] = seen.text.split('\n\n');
    expect(head).toBe('retry: 2000\n: follows');
    expect(events[0]).toMatch(/^id: 7\nevent: transition\ndata: \{"agent_id":"a".*"state":"starting".*\}$/);
    expect(events[1]).toMatch(/^event: agent\ndata: \{.*"reason":"two\\nlines".*\}$/);
    expect(events[2]).toBe('event: removed\ndata: {"agent_id":"b"}');
    expect(seen.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(seen.headers.get('cache-control')).toBe('no-store');
    hangUp();
  });

  test('is heard at once and kept alive by comments while nothing happens', async () => {
    happening();
    const { seen, hangUp } = await follow();
    await until(() => seen.text.split(': alive\n\n').length > 3, { what: 'three heartbeats' });
    hangUp();
  });

  test('ends its reading when the client hangs up, and when the daemon goes down', async () => {
    const first = happening();
    const client = await follow();
    await until(() => first.signal(), { what: 'the request' });
    client.hangUp();
    await until(() => first.signal()?.aborted, { what: 'the end of the reading' });
    const second = happening();
    const other = await follow();
    await until(() => second.signal(), { what: 'the request' });
    await server?.close();
    server = undefined;
    await other.reading;
    expect(second.signal()?.aborted).toBe(true);
  });

  test.each(['/events', '/agents/a/logs?follow=true'])(
    'of an agent ends with the process whose token it shows: %s',
    async (path) => {
      const own = happening();
      const agents = await follow(AS_MASTER, path);
      await until(() => own.signal(), { what: 'the request' });
      const others = happening();
      const admins = await follow({}, path);
      await until(() => others.signal(), { what: 'the request of the admin' });
      api.ends.tell('master', 2);
      api.ends.tell('a', 3);
      expect(own.signal()?.aborted).toBe(false);
      api.ends.tell('master', 3);
      await agents.reading;
      expect([own.signal()?.aborted, others.signal()?.aborted]).toEqual([true, false]);
      admins.hangUp();
    },
  );

  test('resumes after Last-Event-ID, or ?after, for the agents that are asked for', async () => {
    const asked = async (query: string, headers: Record<string, string> = {}): Promise<unknown> => {
      await send(api, 'GET', `/events${query}`, { headers });
      return api.asked.at(-1)?.args[0];
    };
    expect(await asked('')).toEqual({ agentIds: [] });
    expect(await asked('?after=5&agent_id=a')).toEqual({ after: 5, agentIds: ['a'] });
    expect(await asked('?after=5&agent_id=a&agent_id=b', { 'last-event-id': '9' })).toEqual({
      after: 9,
      agentIds: ['a', 'b'],
    });
    const refused = await send(api, 'GET', '/events', { headers: { 'last-event-id': 'x' } });
    expect([refused.statusCode, refused.json().error.details]).toEqual([400, { field: 'last-event-id' }]);
  });

  test('drops a client that does not read', async () => {
    let made = 0;
    let signal: AbortSignal | undefined;
    api.state.answer = async (call: { signal: AbortSignal }) => {
      signal = call.signal;
      return (async function* (): AsyncGenerator<FleetEvent> {
        for (;;) {
          made += 1;
          yield { kind: 'agent', agent: agentView('a', { reason: 'x'.repeat(100_000) }) };
        }
      })();
    };
    server = await listen(api.app, { port: 0, name: 'api' });
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.pause();
    socket.on('error', () => undefined);
    socket.write(`GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    await until(() => signal?.aborted, { what: 'the end of the request' });
    const before = made;
    expect(made).toBeLessThan(1000);
    socket.resume();
    await once(socket, 'close');
    expect(made).toBe(before);
  });

  test('refuses more followers than it bears', async () => {
    happening();
    server = await listen(api.app, { port: 0, name: 'api' });
    const followers = await Promise.all(Array.from({ length: 100 }, () => follow()));
    const refused = await follow();
    await refused.reading;
    expect([refused.seen.status, JSON.parse(refused.seen.text).error.code]).toEqual([429, 'RATE_LIMITED']);
    for (const { hangUp } of followers) hangUp();
    await until(
      async () => {
        const again = await follow();
        again.hangUp();
        return again.seen.status === 200;
      },
      { what: 'a free place' },
    );
  });

  test('keeps no place for those who hang up before it has begun to follow', async () => {
    const signals: AbortSignal[] = [];
    const begin: (() => void)[] = [];
    api.state.answer = async (call: { signal: AbortSignal }) => {
      signals.push(call.signal);
      await new Promise<void>((resolve) => begin.push(resolve));
      return (async function* (): AsyncGenerator<FleetEvent> {})();
    };
    server = await listen(api.app, { port: 0, name: 'api' });
    const url = `http://127.0.0.1:${server.port}/events`;
    const hangUp = new AbortController();
    const options = { headers: { authorization: `Bearer ${TOKEN}` }, signal: hangUp.signal };
    const asked = Array.from({ length: 100 }, () => fetch(url, options).catch(() => 'hung up'));
    await until(() => begin.length === 100, { what: 'all requests' });
    hangUp.abort();
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['hung up']));
    await until(() => signals.every(({ aborted }) => aborted), { what: 'the end of all requests' });
    for (const go of begin) go();
    happening(transition);
    const { seen, hangUp: end } = await follow();
    await until(() => seen.text !== '', { what: 'an answer' });
    expect([seen.status, seen.text]).toEqual([200, expect.stringContaining('event: transition')]);
    end();
  });

  test('keeps no place for those whom it has refused', async () => {
    api.state.answer = refusal('TEMPORAL_UNAVAILABLE');
    for (let n = 0; n < 101; n += 1) expect((await send(api, 'GET', '/events')).statusCode).toBe(503);
  });

  test('keeps no place for those who have hung up already when they are served', async () => {
    const streams = new EventStreams('it', api.ends);
    const app = Fastify();
    endWaitsEarly(app, 0);
    app.decorateRequest('gone', null).decorateRequest('caller', null);
    let served = 0;
    app.get('/gone', async (_request, reply) => {
      if (!reply.raw.closed) await once(reply.raw, 'close');
      await streams.send(reply, async () => (async function* () {})(), String);
      served += 1;
      return reply;
    });
    app.get('/stays', (_request, reply) => streams.send(reply, async () => (async function* () {})(), String));
    try {
      const url = await app.listen({ port: 0, host: '127.0.0.1' });
      for (let n = 1; n <= 100; n += 1) {
        const socket = connect(Number(new URL(url).port), '127.0.0.1');
        await once(socket, 'connect');
        socket.end('GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n');
        socket.destroySoon();
        await until(() => served === n, { what: 'the end of the request' });
      }
      expect((await fetch(`${url}/stays`)).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});
