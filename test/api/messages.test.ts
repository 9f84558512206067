import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listen, type Listening } from '../../src/api/listen.ts';
import type { DeliveryView } from '../../src/contract/messaging-views.ts';
import { ADMIN, messagingFixture, type MessagingFixture } from '../service/messaging/messaging-fixture.ts';
import { until } from '../support/wait.ts';
import { AGENT_TOKEN, apiFixture, TOKEN, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';
import { memoryAnswers } from './memory-answers.ts';

let messages: MessagingFixture;
let answers: ReturnType<typeof memoryAnswers>;
let api: ApiFixture;
let server: Listening | undefined;
beforeAll(async () => {
  messages = await messagingFixture();
  await messages.agent('w');
  // Whom the agent token of the fixture belongs to.
  await messages.agent('master', { generation: 3 });
});
afterAll(() => messages.end());
beforeEach(() => {
  answers = memoryAnswers();
  api = apiFixture({ messaging: messages.messaging, answers, streamTimes: { heartbeatMs: 20, slowMs: 5000 } });
});
afterEach(async () => {
  await (server ? server.close() : api.app.close());
  server = undefined;
  for (const agent of ['w', 'master']) {
    await messages.bus.deleteQueue(`@${agent}`);
    await messages.bus.discard(`@${agent}`);
  }
});

const asMaster = { authorization: `Bearer ${AGENT_TOKEN}` };
const BAD_IDS = ['', 'a.b', 'a%20b', 'é', 'x'.repeat(65)].map((id) => `?receive_id=${id}`);
const TEXT = { type: 'TEXT', payload: 'hello' };
const codeOf = (response: { json: () => unknown }): string =>
  (response.json() as { error: { code: string } }).error.code;
const post = (url: string, json: unknown, headers: Record<string, string> = {}) =>
  send(api, 'POST', url, { json, headers });
const receive = async (query = '') =>
  (await send(api, 'GET', `/agents/w/messages${query}`)).json<{ messages: DeliveryView[] }>().messages;

describe('messages over HTTP', () => {
  test('are sent, received and acknowledged', async () => {
    const full = { ...TEXT, priority: 9, ttl: '5m', correlation_id: 'c 1', reply_to: '@master' };
    const sent = await post('/agents/w/messages', full, asMaster);
    expect([sent.statusCode, sent.json()]).toEqual([201, { id: expect.any(String), duplicate: false }]);
    const [message] = await receive('?max=1&lease=5s&correlation_id=c%201');
    expect(message).toEqual({
      id: sent.json<{ id: string }>().id,
      queue: '@w',
      type: 'TEXT',
      priority: 9,
      payload: 'hello',
      from: 'master',
      attempt: 1,
      correlation_id: 'c 1',
      reply_to: '@master',
      sent_at: expect.any(String),
      expires_at: expect.any(String),
      lease: expect.any(String),
      lease_until: expect.any(String),
    });
    const leaseMs = Date.parse(message!.lease_until) - Date.now();
    expect(leaseMs).toBeGreaterThan(1000);
    expect(leaseMs).toBeLessThanOrEqual(5000);
    const url = `/agents/w/messages/${message!.id}`;
    const longer = await post(`${url}/extend`, { lease: message!.lease, for: '1h' });
    expect(Date.parse(longer.json<{ lease_until: string }>().lease_until) - Date.now()).toBeGreaterThan(3_000_000);
    expect((await post(`${url}/ack`, { lease: message!.lease })).json()).toEqual({ id: message!.id });
    const again = await post(`${url}/ack`, { lease: message!.lease });
    expect([again.statusCode, codeOf(again)]).toEqual([404, 'MESSAGE_NOT_FOUND']);
  });

  test('come in batches, all of them or none', async () => {
    const batch = { messages: Array.from({ length: 100 }, (_, n) => ({ ...TEXT, payload: `m${n}` })) };
    const sent = await post('/agents/w/messages', batch);
    expect([sent.statusCode, sent.json<{ messages: unknown[] }>().messages.length]).toEqual([201, 100]);
    const received = await receive('?max=100');
    expect(received.map(({ payload }) => payload)).toEqual(batch.messages.map(({ payload }) => payload));
    const bad = { messages: [TEXT, { ...TEXT, type: 'TASK_DELEGTE' }] };
    const refused = await post('/agents/w/messages', bad);
    expect([refused.statusCode, codeOf(refused)]).toEqual([400, 'INVALID_REQUEST']);
    expect(refused.body).toContain('messages.1.type');
    expect(await receive()).toEqual([]);
    for (const count of [0, 101]) {
      const response = await post('/agents/w/messages', { messages: Array.from({ length: count }, () => TEXT) });
      expect(response.statusCode).toBe(400);
    }
  });

  test('are found by their size, and seen without being taken', async () => {
    await post('/queues/@w/messages', TEXT);
    const size = await send(api, 'GET', '/agents/w/messages/size', { headers: asMaster });
    expect(size.json()).toEqual({ size: 1, ready: 1, leased: 0, delayed: 0, dead: 0 });
    const seen = await send(api, 'GET', '/messages?queue=@w&state=ready');
    expect(seen.json()).toMatchObject({
      messages: [{ payload: 'hello', state: 'ready', consumer: null, death: null }],
    });
  });

  test('are waited for', async () => {
    const begun = performance.now();
    const waiting = receive('?wait=20s');
    await post('/agents/w/messages', TEXT);
    expect(await waiting).toHaveLength(1);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test('are handed out again at once to a receive that is repeated under its receive_id', async () => {
    for (const payload of ['one', 'two']) await post('/agents/w/messages', { ...TEXT, payload });
    const first = await receive('?max=1&receive_id=r-1');
    expect(first).toMatchObject([{ payload: 'one', attempt: 1 }]);
    expect(first[0]?.lease).toMatch(/^r-1\..{16,}$/);
    expect(await receive('?max=1&wait=20s&receive_id=r-1')).toEqual(first);
    const { id, lease } = first[0]!;
    const longer = await post(`/agents/w/messages/${id}/extend`, { lease, for: '1h' });
    const { lease_until } = longer.json<{ lease_until: string }>();
    const byQueue = await send(api, 'GET', '/queues/@w/messages?receive_id=r-1');
    expect(byQueue.json()).toEqual({ messages: [{ ...first[0], lease_until }] });
    await post(`/agents/w/messages/${id}/ack`, { lease });
    expect(await receive('?max=1&receive_id=r-1')).toMatchObject([{ payload: 'two', attempt: 1 }]);
    expect(await receive('?receive_id=r')).toEqual([]);
  });

  test('are kept, where nothing else is said, for as long as the lease of their queue', async () => {
    await send(api, 'PUT', '/queues/lasting', { json: { lease: '1h' } });
    const leftAfter = async (place: string, queue: string): Promise<number> => {
      await post(`/queues/${queue}/messages`, TEXT);
      const taken = await send(api, 'GET', `/queues/${queue}/messages?lease=20s`);
      const [message] = taken.json<{ messages: DeliveryView[] }>().messages;
      const longer = await post(`${place}/messages/${message!.id}/extend`, { lease: message!.lease });
      return Date.parse(longer.json<{ lease_until: string }>().lease_until) - Date.now();
    };
    const lasting = await leftAfter('/queues/lasting', 'lasting');
    await messages.bus.deleteQueue('lasting');
    expect(lasting).toBeGreaterThan(3_000_000);
    for (const place of ['/queues/@w', '/agents/w']) {
      const mail = await leftAfter(place, '@w');
      expect(mail).toBeGreaterThan(30_000);
      expect(mail).toBeLessThanOrEqual(60_000);
    }
  });

  test('that nobody is there for any more are not taken', async () => {
    server = await listen(api.app, { port: 0, name: 'api' });
    const gone = new AbortController();
    const base = `http://127.0.0.1:${server.port}`;
    const headers = { authorization: `Bearer ${TOKEN}` };
    const poll = fetch(`${base}/agents/w/messages?wait=20s`, { headers, signal: gone.signal }).catch(() => 'gone');
    await fetch(`${base}/agents/w/messages/size`, { headers });
    gone.abort();
    expect(await poll).toBe('gone');
    await until(async () => (await fetch(`${base}/agents/w`, { headers })).status === 200, { what: 'the server' });
    await post('/agents/w/messages', TEXT);
    const [message] = await receive('?wait=5s');
    expect(message?.attempt).toBeLessThanOrEqual(2);
  });

  test('a wait ends when the server closes', async () => {
    server = await listen(api.app, { port: 0, name: 'api' });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const poll = fetch(`http://127.0.0.1:${server.port}/agents/w/messages?wait=60s`, { headers });
    await fetch(`http://127.0.0.1:${server.port}/agents/w/messages/size`, { headers });
    await server.close();
    server = undefined;
    expect(await (await poll).json()).toEqual({ messages: [] });
  });

  test('are refused with what is wrong', async () => {
    for (const [url, json, status, code] of [
      ['/agents/nobody/messages', TEXT, 404, 'AGENT_NOT_FOUND'],
      ['/queues/nothing/messages', TEXT, 404, 'QUEUE_NOT_FOUND'],
      ['/agents/w/messages', { type: 'TEXT' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, priority: 10 }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, from: 'admin' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, ttl: '0s' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, reply_to: 'a b' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, correlation_id: 'a\nb' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', { ...TEXT, type: '1' }, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages', [TEXT], 400, 'INVALID_REQUEST'],
      ['/agents/w/messages/x/ack', { lease: 'x' }, 404, 'MESSAGE_NOT_FOUND'],
      ['/agents/w/messages/x/ack', {}, 400, 'INVALID_REQUEST'],
      ['/agents/w/messages/x/nack', { lease: 'x', delay: '8d' }, 400, 'INVALID_REQUEST'],
      ['/queues/a%20b/messages', TEXT, 400, 'INVALID_REQUEST'],
    ] as const) {
      const response = await post(url, json);
      expect([url, json, response.statusCode, codeOf(response)]).toEqual([url, json, status, code]);
    }
    for (const query of [
      '?max=0',
      '?max=101',
      '?wait=61s',
      '?wait=x',
      '?lease=1ms',
      '?lease=25h',
      '?who=x',
      ...BAD_IDS,
    ]) {
      const response = await send(api, 'GET', `/agents/w/messages${query}`);
      expect([query, response.statusCode]).toEqual([query, 400]);
    }
    const other = await send(api, 'GET', '/agents/w/messages', { headers: asMaster });
    expect([other.statusCode, codeOf(other)]).toEqual([403, 'FORBIDDEN']);
  });

  test('a lease that has run out settles nothing', async () => {
    await post('/agents/w/messages', TEXT);
    const [held] = await receive('?lease=100ms');
    await until(async () => (await messages.bus.queue('@w'))?.ready === 1, { what: 'the end of the lease' });
    for (const verb of ['ack', 'nack', 'extend']) {
      const response = await post(`/agents/w/messages/${held!.id}/${verb}`, { lease: held!.lease });
      expect([verb, response.statusCode, codeOf(response)]).toEqual([verb, 409, 'LEASE_STALE']);
    }
  });
});

describe('Idempotency-Key of a send', () => {
  const keyed = (key: string, json: unknown = TEXT, headers: Record<string, string> = {}) =>
    post('/agents/w/messages', json, { 'idempotency-key': key, ...headers });

  test('is the key of the message; nothing else is kept for it', async () => {
    const first = (await keyed('k1')).json<{ id: string }>();
    const again = await keyed('k1');
    expect(again.json()).toEqual({ id: first.id, duplicate: true });
    expect(again.headers['idempotency-replayed']).toBeUndefined();
    expect(answers.notes.size).toBe(0);
    expect(await receive()).toHaveLength(1);
  });

  test('gives way to a key in the body', async () => {
    const own = { ...TEXT, idempotency_key: 'own' };
    const first = (await keyed('k2', own)).json<{ id: string }>();
    expect((await keyed('k3', own)).json()).toEqual({ id: first.id, duplicate: true });
  });

  test('counts for each message of a batch', async () => {
    const batch = { messages: [TEXT, { ...TEXT, idempotency_key: 'mine' }, TEXT] };
    const first = (await keyed('k4', batch)).json<{ messages: { id: string }[] }>().messages;
    const again = (await keyed('k4', batch)).json<{ messages: { id: string; duplicate: boolean }[] }>().messages;
    expect(again).toEqual(first.map(({ id }) => ({ id, duplicate: true })));
    expect(new Set(first.map(({ id }) => id)).size).toBe(3);
  });

  test('of another sender is another one', async () => {
    await keyed('k5');
    expect((await keyed('k5', TEXT, asMaster)).json()).toMatchObject({ duplicate: false });
  });

  test('is a plain one', async () => {
    const response = await keyed('a key');
    expect([response.statusCode, codeOf(response)]).toEqual([400, 'INVALID_REQUEST']);
  });
});

describe('while the daemon goes down', () => {
  test('agents may send, receive, settle, publish and keep things', async () => {
    await post('/agents/master/messages', { messages: [TEXT, TEXT] });
    api.state.facts.phase = 'shutdown';
    expect((await post('/agents/w/messages', TEXT, asMaster)).statusCode).toBe(201);
    const received = await send(api, 'GET', '/agents/master/messages', { headers: asMaster });
    const [one, two] = received.json<{ messages: DeliveryView[] }>().messages;
    const settle = (verb: string, { id, lease }: DeliveryView) =>
      post(`/agents/master/messages/${id}/${verb}`, { lease }, asMaster);
    expect((await settle('extend', one!)).statusCode).toBe(200);
    expect((await settle('ack', one!)).statusCode).toBe(200);
    expect((await settle('nack', two!)).statusCode).toBe(200);
    expect((await post('/topics/news', { payload: 1 }, asMaster)).statusCode).toBe(201);
    const put = await send(api, 'PUT', '/state/agents/master/snapshot', {
      json: { value: { step: 1 } },
      headers: asMaster,
    });
    expect(put.statusCode).toBe(200);
    const removed = await send(api, 'DELETE', '/state/agents/master/snapshot', { headers: asMaster });
    expect(removed.statusCode).toBe(200);
    // What would start something is refused as before.
    const refused = await post('/agents', { agent_id: 'x', template_id: 'T' });
    expect([refused.statusCode, codeOf(refused)]).toEqual([503, 'SHUTTING_DOWN']);
  });
});

describe('topics over HTTP', () => {
  test('are published on and read', async () => {
    const published = await post('/topics/price.abc', { payload: { n: 1 } }, { 'idempotency-key': 'p1', ...asMaster });
    expect([published.statusCode, published.json()]).toEqual([201, { cursor: expect.any(Number), duplicate: false }]);
    const again = await post('/topics/price.abc', { payload: { n: 2 } }, { 'idempotency-key': 'p1', ...asMaster });
    expect(again.json()).toEqual({ ...published.json<object>(), duplicate: true });
    const page = await send(api, 'GET', '/topics/price.*/events?max=5');
    expect(page.json()).toMatchObject({
      events: [{ topic: 'price.abc', from: 'master', payload: { n: 1 }, key: 'p1' }],
      missed: false,
    });
    const open = await send(api, 'GET', `/topics/${encodeURIComponent('price.>')}/events`);
    expect(open.json<{ events: unknown[] }>().events).toHaveLength(1);
    const reserved = await post('/topics/cron.w', { payload: 1 }, asMaster);
    expect([reserved.statusCode, codeOf(reserved)]).toEqual([403, 'FORBIDDEN']);
    for (const url of ['/topics/a..b', '/topics/a.*', '/topics/a%20b']) {
      expect((await post(url, { payload: 1 })).statusCode).toBe(400);
    }
    expect((await send(api, 'GET', '/topics/a.>.b/events')).statusCode).toBe(400);
    expect((await post('/topics/news', {})).statusCode).toBe(400);
  });

  test('as a stream end with the process whose token it shows', async () => {
    server = await listen(api.app, { port: 0, name: 'api' });
    const response = await fetch(`http://127.0.0.1:${server.port}/topics/stream.%3E/events`, {
      headers: { ...asMaster, accept: 'text/event-stream' },
    });
    const text = response.text();
    api.ends.tell('master', 3);
    expect(await text).toContain(': follows');
  });

  test('are followed as a stream, from where one was', async () => {
    server = await listen(api.app, { port: 0, name: 'api' });
    const follow = async (headers: Record<string, string>, enough: RegExp) => {
      const ending = new AbortController();
      const response = await fetch(`http://127.0.0.1:${server!.port}/topics/stream.%3E/events`, {
        headers: { authorization: `Bearer ${TOKEN}`, accept: 'text/event-stream', ...headers },
        signal: ending.signal,
      });
      let seen = '';
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        seen += decoder.decode(chunk as Uint8Array);
        if (enough.test(seen)) break;
      }
      ending.abort();
      return seen;
    };
    const { cursor } = await messages.messaging.topics.publish(ADMIN, 'stream.a', { payload: 'before' });
    const following = follow({}, /now/);
    await until(
      async () => {
        await messages.messaging.topics.publish(ADMIN, 'stream.b', { payload: 'now', key: 'n' });
        return true;
      },
      { what: 'the event' },
    );
    const resumed = await follow({ 'last-event-id': String(cursor) }, /now/);
    expect(resumed).toContain(
      `id: ${cursor + 1}\nevent: message\ndata: {"cursor":${cursor + 1},"topic":"stream.b","payload":"now"`,
    );
    expect(resumed).not.toContain('before');
    // It may have begun to follow after the event; then another shows that it does.
    await messages.messaging.topics.publish(ADMIN, 'stream.b', { payload: 'now' });
    expect(await following).not.toContain('before');
  });
});

describe('state over HTTP', () => {
  test('is written, read and listed under keys of all kinds', async () => {
    const key = 'a/b:c@d._-9';
    const url = `/state/shared/${encodeURIComponent(key)}`;
    const put = await send(api, 'PUT', url, {
      json: { value: null, expected_version: 0, ttl: '1h' },
      headers: asMaster,
    });
    expect(put.json()).toMatchObject({ key, value: null, version: expect.any(Number) });
    expect((await send(api, 'GET', url)).json()).toEqual(put.json());
    const conflict = await send(api, 'PUT', url, { json: { value: 1, expected_version: 0 } });
    expect([conflict.statusCode, codeOf(conflict)]).toEqual([409, 'VERSION_CONFLICT']);
    expect(conflict.json()).toMatchObject({ error: { details: { version: put.json<{ version: number }>().version } } });
    const list = await send(api, 'GET', '/state/shared?prefix=a/b');
    expect(list.json()).toMatchObject({ entries: [{ key }], next: null });
    expect((await send(api, 'DELETE', `${url}?expected_version=1000000`)).statusCode).toBe(409);
    expect((await send(api, 'DELETE', url)).json()).toEqual({ key, deleted: true });
    const missing = await send(api, 'GET', url);
    expect([missing.statusCode, codeOf(missing)]).toEqual([404, 'STATE_NOT_FOUND']);
  });

  test('has keys of up to 256 characters', async () => {
    for (const [key, status] of [
      ['/'.repeat(256), 200],
      ['x'.repeat(257), 400],
      ['a b', 400],
      ['ä', 400],
    ] as const) {
      const response = await send(api, 'PUT', `/state/shared/${encodeURIComponent(key)}`, { json: { value: 1 } });
      expect([key.slice(0, 5), response.statusCode]).toEqual([key.slice(0, 5), status]);
    }
  });

  test('of an agent is its own', async () => {
    const own = await send(api, 'PUT', '/state/agents/master/k', { json: { value: 1 }, headers: asMaster });
    expect(own.statusCode).toBe(200);
    const other = await send(api, 'GET', '/state/agents/w', { headers: asMaster });
    expect([other.statusCode, codeOf(other)]).toEqual([403, 'FORBIDDEN']);
    const nobody = await send(api, 'GET', '/state/agents/nobody/k');
    expect([nobody.statusCode, codeOf(nobody)]).toEqual([404, 'AGENT_NOT_FOUND']);
  });
});

test('what comes all the time stands in the log when it is refused only', async () => {
  await post('/agents/w/messages', TEXT);
  await post('/agents/nobody/messages', TEXT);
  await until(() => api.lines.some(({ code }) => code === 'AGENT_NOT_FOUND'), { what: 'the line' });
  expect(api.lines.filter(({ msg }) => msg === 'request')).toHaveLength(1);
});
