import type { InjectOptions } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ERRORS, type ErrorBody } from '../../src/contract/errors.ts';
import { AGENT_TOKEN, agentView, apiFixture, refusal, TOKEN, type ApiFixture } from './api-fixture.ts';

let api: ApiFixture;
beforeEach(() => {
  api = apiFixture();
});
afterEach(() => api.app.close());

type Given = Omit<InjectOptions, 'url' | 'method' | 'headers'> & { headers?: Record<string, string>; json?: unknown };

async function send(
  method: 'GET' | 'POST' | 'DELETE' | 'PUT',
  url: string,
  { json, headers = {}, ...given }: Given = {},
) {
  const auth = { host: '127.0.0.1:5050', authorization: `Bearer ${TOKEN}` };
  const body = json === undefined ? {} : { payload: JSON.stringify(json) };
  const type = json === undefined ? {} : { 'content-type': 'application/json' };
  return api.app.inject({ method, url, ...body, ...given, headers: { ...auth, ...type, ...headers } });
}

const codeOf = (response: { json: () => unknown }): string => (response.json() as ErrorBody).error.code;
const lastAsked = () => api.asked.at(-1)!;

describe('POST /agents', () => {
  test('answers 201 with the agent once it runs', async () => {
    const response = await send('POST', '/agents', { json: { agent_id: 'w', template_id: 'T', variables: { n: 1 } } });
    expect(response.statusCode).toBe(201);
    expect(response.headers['location']).toBe('/agents/w');
    expect(response.json()).toMatchObject({ agent_id: 'w', state: 'running', pid: 42, settled: true });
    expect(lastAsked()).toMatchObject({
      method: 'create',
      args: [
        { agent_id: 'w', variables: { n: 1 } },
        { wait: 'running', waitMs: 30_000 },
      ],
    });
  });
  test('accepts the names of camelCase systems', async () => {
    await send('POST', '/agents', { json: { agentId: 'w', templateId: 'T' } });
    expect(lastAsked().args[0]).toEqual({ agent_id: 'w', template_id: 'T' });
  });
  test.for([
    ['accepted', { wait: 'accepted', waitMs: 30_000 }],
    ['none', { wait: 'accepted', waitMs: 30_000 }],
    ['2s', { wait: 'running', waitMs: 2000 }],
  ] as const)('hands on ?wait=%s', async ([wait, options]) => {
    await send('POST', `/agents?wait=${wait}`, { json: { agent_id: 'w', template_id: 'T' } });
    expect(lastAsked().args[1]).toEqual(options);
  });
  test('answers 202 with what holds if the time is up', async () => {
    api.state.answer = { settled: false, agent: agentView('w', { state: 'starting', pid: null }) };
    const response = await send('POST', '/agents', { json: { agent_id: 'w', template_id: 'T' } });
    expect([response.statusCode, response.json().state]).toEqual([202, 'starting']);
  });
  test.for(['AGENT_EXISTS', 'SPAWN_FAILED', 'TEMPORAL_UNAVAILABLE'] as const)(
    'answers %s from the table',
    async (code) => {
      api.state.answer = refusal(code);
      const response = await send('POST', '/agents', { json: { agent_id: 'w', template_id: 'T' } });
      expect(response.statusCode).toBe(ERRORS[code].status);
      expect(response.json().error).toEqual({
        code,
        message: `${code} it is`,
        remedy: ERRORS[code].remedy,
        details: {},
        request_id: response.headers['x-request-id'],
      });
      expect(response.headers['retry-after']).toBe(code === 'TEMPORAL_UNAVAILABLE' ? '2' : undefined);
    },
  );
});

describe('reads', () => {
  test('GET /agents lists and hands on the filter', async () => {
    const response = await send('GET', '/agents?state=running&template_id=T&label=a=b&label=c');
    expect(response.json().agents).toHaveLength(2);
    expect(lastAsked().args[0]).toEqual({ state: 'running', template_id: 'T', labels: ['a=b', 'c'] });
  });
  test('GET /agents/{id} shows one', async () => {
    expect((await send('GET', '/agents/A.b_c-1')).json()).toMatchObject({ agent_id: 'A.b_c-1', stale: false });
  });
  test('GET history pages', async () => {
    expect((await send('GET', '/agents/a/history?limit=3&before=99')).json()).toMatchObject({
      next_before: 28,
      // In the words in which agents are shown.
      entries: [{ id: 30, state: 'starting' }, {}, {}],
    });
    expect(lastAsked().args[1]).toEqual({ limit: 3, before: 99 });
    expect((await send('GET', '/agents/a/history')).json().next_before).toBeNull();
  });
  test('GET logs gives text, or a JSON object a line', async () => {
    const text = await send('GET', '/agents/a/logs?tail=5');
    expect([text.headers['content-type'], text.body]).toEqual(['text/plain; charset=utf-8', 'one\ntwo\n']);
    expect(lastAsked().args[1]).toEqual({ tail: 5 });
    const json = await send('GET', '/agents/a/logs', { headers: { accept: 'application/x-ndjson' } });
    expect(json.body).toBe('{"line":"one"}\n{"line":"two"}\n');
    expect((await send('GET', '/agents/a/logs?follow')).body).toBe('one\n');
  });
  test('GET logs takes ?since as a time or a duration back', async () => {
    await send('GET', '/agents/a/logs?since=2026-01-31T09:00:00Z');
    expect(lastAsked().args[1]).toEqual({ tail: 100, sinceMs: Date.parse('2026-01-31T09:00:00Z') });
    await send('GET', '/agents/a/logs?since=10m&follow');
    const { sinceMs } = lastAsked().args[1] as { sinceMs: number };
    expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(600_000);
    expect(Date.now() - sinceMs).toBeLessThan(610_000);
    for (const bad of ['soon', '', '5', '2026-99-99'])
      expect((await send('GET', `/agents/a/logs?since=${bad}`)).statusCode).toBe(400);
  });
  test('GET /status tells what the daemon is', async () => {
    api.state.reachable = false;
    expect((await send('GET', '/status')).json()).toMatchObject({
      version: '0.1.0',
      phase: 'run',
      uptime_s: expect.closeTo(5, -1),
      temporal: { reachable: false, embedded: true },
      agents: { total: 2, by_state: { running: 1, stopped: 1 } },
      critical_down: [],
    });
  });
});

describe('commands', () => {
  test.for(['start', 'stop', 'restart'])('POST %s answers 200 when settled', async (verb) => {
    const response = await send('POST', `/agents/a/${verb}`);
    expect([response.statusCode, response.json().settled]).toEqual([200, true]);
    expect(lastAsked()).toMatchObject({ method: verb, args: ['a', { waitMs: 30_000 }] });
  });
  test('POST stop answers 202 with the reason when not', async () => {
    api.state.answer = {
      agent_id: 'a',
      revision: 2,
      settled: false,
      agent: agentView('a', { state: 'stopping', reason: 'in D state' }),
      note: 'n',
    };
    const response = await send('POST', '/agents/a/stop?grace=2s&wait=none');
    expect([response.statusCode, response.json()]).toMatchObject([
      202,
      { state: 'stopping', reason: 'in D state', settled: false, note: 'n' },
    ]);
    expect(lastAsked().args[1]).toEqual({ waitMs: 0, grace: '2s' });
  });
  test('DELETE answers 200 when all is gone', async () => {
    const response = await send('DELETE', '/agents/a?purge=true&grace=1s&wait=5s');
    expect([response.statusCode, response.json()]).toEqual([200, { agent_id: 'a', settled: true, deleted: true }]);
    expect(lastAsked()).toMatchObject({ method: 'remove', args: ['a', { waitMs: 5000, grace: '1s', purge: true }] });
  });
  test('POST signal answers 202', async () => {
    const response = await send('POST', '/agents/a/signal', { json: { name: 'SIGHUP' } });
    expect([response.statusCode, response.json()]).toEqual([202, { agent_id: 'a', revision: 7 }]);
  });
  test('an empty JSON body counts as none', async () => {
    expect((await send('POST', '/agents/a/stop', { headers: { 'content-type': 'application/json' } })).statusCode).toBe(
      200,
    );
    expect((await send('POST', '/agents/a/stop', { json: {} })).statusCode).toBe(200);
  });
  test('too many for one agent are refused with Retry-After, for others not', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => send('POST', '/agents/a/stop')));
    const refused = answers.filter((answer) => answer.statusCode === 429);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(codeOf(refused[0]!)).toBe('RATE_LIMITED');
    expect(refused[0]!.headers['retry-after']).toBe('1');
    expect((await send('POST', '/agents/b/stop')).statusCode).toBe(200);
    expect((await send('GET', '/agents/a')).statusCode).toBe(200);
  });
  test('during a shutdown changes are refused, reads are not', async () => {
    api.state.facts.phase = 'shutdown';
    const response = await send('POST', '/agents/a/stop');
    expect([response.statusCode, codeOf(response)]).toEqual([503, 'SHUTTING_DOWN']);
    expect(response.headers['retry-after']).toBeDefined();
    expect((await send('GET', '/agents/a')).statusCode).toBe(200);
    expect((await send('GET', '/status')).statusCode).toBe(200);
  });
});

describe('POST /shutdown', () => {
  test('answers what lives, then shuts down', async () => {
    const response = await send('POST', '/shutdown?keep_agents');
    expect([response.statusCode, response.json()]).toEqual([
      202,
      { pid: process.pid, keep_agents: true, live_agents: ['a'] },
    ]);
    await expect.poll(() => api.state.shutdowns).toEqual([{ keepAgents: true }]);
  });
  test('is for the admin', async () => {
    const response = await send('POST', '/shutdown', { headers: { authorization: `Bearer ${AGENT_TOKEN}` } });
    expect([response.statusCode, codeOf(response), api.state.shutdowns]).toEqual([403, 'FORBIDDEN', []]);
  });
});

describe('who may call', () => {
  test.for([
    undefined,
    '',
    TOKEN,
    'Basic abc',
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    'Bearer ümlaut',
  ])('authorization %j is refused, naming the file of the token', async (authorization) => {
    const headers = { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) };
    const response = await api.app.inject({ method: 'GET', url: '/agents', headers });
    expect([response.statusCode, codeOf(response)]).toEqual([401, 'UNAUTHORIZED']);
    expect(response.json().error.details.token_file).toBe('/home/x/.openstarry/orchestrator/token');
    expect(response.headers['www-authenticate']).toBe('Bearer');
    expect(api.asked).toEqual([]);
  });
  test('the token of an agent is that agent', async () => {
    await send('GET', '/agents', { headers: { authorization: `Bearer ${AGENT_TOKEN}` } });
    expect(lastAsked().call.caller).toEqual({
      kind: 'agent',
      agent_id: 'master',
      generation: 3,
      may: { start: ['T'] },
    });
  });
  test('other hosts and origins are refused, also with the token', async () => {
    expect(codeOf(await send('GET', '/agents', { headers: { host: 'evil.example' } }))).toBe('HOST_NOT_ALLOWED');
    expect(codeOf(await send('POST', '/agents/a/stop', { headers: { origin: 'https://evil.example' } }))).toBe(
      'ORIGIN_NOT_ALLOWED',
    );
    expect(codeOf(await send('POST', '/agents/a/stop', { headers: { origin: 'null' } }))).toBe('ORIGIN_NOT_ALLOWED');
    expect((await send('POST', '/agents/a/stop', { headers: { origin: 'http://127.0.0.1:5050' } })).statusCode).toBe(
      200,
    );
  });
  test('no answer lets another origin read it', async () => {
    const response = await send('GET', '/agents');
    expect(Object.keys(response.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('bad input is a 4xx that names what is wrong', () => {
  test('every refusal has the same five fields, also with nothing for programs to read', async () => {
    const { error } = (await send('GET', '/nowhere')).json();
    expect(Object.keys(error)).toEqual(['code', 'message', 'remedy', 'details', 'request_id']);
    expect(error.details).toEqual({});
  });
  test('options of a command in its body are refused with where they belong', async () => {
    const { error } = (await send('POST', '/agents/a/stop', { payload: { grace: '1s' } })).json();
    expect(error.message).toBe(
      'In the body, grace is not a known field; options of a command stand in the query, such as ?grace=5s',
    );
    expect((await send('POST', '/agents/a/signal')).json().error.message).toMatch(/^In the body, the value is null;/);
  });
  test('a field where none is known', async () => {
    const { error } = (await send('GET', '/schedules?agent_id=x')).json();
    expect(error.message).toBe('In the query, agent_id is not a known field; no fields are known here');
  });
  const post = (payload: string | Buffer, type = 'application/json') =>
    send('POST', '/agents', { payload, headers: { 'content-type': type } });

  test.for<[string, string, string]>([
    ['/agents/a?x=1', 'INVALID_REQUEST', 'x'],
    ['/agents?state=runing', 'INVALID_REQUEST', 'state'],
    ['/agents/a/logs?tail=-1', 'INVALID_REQUEST', 'tail'],
    ['/agents/a/logs?tail=1e9', 'INVALID_REQUEST', 'tail'],
    ['/agents/a/logs?tail=1&tail=2', 'INVALID_REQUEST', 'tail'],
    ['/agents/a/logs?follow=perhaps', 'INVALID_REQUEST', 'follow'],
    ['/agents/a/history?limit=0', 'INVALID_REQUEST', 'limit'],
    ['/agents/a/history?before=', 'INVALID_REQUEST', 'before'],
    [`/agents/${'a'.repeat(65)}`, 'INVALID_REQUEST', 'agent_id'],
    ['/agents/_temporal', 'INVALID_REQUEST', 'agent_id'],
    ['/agents/..%2f..%2fetc', 'INVALID_REQUEST', 'agent_id'],
    ['/agents/a%00b', 'INVALID_REQUEST', 'agent_id'],
    ['/agents/%F0%9F%92%A9', 'INVALID_REQUEST', 'agent_id'],
  ])('GET %s', async ([url, code, field]) => {
    const response = await send('GET', url);
    expect([response.statusCode, codeOf(response)]).toEqual([400, code]);
    expect(response.json().error).toMatchObject({ message: expect.stringContaining(field), details: { field } });
    expect(api.asked).toEqual([]);
  });
  test.for(['wait=soon', 'wait=11m', 'wait=-1s', 'grace=5', 'grace=', 'purge=yes'])('DELETE ?%s', async (query) => {
    const response = await send('DELETE', `/agents/a?${query}`);
    expect([response.statusCode, codeOf(response)]).toEqual([400, 'INVALID_REQUEST']);
    expect(response.json().error.message).toMatch(/expected .+/);
  });
  test('a path that is no percent-encoding', async () => {
    const response = await send('GET', '/agents/%zz');
    expect([response.statusCode, codeOf(response)]).toEqual([400, 'INVALID_REQUEST']);
  });
  test.for<[string, string]>([
    ['no JSON', 'abc'],
    ['cut off', '{"agent_id":"w"'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a text', '"w"'],
    ['nothing', ''],
    ['__proto__', '{"agent_id":"w","template_id":"T","__proto__":{"x":1}}'],
    ['a nested __proto__', '{"agent_id":"w","template_id":"T","labels":{"__proto__":"x"}}'],
    ['constructor.prototype', '{"agent_id":"w","constructor":{"prototype":{"x":1}}}'],
    ['deep nesting', `{"agent_id":"w","variables":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['NUL', '{"agent_id":"w","template_id":"T","task":"a\\u0000b"}'],
    ['a lone surrogate', '{"agent_id":"w","template_id":"T","task":"\\ud800"}'],
    ['a number for an id', '{"agent_id":5,"template_id":"T"}'],
    ['a bad id', '{"agent_id":"../x","template_id":"T"}'],
    ['a field that only the daemon sets', '{"agent_id":"w","template_id":"T","signature":"x"}'],
    ['bytes that are no UTF-8', '{"agent_id":"\ufffd"}'],
  ])('a body with %s', async ([, body]) => {
    const response = await post(body);
    expect([response.statusCode, codeOf(response)]).toEqual([400, 'INVALID_REQUEST']);
    expect(api.asked).toEqual([]);
  });
  test('a field that is not built yet is refused by name', async () => {
    const response = await send('POST', '/agents', { json: { agent_id: 'w', template_id: 'T', relocate: true } });
    expect([response.statusCode, codeOf(response)]).toEqual([422, 'UNSUPPORTED_FIELD']);
    expect(response.json().error.message).toContain('relocate');
  });
  test('a body over the limit', async () => {
    const response = await post(JSON.stringify({ agent_id: 'w', task: 'x'.repeat(10_000_000) }));
    expect([response.statusCode, codeOf(response)]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
  });
  test.for([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'nonsense',
  ])('a body of type %s', async (type) => {
    const response = await post('{"agent_id":"w","template_id":"T"}', type);
    expect([response.statusCode, codeOf(response)]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });
  test('a command with a body that it would not read', async () => {
    expect((await send('POST', '/agents/a/stop', { json: { grace: '1s' } })).statusCode).toBe(400);
    expect((await send('POST', '/agents/a/signal', { json: { name: 'SIGHUP', x: 1 } })).statusCode).toBe(400);
    expect((await send('POST', '/agents/a/signal')).statusCode).toBe(400);
  });
  test('an unknown route or method', async () => {
    for (const [method, url] of [
      ['GET', '/nothing'],
      ['POST', '/agents/a/explode'],
      ['POST', '/agents:explode'],
      ['POST', '/agents/a/stop/now'],
    ] as const) {
      const response = await send(method, url);
      expect([response.statusCode, codeOf(response)]).toEqual([404, 'ROUTE_NOT_FOUND']);
    }
    for (const [method, url, allowed] of [
      ['PUT', '/agents/a', 'DELETE, GET, HEAD'],
      ['GET', '/agents/a/stop', 'POST'],
      ['GET', '/agents:stop?x=1', 'POST'],
      ['DELETE', '/healthz', 'GET, HEAD'],
    ] as const) {
      const response = await send(method, url);
      expect([response.statusCode, codeOf(response)]).toEqual([405, 'METHOD_NOT_ALLOWED']);
      expect(response.headers['allow']).toBe(allowed);
      expect(response.json().error.message).toContain(allowed);
    }
  });
});

describe('request ids and logs', () => {
  test('a plain request id is taken over and answered, another is replaced', async () => {
    const kept = await send('GET', '/agents', { headers: { 'x-request-id': 'trace-1:2.3' } });
    expect(kept.headers['x-request-id']).toBe('trace-1:2.3');
    expect(lastAsked().call.request_id).toBe('trace-1:2.3');
    for (const bad of ['', 'a b', 'x'.repeat(65), '{"a":1}']) {
      const made = await send('GET', '/agents/%00', { headers: { 'x-request-id': bad } });
      expect(made.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      expect(made.json().error.request_id).toBe(made.headers['x-request-id']);
    }
  });
  test('one line a request, and no token in it', async () => {
    await send('POST', '/agents/a/stop', { headers: { 'x-request-id': 'r1' } });
    await send('GET', '/agents/%00', { headers: { 'x-request-id': 'r2' } });
    await expect.poll(() => api.lines.length).toBe(2);
    expect(api.lines).toMatchObject([
      {
        request_id: 'r1',
        method: 'POST',
        route: '/agents/:agent_id/stop',
        agent_id: 'a',
        caller: 'admin',
        status: 200,
        ms: expect.any(Number),
      },
      { request_id: 'r2', status: 400, code: 'INVALID_REQUEST' },
    ]);
    expect(JSON.stringify(api.lines)).not.toContain(TOKEN);
  });
  test('a defect is a 500 that tells its request id and nothing else', async () => {
    api.state.answer = new TypeError('secret detail');
    const response = await send('GET', '/agents/a');
    expect([response.statusCode, codeOf(response)]).toEqual([500, 'INTERNAL']);
    expect(response.body).not.toContain('secret');
    await expect.poll(() => api.lines.some((line) => line['msg'] === 'request failed unexpectedly')).toBe(true);
  });
});

describe('probes', () => {
  const open = (url: string, accept?: string) =>
    api.app.inject({ url, headers: { host: 'anything', ...(accept ? { accept } : {}) } });

  test('GET /healthz is ok without a token', async () => {
    const text = await open('/healthz');
    expect([text.statusCode, text.body, text.headers['x-openstarry-degraded']]).toEqual([200, 'ok', undefined]);
    expect((await open('/healthz', 'application/json')).json()).toEqual({ status: 'ok' });
  });
  test('GET /healthz names critical agents that are down', async () => {
    api.state.criticalDown = [{ agent_id: 'risk', reason: 'generation 1 exited with code 1' }];
    const text = await open('/healthz');
    expect([text.statusCode, text.body]).toEqual([503, 'risk: generation 1 exited with code 1']);
    expect((await open('/healthz', 'application/json')).json()).toEqual({
      status: 'down',
      critical_down: api.state.criticalDown,
    });
  });
  test.each([
    ['/runs', 'runs'],
    ['/incidents', 'incidents'],
  ] as const)('GET %s, and one of them, are marked stale while Temporal is away', async (path, name) => {
    const seen = async (): Promise<unknown[]> => {
      const list = (await send('GET', path)).json() as Record<string, { stale?: boolean }[]>;
      const one = (await send('GET', `${path}/x`)).json() as { stale?: boolean };
      return [list[name]?.map(({ stale }) => stale), one.stale];
    };
    expect(await seen()).toEqual([[false], false]);
    api.state.reachable = false;
    expect(await seen()).toEqual([[true], true]);
  });
  test('GET /healthz is ok but degraded without Temporal', async () => {
    api.state.reachable = false;
    const response = await open('/healthz');
    expect([response.statusCode, response.headers['x-openstarry-degraded']]).toEqual([200, 'temporal']);
  });
  test('GET /metrics has a series an agent, which goes with it', async () => {
    api.state.up = [
      { agent_id: 'a', up: true },
      { agent_id: 'b', up: false },
    ];
    const { body } = await open('/metrics');
    expect(body).toContain('agent_state{agent="a"} 1');
    expect(body).toContain('agent_state{agent="b"} 0');
    api.state.up = [{ agent_id: 'b', up: true }];
    const later = (await open('/metrics')).body;
    expect(later).toContain('agent_state{agent="b"} 1');
    expect(later).not.toContain('agent="a"');
    expect(later).toContain('process_cpu_user_seconds_total');
    expect(later).toContain(
      'openstarry_http_request_duration_seconds_count{method="GET",route="/metrics",status="200"}',
    );
  });
});
