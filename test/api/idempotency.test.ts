import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AGENT_TOKEN, agentView, apiFixture, refusal, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';
import { memoryAnswers } from './memory-answers.ts';
import { until } from '../support/wait.ts';

let answers: ReturnType<typeof memoryAnswers>;
let api: ApiFixture;
beforeEach(() => {
  answers = memoryAnswers();
  api = apiFixture({ answers });
});
afterEach(() => api.app.close());

const agent = { agent_id: 'w', template_id: 'T' };
const create = (key: string, json: unknown = agent, headers: Record<string, string> = {}) =>
  send(api, 'POST', '/agents', { json, headers: { 'idempotency-key': key, ...headers } });
const codeOf = (response: { json: () => { error: { code: string } } }): string => response.json().error.code;

describe('Idempotency-Key', () => {
  test('the same request gets the same answer and takes effect once', async () => {
    const first = await create('k');
    api.state.answer = refusal('AGENT_EXISTS');
    const again = await create('k');
    expect([again.statusCode, again.body, again.headers['location']]).toEqual([201, first.body, '/agents/w']);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    expect(api.asked).toHaveLength(1);
  });

  test('another request with the same key is refused: other body, query, path or method', async () => {
    await create('k');
    const key = { 'idempotency-key': 'k' };
    for (const [method, url, json] of [
      ['POST', '/agents', { ...agent, task: 'x' }],
      ['POST', '/agents?wait=accepted', agent],
      ['POST', '/agents/w/stop', undefined],
      ['DELETE', '/agents/w', undefined],
    ] as const) {
      const response = await send(api, method, url, { ...(json ? { json } : {}), headers: key });
      expect([response.statusCode, codeOf(response)]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
    }
    expect(api.asked).toHaveLength(1);
  });

  test('commands and bulk commands have it too, reads take no notice of it', async () => {
    for (const [url, json] of [['/agents/a/restart'], ['/agents:restart', { all: true }]] as const) {
      const options = { headers: { 'idempotency-key': `of ${url}`.replace(' ', '-') }, ...(json ? { json } : {}) };
      api.asked.length = 0;
      const bodies = [await send(api, 'POST', url, options), await send(api, 'POST', url, options)].map((r) => r.body);
      expect([bodies[0], api.asked.length]).toEqual([bodies[1], 1]);
    }
    await send(api, 'GET', '/agents/a', { headers: { 'idempotency-key': 'g' } });
    await send(api, 'GET', '/agents/a', { headers: { 'idempotency-key': 'g' } });
    expect(api.asked.filter(({ method }) => method === 'get')).toHaveLength(2);
  });

  test('what was refused has had no effect and is tried anew', async () => {
    api.state.answer = refusal('SPAWN_FAILED');
    expect((await create('k')).statusCode).toBe(422);
    expect((await create('k', {})).statusCode).toBe(400);
    api.state.answer = undefined;
    expect((await create('k', { ...agent, task: 'other' })).statusCode).toBe(201);
    expect(answers.notes.size).toBe(1);
  });

  test('what may have had its effect though it was refused is taken up under its own ids', async () => {
    api.state.answer = refusal('TEMPORAL_UNAVAILABLE');
    expect((await create('k', agent, { 'x-request-id': 'first' })).statusCode).toBe(503);
    // Nor does a later refusal tell that the first attempt had none.
    for (const code of ['TEMPORAL_UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL'] as const) {
      api.state.answer = refusal(code);
      expect(codeOf(await create('k'))).toBe(code);
    }
    expect(codeOf(await create('k', { ...agent, task: 'other' }))).toBe('IDEMPOTENCY_KEY_REUSED');
    api.state.answer = undefined;
    const last = await create('k');
    expect([last.statusCode, last.headers['idempotency-replayed']]).toEqual([201, undefined]);
    const calls = api.asked.map(({ call }) => [call.request_id, call.once?.again]);
    expect(calls).toEqual([['first', false], ...Array.from({ length: 4 }, () => ['first', true])]);
    expect(new Set(api.asked.map(({ call }) => call.once?.id)).size).toBe(1);
    expect((await create('k')).headers['idempotency-replayed']).toBe('true');
  });

  test('an attempt whose answer was lost is not forgotten over a refusal of the next one', async () => {
    await create('k', agent, { 'x-request-id': 'first' });
    for (const [name, note] of answers.notes) answers.notes.set(name, { ...note, answer: null });
    for (const code of ['RATE_LIMITED', 'TEMPORAL_UNAVAILABLE', 'AGENT_EXISTS'] as const) {
      api.state.answer = refusal(code);
      expect(codeOf(await create('k'))).toBe(code);
    }
    api.state.answer = undefined;
    expect((await create('k')).statusCode).toBe(201);
    expect(api.asked.at(-1)!.call).toMatchObject({ request_id: 'first', once: { again: true } });
  });

  test('the keys of one caller are not those of another', async () => {
    await create('k');
    expect((await create('k', { ...agent, task: 'x' }, { authorization: `Bearer ${AGENT_TOKEN}` })).statusCode).toBe(
      201,
    );
  });

  test('two at once: the second waits for the first and gets its answer', async () => {
    let finish: (answer: unknown) => void = () => undefined;
    api.state.answer = () => new Promise((resolve) => (finish = resolve));
    const first = create('k');
    await until(() => api.asked.length === 1, { what: 'the first request' });
    const second = create('k');
    const other = await create('other', {});
    expect(other.statusCode).toBe(400);
    finish({ settled: true, agent: agentView('w', { pid: 4711 }) });
    const both = await Promise.all([first, second]);
    expect(both.map((one) => [one.statusCode, one.json().pid])).toEqual([
      [201, 4711],
      [201, 4711],
    ]);
    expect(api.asked).toHaveLength(1);
  });

  test('an attempt of which only the note is left is taken up under its own ids', async () => {
    await create('k', agent, { 'x-request-id': 'first' });
    const [note] = answers.notes.values();
    const before = api.asked[0]!.call;
    expect(before.once).toEqual({ id: expect.stringMatching(/^[0-9a-f]{64}$/), again: false });
    for (const name of answers.notes.keys()) answers.notes.set(name, { ...note!, answer: null });
    await create('k', agent, { 'x-request-id': 'second' });
    expect(api.asked[1]!.call).toMatchObject({ request_id: 'first', once: { id: before.once?.id, again: true } });
    expect((await create('k')).headers['idempotency-replayed']).toBe('true');
  });

  test('a call without a key takes effect each time', async () => {
    await send(api, 'POST', '/agents', { json: agent });
    expect(api.asked[0]!.call.once).toBeUndefined();
  });

  test.for(['', ' ', 'ä', 'x'.repeat(256), 'a b'])('the key %j is refused by name', async (key) => {
    const response = await create(key);
    expect([response.statusCode, response.json().error.details]).toEqual([400, { field: 'idempotency-key' }]);
  });

  test('a store that fails before refuses, one that fails after does not', async () => {
    answers.keepAnswer = () => Promise.reject(new Error('disk'));
    expect((await create('k')).statusCode).toBe(201);
    answers.beginAnswer = () => Promise.reject(Object.assign(new Error('full'), { code: 'STORAGE_FULL' }));
    expect([(await create('k2')).statusCode, (await create('k2')).statusCode]).toEqual([507, 507]);
    expect(api.asked).toHaveLength(1);
  });
});
