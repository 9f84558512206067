import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { declaredTypesOf } from '../../src/config/message-types.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/domain/messages/queue-settings.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-config-'));
  await mkdir(path.join(dir, 'schemas'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function load(yaml: string, env: Record<string, string> = {}) {
  const file = path.join(dir, 'openstarry.yaml');
  await writeFile(file, yaml);
  return (await loadConfig(file, env)).messaging;
}

const errorOf = (yaml: string): Promise<{ code: string; message: string }> =>
  load(yaml).then(
    () => Promise.reject(new Error('was accepted')),
    (error: unknown) => error as { code: string; message: string },
  );

const schema = (name: string, content: string): Promise<void> => writeFile(path.join(dir, 'schemas', name), content);

describe('messagingOf', () => {
  it('has defaults for everything', async () => {
    expect(await load('agents: {}')).toEqual({
      defaults: DEFAULT_QUEUE_SETTINGS,
      ageingMs: 30_000,
      deadLettersKeptMs: 7 * 24 * 3600_000,
      limitBytes: { messages: 10 * 1024 ** 3, state: 1024 ** 3 },
      topics: { keepCount: 10_000, keepMs: 24 * 3600_000 },
      queues: {},
      types: {},
    });
  });

  it('fills queues with what stands under messages', async () => {
    const { queues, defaults, topics, ageingMs } = await load(
      `
queues:
  analysis: { members: { labels: { role: analyst } }, concurrency: 4, per_consumer: 1, retry: { initial: 2s } }
  open: { ttl: never, attempts: "\${TRIES}" }
messages: { lease: 30s, attempts: 3, ttl: 1d, ageing: 10s }
topics: { keep: 5, keep_for: 1h }
`,
      { TRIES: '9' },
    );
    expect(defaults).toEqual({ ...DEFAULT_QUEUE_SETTINGS, leaseMs: 30_000, maxAttempts: 3, ttlMs: 24 * 3600_000 });
    expect(queues).toEqual({
      analysis: {
        members: { labels: { role: 'analyst' } },
        settings: {
          ...defaults,
          concurrency: 4,
          perConsumer: 1,
          retry: { ...DEFAULT_QUEUE_SETTINGS.retry, initialMs: 2000 },
        },
      },
      open: { members: null, settings: { ...defaults, ttlMs: null, maxAttempts: 9 } },
    });
    expect([topics, ageingMs]).toEqual([{ keepCount: 5, keepMs: 3600_000 }, 10_000]);
  });

  it('limits what is kept as the file says', async () => {
    const { limitBytes } = await load('messages: { max_bytes: 100MiB }\nstate: { max_bytes: 50MiB }');
    expect(limitBytes).toEqual({ messages: 100 * 1024 ** 2, state: 50 * 1024 ** 2 });
  });

  it.each([
    ['queues: { "@x": {} }', /"@x" in queues is no valid name/],
    ['queues: { a: { members: [] } }', /queues\.a\.members/],
    ['queues: { a: { members: { labels: {} } } }', /at least one label/],
    ['queues: { a: { retry: { initial: 2m } } }', /queues\.a.*retry\.initial.*longer than retry\.max/],
    ['queues: { a: { lease: 1ms } }', /queues\.a\.lease .*100ms to 24h/],
    ['queues: { a: { concurency: 3 } }', /did you mean "concurrency"/],
    ['messages: { attempts: 0 }', /messages\.attempts/],
    ['messages: { types: { TEXT: ./x.json } }', /one of the daemon itself/],
    ['messages: { max_bytes: 10 }', /messages\.max_bytes.*expected a number with B/],
    ['messages: { max_bytes: 1MiB }', /messages\.max_bytes.*16MiB or more/],
    ['state: { max_bytes: lots }', /state\.max_bytes.*expected a number with B/],
    ['topics: { keep: 0 }', /topics\.keep/],
  ])('refuses %s', async (yaml, message) => {
    expect(await errorOf(yaml)).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
  });
});

describe('messages.types', () => {
  const PRICE = JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { symbol: { type: 'string', pattern: '^[A-Z]+$' }, price: { type: 'number' } },
    required: ['symbol', 'price'],
    additionalProperties: false,
  });

  it('are read from the folder of the file, and say where a payload is wrong', async () => {
    await schema('price.json', PRICE);
    const { types } = await load('messages: { types: { PRICE: ./schemas/price.json } }');
    expect(types['PRICE']?.file).toBe(path.join(dir, 'schemas', 'price.json'));
    const price = declaredTypesOf(types).get('PRICE');
    expect(price?.({ symbol: 'ABC', price: 1.5 })).toBeUndefined();
    expect(price?.({ symbol: 'ABC', price: 'high' })).toBe('payload/price must be number');
    expect(price?.({ symbol: 'abc', price: 1 })).toMatch(/^payload\/symbol must match pattern/);
    expect(price?.({ symbol: 'ABC', price: 1, extra: 1 })).toMatch(/additional properties: "extra"/);
    expect(price?.('ABC')).toBe('payload must be object');
  });

  it.each([
    ['missing.json', undefined, /messages\.types\.PRICE: .*missing\.json cannot be read: ENOENT/],
    ['text.json', '{', /text\.json is no JSON: /],
    ['list.json', '[]', /list\.json is no JSON Schema: expected a mapping/],
    ['wrong.json', '{"type":"objekt"}', /wrong\.json is no valid JSON Schema.*the schema\/type must be equal/],
    [
      'ref.json',
      '{"$ref":"https://example.com/other.json"}',
      /ref\.json is no JSON Schema that can be used.*other\.json/,
    ],
    ['keyword.json', '{"tpye":"object"}', /keyword\.json is no JSON Schema that can be used.*tpye/],
  ])('names the file and the place: %s', async (name, content, message) => {
    if (content !== undefined) await schema(name, content);
    const yaml = `messages: { types: { PRICE: ./schemas/${name} } }`;
    expect(await errorOf(yaml)).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
  });
});
