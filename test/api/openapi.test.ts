import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isErrorCode } from '../../src/contract/errors.ts';
import { OPERATIONS } from '../../src/api/operations.ts';
import { errorBody } from '../../src/schema/views.ts';
import { ADMIN, messagingFixture, text, type MessagingFixture } from '../service/messaging/messaging-fixture.ts';
import { apiFixture, refusal, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { examples?: unknown[] }> };
}
interface Operation {
  operationId: string;
  summary?: string;
  parameters?: { name: string; in: string; description?: string; schema: unknown }[];
  requestBody?: unknown;
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
  security?: unknown[];
}

let api: ApiFixture;
let routes: string[];
let document: Document;
let messages: MessagingFixture;
beforeAll(async () => {
  messages = await messagingFixture();
  const { messaging, agent } = messages;
  await agent('a');
  for (const queue of ['q', 'gone']) await messaging.queues.put(ADMIN, queue, {});
  await messaging.topics.publish(ADMIN, 't.x', { payload: 1 });
  await messaging.entries.put(ADMIN, { kind: 'shared' }, 'k', [1], {});
  await messaging.entries.put(ADMIN, { kind: 'agent', agentId: 'a' }, 'k', null, {});
});
afterAll(() => messages.end());
beforeEach(async () => {
  api = apiFixture({ messaging: messages.messaging });
  routes = [];
  api.app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') routes.push(`${each} ${url}`);
  });
  const answer = await api.app.inject({ url: '/openapi.json', headers: { host: 'localhost' } });
  document = answer.json();
});
afterEach(() => api.app.close());

const documented = (): { name: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
const pathOf = (route: string): string =>
  route
    .replaceAll('::', '\0')
    .replaceAll(/:(\w+)/g, '{$1}')
    .replaceAll('\0', ':');

describe('GET /openapi.json', () => {
  test('is a valid OpenAPI 3.1 document', async () => {
    expect(document.openapi).toBe('3.1.0');
    const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
    expect([valid, errors]).toEqual([true, undefined]);
  });

  test('has every route, and none that does not exist', () => {
    expect(routes.length).toBeGreaterThan(15);
    const names = documented().map(({ name }) => name);
    expect(names.toSorted()).toEqual(routes.map(pathOf).toSorted());
    expect(Object.keys(OPERATIONS).map(pathOf).toSorted()).toEqual(names.toSorted());
  });

  test('says of each what it does, under a name of its own', () => {
    const ids = documented().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { name, operation } of documented()) {
      expect([name, operation.summary]).toEqual([name, expect.stringMatching(/^\w.*[^.]$/)]);
      expect([name, Object.keys(operation.responses).length > 0]).toEqual([name, true]);
    }
  });

  test('refers to nothing that it does not have, and has nothing that is not referred to', () => {
    const text = JSON.stringify(document);
    const used = new Set([...text.matchAll(/#\/components\/schemas\/([^"]+)/g)].map(([, id]) => id));
    const all = Object.keys(document.components.schemas);
    expect([...used].filter((id) => !all.includes(id as string))).toEqual([]);
    expect(all.filter((id) => !used.has(id))).toEqual(['TransitionEvent']);
  });

  test('tells of the error shape with each refusal, by codes that exist', () => {
    for (const { name, operation } of documented()) {
      for (const [status, { description, content = {} }] of Object.entries(operation.responses)) {
        if (Number(status) < 400 || name === 'GET /healthz') continue;
        expect(content['application/json']?.schema).toEqual({ $ref: '#/components/schemas/Error' });
        for (const [, code] of description.matchAll(/`(\w+)`/g)) expect(isErrorCode(code)).toBe(true);
      }
    }
  });

  test('has the token on everything but probes and itself', () => {
    const open = documented().filter(({ operation }) => operation.security?.length === 0);
    expect(open.map(({ name }) => name).toSorted()).toEqual([
      'GET /docs',
      'GET /healthz',
      'GET /metrics',
      'GET /openapi.json',
    ]);
  });

  test('has numbers for numbers, and the Idempotency-Key on changes', () => {
    const history = document.paths['/agents/{agent_id}/history']?.['get'];
    expect(history?.parameters?.find(({ name }) => name === 'limit')?.schema).toMatchObject({
      type: 'integer',
      minimum: 1,
      maximum: 1000,
    });
    for (const { name, operation } of documented()) {
      const has = operation.parameters?.some((one) => one.name === 'idempotency-key') ?? false;
      expect([name, has]).toEqual([name, !name.startsWith('GET ')]);
    }
    expect(document.paths['/agents']?.['post']?.requestBody).toBeDefined();
    expect(document.paths['/agents/{agent_id}/stop']?.['post']?.requestBody).toBeUndefined();
  });

  test('has examples that hold to their schemas', () => {
    const schemas = Object.values(OPERATIONS).flatMap(({ answers, body }) => [
      ...Object.values(answers).flatMap(({ content }) => Object.values(content)),
      ...(body === undefined ? [] : [body]),
    ]);
    const examples = schemas.flatMap((schema) =>
      ((schema.meta()?.['examples'] as unknown[] | undefined) ?? []).map((example) => ({ schema, example })),
    );
    expect(examples.length).toBeGreaterThan(5);
    for (const { schema, example } of examples) expect(schema.safeParse(example).error).toBeUndefined();
  });

  test('needs no token, but is kept from other hosts and origins', async () => {
    for (const url of ['/openapi.json', '/docs']) {
      expect((await api.app.inject({ url, headers: { host: 'localhost' } })).statusCode).toBe(200);
      expect((await api.app.inject({ url, headers: { host: 'evil.example' } })).statusCode).toBe(403);
    }
  });
});

describe('GET /docs', () => {
  test('shows every operation, loads nothing and runs nothing', async () => {
    const page = await api.app.inject({ url: '/docs', headers: { host: 'localhost' } });
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    for (const { operation } of documented()) expect(page.body).toContain(`id="${operation.operationId}"`);
    expect(page.body).not.toMatch(/<script|<img|<link|src=|https?:|\sstyle=|\son\w+=/);
    const ids = new Set([...page.body.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, id] of page.body.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(id);
  });

  test('allows the very style that it has', async () => {
    const page = await api.app.inject({ url: '/docs', headers: { host: 'localhost' } });
    const style = /<style>([\s\S]*)<\/style>/.exec(page.body)?.[1] ?? '';
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256').update(style).digest('base64');
    expect(page.headers['content-security-policy']).toContain(`'sha256-${hash}'`);
  });
});

describe('answers hold to the document', () => {
  const agent = { agent_id: 'w', template_id: 'T' };
  const asked: [string, string, unknown?][] = [
    ['POST /agents', '/agents', agent],
    ['GET /agents', '/agents?limit=1'],
    ['GET /agents/:agent_id', '/agents/a'],
    ['DELETE /agents/:agent_id', '/agents/a'],
    ['POST /agents/:agent_id/start', '/agents/a/start'],
    ['POST /agents/:agent_id/stop', '/agents/a/stop'],
    ['POST /agents/:agent_id/restart', '/agents/a/restart'],
    ['POST /agents/:agent_id/pause', '/agents/a/pause'],
    ['POST /agents/:agent_id/resume', '/agents/a/resume'],
    ['POST /agents/:agent_id/heartbeat', '/agents/a/heartbeat', { progress: 0.5, usage: { tokens: 7 } }],
    ['POST /agents/:agent_id/signal', '/agents/a/signal', { name: 'SIGHUP' }],
    ['GET /agents/:agent_id/logs', '/agents/a/logs'],
    ['GET /agents/:agent_id/history', '/agents/a/history'],
    ['POST /agents::start', '/agents:start', { all: true }],
    ['POST /agents::stop', '/agents:stop', { all: true }],
    ['POST /agents::restart', '/agents:restart', { all: true }],
    ['POST /agents::pause', '/agents:pause', { all: true }],
    ['POST /agents::resume', '/agents:resume', { all: true }],
    ...['/agents/:agent_id', '/queues/:queue'].flatMap((place): typeof asked => {
      const url = place.replace(':agent_id', 'a').replace(':queue', 'q');
      const message = { type: 'TEXT', payload: 'hello' };
      // Where the held message is: elsewhere it is not found.
      const holding = url.replace('/queues/q', '/queues/@a');
      return [
        [`POST ${place}/messages`, `${url}/messages`, { messages: [message, message] }],
        [`GET ${place}/messages`, `${url}/messages?max=1`],
        [`GET ${place}/messages/size`, `${url}/messages/size`],
        [`POST ${place}/messages/:message_id/ack`, `${holding}/messages/HELD/ack`, { lease: 'LEASE' }],
        [`POST ${place}/messages/:message_id/nack`, `${holding}/messages/HELD/nack`, { lease: 'LEASE', delay: '1h' }],
        [`POST ${place}/messages/:message_id/extend`, `${holding}/messages/HELD/extend`, { lease: 'LEASE', for: '5m' }],
      ];
    }),
    ['GET /messages', '/messages?limit=2'],
    ['GET /queues', '/queues'],
    ['GET /queues/:queue', '/queues/q'],
    ['PUT /queues/:queue', '/queues/q', { members: ['a'], ttl: 'never' }],
    ['DELETE /queues/:queue', '/queues/gone'],
    ['GET /queues/:queue/dead', '/queues/q/dead'],
    ['POST /queues/:queue/dead/requeue', '/queues/q/dead/requeue'],
    ['POST /queues/:queue/dead/discard', '/queues/q/dead/discard', { ids: ['x'] }],
    ['POST /topics/:topic', '/topics/t.x', { payload: { n: 1 }, key: 'k' }],
    ['GET /topics', '/topics'],
    ['GET /topics/:pattern/events', '/topics/t.*/events'],
    ...['/state/shared', '/state/agents/:agent_id'].flatMap((place): typeof asked => {
      const url = place.replace(':agent_id', 'a');
      return [
        [`GET ${place}`, url],
        [`GET ${place}/:key`, `${url}/k`],
        [`PUT ${place}/:key`, `${url}/other`, { value: { n: 1 }, ttl: '1h' }],
        [`DELETE ${place}/:key`, `${url}/other`],
      ];
    }),
    ['POST /schedules', '/schedules', { agent_id: 'a', cron: '0 9 * * *' }],
    ['GET /schedules', '/schedules'],
    ['GET /schedules/:schedule_id', '/schedules/s'],
    ['PUT /schedules/:schedule_id', '/schedules/s', { agent_id: 'a', every: '10m' }],
    ['DELETE /schedules/:schedule_id', '/schedules/s'],
    ['POST /schedules/:schedule_id/pause', '/schedules/s/pause', { note: 'holidays' }],
    ['POST /schedules/:schedule_id/resume', '/schedules/s/resume'],
    ['POST /schedules/:schedule_id/trigger', '/schedules/s/trigger'],
    [
      'POST /schedules/:schedule_id/backfill',
      '/schedules/s/backfill',
      { from: '2026-01-01T00:00:00Z', to: '2026-01-01T01:00:00Z' },
    ],
    ...['/runs', '/sessions'].flatMap((path): typeof asked => [
      [`POST ${path}`, `${path}?wait=1s`, { agentId: 'a', task: 'work', cleanup: 'delete' }],
      [`GET ${path}`, `${path}?agent_id=a&state=running`],
      [`GET ${path}/:run_id`, `${path}/r`],
      [`POST ${path}/:run_id/cancel`, `${path}/r/cancel`],
    ]),
    ['POST /incidents', '/incidents', { summary: 'it leaks', details: [1, null] }],
    ['GET /incidents', '/incidents?state=open&severity=critical&agent_id=w1&limit=1'],
    ['GET /incidents/:incident_id', '/incidents/agent.w1.1'],
    ...(['acknowledge', 'resolve', 'reopen', 'approve', 'reject'] as const).map((verb): [string, string, unknown] => [
      `POST /incidents/:incident_id/${verb}`,
      `/incidents/i/${verb}`,
      { by: 'kim', note: 'now' },
    ]),
    ['POST /notify/test', '/notify/test', { channel: 'ops' }],
    ['GET /events', '/events'],
    ['GET /hosts', '/hosts'],
    ['GET /status', '/status'],
    ['GET /templates', '/templates'],
    ['GET /templates/:template_id', '/templates/T'],
    ['POST /reload', '/reload?dry_run'],
    ['POST /shutdown', '/shutdown'],
    ['GET /healthz', '/healthz'],
    ['GET /metrics', '/metrics'],
    ['GET /openapi.json', '/openapi.json'],
    ['GET /docs', '/docs'],
  ];

  test('all are asked', () => {
    expect(asked.map(([name]) => name).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
  });

  /** A message that was handed out, for what can be done with one. */
  async function held(): Promise<{ id: string; lease: string }> {
    await messages.messaging.messages.send(ADMIN, '@a', [text('held')]);
    const [message] = await messages.messaging.messages.receive(ADMIN, 'a', { max: 1, waitMs: 0 });
    if (message === undefined) throw new Error('nothing was handed out');
    return message;
  }

  test.for(asked)('%s', async ([name, given, body]) => {
    const { id, lease } = given.includes('HELD') ? await held() : { id: '', lease: '' };
    const url = given.replace('HELD', id);
    const json =
      body === undefined ? {} : { json: JSON.parse(JSON.stringify(body).replace('LEASE', lease)) as unknown };
    const response = await send(api, name.split(' ')[0] ?? '', url, json);
    const answer = OPERATIONS[name]?.answers[response.statusCode];
    expect([response.statusCode, answer?.description]).toEqual([response.statusCode, expect.any(String)]);
    const type = String(response.headers['content-type']).split(';')[0] as string;
    const schema = answer?.content[type];
    if (schema === undefined) throw new Error(`${name} answers with ${type}, which is not documented`);
    const answered: unknown = type === 'application/json' ? response.json() : response.body;
    // Nothing more than what is documented, too.
    const exact = schema instanceof z.ZodObject && name !== 'GET /openapi.json' ? schema.strict() : schema;
    expect(exact.safeParse(answered).error).toBeUndefined();
  });

  test('refusals', async () => {
    api.state.answer = refusal('TEMPORAL_UNAVAILABLE');
    for (const [method, url] of [
      ['GET', '/agents/a'],
      ['GET', '/agents/%00'],
      ['GET', '/nothing'],
      ['PUT', '/agents'],
    ] as const) {
      const response = await send(api, method, url);
      expect(errorBody.strict().safeParse(response.json()).error).toBeUndefined();
    }
  });
});
