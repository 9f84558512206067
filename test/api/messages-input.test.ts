import { once } from 'node:events';
import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen, type Listening } from '../../src/api/listen.ts';
import { messagingFixture, type MessagingFixture } from '../service/messaging/messaging-fixture.ts';
import { apiFixture, TOKEN, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';

let messages: MessagingFixture;
let api: ApiFixture;
beforeAll(async () => {
  messages = await messagingFixture();
  await messages.agent('w');
  api = apiFixture({ messaging: messages.messaging });
});
afterAll(async () => {
  await api.app.close();
  await messages.end();
});

const json = { 'content-type': 'application/json' };
const raw = (method: string, url: string, body: Buffer | string, headers: Record<string, string> = json) =>
  send(api, method, url, { payload: body, headers });

/** The ways in for what somebody made up, and the text that comes out again, between two that are known. */
const WAYS: {
  name: string;
  put: (payload: string) => Promise<{ statusCode: number; body: string }>;
  get: () => Promise<string>;
}[] = [
  {
    name: 'a message',
    put: (payload) => raw('POST', '/agents/w/messages', `{"type":"ANY","payload":${payload}}`),
    get: async () => {
      const { body } = await send(api, 'GET', '/agents/w/messages?max=1');
      const { id, lease } = (JSON.parse(body) as { messages: { id: string; lease: string }[] }).messages[0]!;
      await send(api, 'POST', `/agents/w/messages/${id}/ack`, { json: { lease } });
      return body.slice(body.indexOf('"payload":') + '"payload":'.length, body.indexOf(',"from":"admin"'));
    },
  },
  {
    name: 'an event',
    put: (payload) => raw('POST', '/topics/any', `{"payload":${payload}}`),
    get: async () => {
      const { last_cursor } = (await messages.bus.topics()).map(({ lastCursor }) => ({ last_cursor: lastCursor }))[0]!;
      const { body } = await send(api, 'GET', `/topics/any/events?after=${last_cursor - 1}`);
      return body.slice(body.indexOf('"payload":') + '"payload":'.length, body.indexOf(',"from":"admin"'));
    },
  },
  {
    name: 'a value',
    put: (payload) => raw('PUT', '/state/shared/any', `{"value":${payload}}`),
    get: async () => {
      const { body } = await send(api, 'GET', '/state/shared/any');
      return body.slice(body.indexOf('"value":') + '"value":'.length, body.lastIndexOf(',"version":'));
    },
  },
];

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe.each(WAYS)('$name', ({ put, get }) => {
  test.each([
    ['half of a surrogate pair', String.raw`"\ud800 and \udc00 and \ud83d\ude00"`, '"\\ud800 and \\udc00 and 😀"'],
    ['NUL and other controls', String.raw`"\u0000\u001f\u007f"`, '"\\u0000\\u001f\u007f"'],
    [
      'names that mean something in JavaScript',
      '{"constructor":{"prototype":{"x":1}},"toString":1,"toJSON":2,"then":3,"":4}',
      undefined,
    ],
    ['names that are numbers', '{"1":"a","a":"b"}', undefined],
    ['64 levels', nested(64), undefined],
    ['numbers', '[0,-1,1.5,1e-7,9007199254740991,1e+21]', undefined],
    ['nothing', 'null', undefined],
    ['an empty text', '""', undefined],
    ['all of Unicode at once', JSON.stringify('\u2028\u2029\ufeff\ufffe\u{10ffff}é e\u0301 漢字'), undefined],
    ['just below the limit', JSON.stringify('x'.repeat(256 * 1024 - 2)), undefined],
  ])('comes out as it went in: %s', async (_what, text, out = text) => {
    expect((await put(text)).statusCode).toBeLessThan(300);
    expect(await get()).toBe(out);
  });

  test.each([
    ['65 levels', nested(65), 400],
    ['100,000 levels', nested(100_000), 400],
    ['100,000 mappings', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`, 400],
    ['__proto__', '{"__proto__":{"x":1}}', 400],
    ['__proto__ in disguise, deep', String.raw`{"a":[{"\u005f_proto__":1}]}`, 400],
    ['just above the limit', JSON.stringify('x'.repeat(256 * 1024 - 1)), 413],
    ['a number that cannot be kept', '{"id":9007199254740993}', 400],
    ['a number that is none', '1e999', 400],
    ['no JSON', '{', 400],
    ['NaN', 'NaN', 400],
    ['a raw control', '"\u0001"', 400],
    ['two values', '1,2', 400],
  ])('is refused: %s', async (_what, text, status) => {
    const response = await put(text);
    expect([response.statusCode, JSON.parse(response.body)]).toEqual([
      status,
      { error: expect.objectContaining({ code: status === 413 ? 'PAYLOAD_TOO_LARGE' : 'INVALID_REQUEST' }) },
    ]);
  });

  test('is refused with the name that cannot be kept', async () => {
    const { body } = await put('{"a":{"__proto__":1}}');
    expect(JSON.parse(body)).toMatchObject({ error: { message: expect.stringContaining('a key is "__proto__"') } });
  });

  test('is the same again, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ stringUnit: 'binary', maxDepth: 6 }), async (text) => {
        const canonical = JSON.stringify(JSON.parse(text));
        const { statusCode } = await put(canonical);
        // A name that JavaScript would swallow is refused, and nothing else.
        if (statusCode !== 400 || !canonical.includes('"__proto__"')) {
          expect([canonical, statusCode]).toEqual([canonical, expect.toSatisfy((status: number) => status < 300)]);
          expect(await get()).toBe(canonical);
        }
      }),
      { numRuns: 60 },
    );
  });
});

const PLACES = [
  ['POST', '/agents/w/messages'],
  ['POST', '/queues/@w/messages'],
  ['POST', '/agents/w/messages/x/ack'],
  ['POST', '/agents/w/messages/x/nack'],
  ['POST', '/topics/any'],
  ['PUT', '/state/shared/any'],
  ['PUT', '/queues/any'],
  ['POST', '/queues/@w/dead/requeue'],
] as const;

describe('whatever comes', () => {
  test.each(PLACES)('to %s %s is never our fault', async (method, url) => {
    const valid = '{"type":"TEXT","payload":"x","value":1,"lease":"l"}';
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.json({ stringUnit: 'binary' }).map((text) => Buffer.from(text)),
      fc
        .tuple(fc.nat(valid.length - 1), fc.nat(255))
        .map(([at, byte]) =>
          Buffer.concat([Buffer.from(valid.slice(0, at)), Buffer.of(byte), Buffer.from(valid.slice(at + 1))]),
        ),
      fc
        .record(
          {
            type: fc.jsonValue(),
            payload: fc.jsonValue(),
            value: fc.jsonValue(),
            lease: fc.jsonValue(),
            messages: fc.jsonValue(),
          },
          { requiredKeys: [] },
        )
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const response = await raw(method, url, body);
        expect(response.statusCode).toBeLessThan(500);
        if (response.statusCode >= 400) expect(response.json()).toHaveProperty('error.code');
      }),
      { numRuns: 80 },
    );
  });

  test.each(PLACES)('to %s %s in bytes that are no UTF-8 is refused', async (method, url) => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
      const body = Buffer.concat([Buffer.from('{"type":"TEXT","payload":"'), Buffer.from(bytes), Buffer.from('"}')]);
      const response = await raw(method, url, body);
      expect([response.statusCode, response.body]).toEqual([400, expect.stringContaining('UTF-8')]);
    }
  });

  test('in the wrong wrapping is refused', async () => {
    for (const type of ['text/plain', 'application/octet-stream', 'multipart/form-data; boundary=x']) {
      const response = await raw('POST', '/agents/w/messages', '{}', { 'content-type': type });
      expect([type, response.statusCode]).toEqual([type, 415]);
    }
    expect((await raw('POST', '/agents/w/messages', '')).statusCode).toBe(400);
  });

  test('in ids, keys and queries is never our fault', async () => {
    const odd = [
      '%00',
      '%ff',
      '%',
      '..',
      '%2e%2e%2f',
      "'; DROP TABLE message; --",
      '@',
      '@@',
      '@w%00',
      'x'.repeat(300),
      '%F0%9F%98%80',
    ];
    for (const part of odd) {
      for (const [method, url] of [
        ['GET', `/agents/${part}/messages`],
        ['GET', `/queues/${part}`],
        ['GET', `/queues/${part}/messages`],
        ['POST', `/agents/w/messages/${part}/ack`],
        ['GET', `/messages?after=${part}&from=${part}`],
        ['GET', `/messages?correlation_id=${part}`],
        ['GET', `/topics/${part}/events`],
        ['GET', `/topics/any/events?after=${part}`],
        ['GET', `/state/shared/${part}`],
        ['GET', `/state/shared?prefix=${part}&after=${part}`],
      ] as const) {
        const response = await send(
          api,
          method,
          encodeURI(url).replaceAll('%25', '%'),
          method === 'POST' ? { json: { lease: 'x' } } : {},
        );
        expect([url, response.statusCode < 500]).toEqual([url, true]);
      }
    }
  });
});

describe('10 MB', () => {
  let server: Listening;
  beforeAll(async () => {
    server = await listen(apiFixture({ messaging: messages.messaging }).app, { port: 0, name: 'api' });
  });
  afterAll(() => server.close());

  const MEGABYTE = Buffer.alloc(1024 * 1024, 'x');

  /** @returns the status, also if the client cares for it only once all is sent; `reset` if the connection was cut */
  async function upload(url: string, headers: Record<string, string>): Promise<number | 'reset'> {
    const sending = request({
      port: server.port,
      host: '127.0.0.1',
      method: 'POST',
      path: url,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    });
    const answer = once(sending, 'response').then(([response]) => {
      const { statusCode } = response as { statusCode: number; resume: () => void };
      (response as { resume: () => void }).resume();
      return statusCode;
    });
    const cut = new Promise<'reset'>((resolve) => sending.on('error', () => resolve('reset')));
    sending.write('{"type":"TEXT","payload":"');
    for (let n = 0; n < 10; n += 1) sending.write(MEGABYTE);
    sending.end('"}');
    const isSent = new Promise<void>((resolve) => sending.once('finish', resolve));
    return Promise.race([
      Promise.all([answer, isSent]).then(
        ([status]) => status,
        () => 'reset' as const,
      ),
      cut,
    ]);
  }

  test.each(['/agents/w/messages', '/topics/any'])('to %s is refused, announced or not', async (url) => {
    const length = String(10 * MEGABYTE.length + '{"type":"TEXT","payload":"'.length + 2);
    for (let n = 0; n < 5; n += 1) {
      expect(await upload(url, { 'content-length': length })).toBe(413);
      expect(await upload(url, { 'transfer-encoding': 'chunked' })).toBe(413);
    }
    const response = await send(api, 'GET', '/agents/w/messages/size');
    expect(response.json()).toMatchObject({ ready: 0 });
  });

  test('of a batch says how much it may be', async () => {
    const response = await raw('POST', '/agents/w/messages', Buffer.alloc(5 * 1024 * 1024, ' '));
    expect([response.statusCode, response.body]).toEqual([413, expect.stringContaining('4096 KiB')]);
  });
});
