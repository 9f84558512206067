import { createClient } from '@redis/client';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { RedisBus } from '../../../src/adapters/redis/bus.ts';
import { redisSettingsOf } from '../../../src/adapters/redis/settings.ts';
import { RedisState } from '../../../src/adapters/redis/state.ts';
import { busOptions, drain, messageOf, sendOne, take, takeOne, watching } from '../../../src/conformance/fixture.ts';
import { codeOf } from '../../../src/contract/errors.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
import { until } from '../../support/wait.ts';

const binary = inject('redisServer');
const FAST_MS = 2000;

describe.skipIf(binary === undefined)('a Redis', () => {
  const servers: RedisServer[] = [];
  const opened: { close: (deadlineMs?: number) => Promise<unknown> }[] = [];
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close(100)));
    await Promise.all(servers.splice(0).map((each) => each.stop()));
    warnings.length = 0;
  });

  async function serve(...settings: string[]): Promise<RedisServer> {
    const redis = await startRedis(binary as string, settings);
    servers.push(redis);
    return redis;
  }

  async function openBus(url: string): Promise<MessageBus> {
    const bus = await RedisBus.open(redisSettingsOf({ url }), busOptions({ warn }));
    opened.push(bus);
    return bus;
  }

  async function openState(url: string): Promise<RedisState> {
    const state = await RedisState.open(redisSettingsOf({ url }), { warn });
    opened.push(state);
    return state;
  }

  /** Talks to the Redis as an operator does. */
  async function command(url: string, ...args: string[]): Promise<unknown> {
    const client = createClient({ url });
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  it(
    'that is killed again and again loses nothing acknowledged, and keeps the order',
    { timeout: 120_000 },
    async () => {
      const redis = await serve();
      const bus = await openBus(redis.url);
      const senders = ['ann', 'ben', 'carol'];
      const each = 400;
      let sent = 0;
      const sending = Promise.all(
        senders.map(async (from) => {
          for (let n = 0; n < each; n += 1) {
            const message = messageOf({ from, payload: [from, n], idempotencyKey: `${n}` });
            // A call without an answer may have taken effect: the key makes it safe to repeat.
            await until(() => bus.send([message]).catch(refused), { what: 'Redis being back', deadlineMs: 30_000 });
            sent += 1;
          }
        }),
      );
      for (let kills = 1; kills <= 4; kills += 1) {
        await until(() => sent >= kills * 200, { what: 'some sending', deadlineMs: 60_000 });
        await redis.kill();
        await redis.start();
      }
      await sending;
      const got = (await until(() => drain(bus).catch(refused), { what: 'all messages' })) as [string, number][];
      for (const sender of senders) {
        const own = got.filter(([from]) => from === sender).map(([, n]) => n);
        expect(own).toEqual(Array.from({ length: each }, (_, n) => n));
      }
    },
  );

  it('that is gone makes calls fail fast, and is used again when it is back, with all that it had', async () => {
    const redis = await serve();
    const [bus, state] = [await openBus(redis.url), await openState(redis.url)];
    const { ofQueue } = watching(bus);
    await sendOne(bus, { payload: 'kept' });
    await state.put('s', 'k', 'kept');
    await redis.kill();
    for (const [code, call] of [
      ['BUS_UNAVAILABLE', () => sendOne(bus)],
      ['BUS_UNAVAILABLE', () => take(bus)],
      ['STATE_UNAVAILABLE', () => state.put('s', 'k', 1)],
      ['STATE_UNAVAILABLE', () => state.get('s', 'k')],
    ] as const) {
      const begun = performance.now();
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(redis.url) });
      expect(performance.now() - begun).toBeLessThan(FAST_MS);
    }
    expect(warnings.filter((text) => text.includes('has lost its Redis'))).toHaveLength(2);
    const before = ofQueue('work');
    await redis.start();
    await until(() => ofQueue('work') > before, { what: 'watchers being told to look again' });
    expect((await takeOne(bus)).payload).toBe('kept');
    const entry = await until(() => state.get('s', 'k').catch(refused), { what: 'the state' });
    expect(entry.value).toBe('kept');
    expect(warnings.filter((text) => /has its Redis at .* back$/.test(text))).toHaveLength(2);
  });

  it('that hangs makes one call wait less than 2 s and the next ones not at all, and is used again', async () => {
    const redis = await serve();
    const bus = await openBus(redis.url);
    await sendOne(bus);
    process.kill(redis.pid, 'SIGSTOP');
    try {
      let begun = performance.now();
      await expect(sendOne(bus)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
      expect(performance.now() - begun).toBeLessThan(FAST_MS);
      begun = performance.now();
      await expect(sendOne(bus)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
      expect(performance.now() - begun).toBeLessThan(200);
      const closing = performance.now();
      const other = bus.close(500);
      await other;
      expect(performance.now() - closing).toBeLessThan(FAST_MS);
    } finally {
      process.kill(redis.pid, 'SIGCONT');
    }
    const again = await openBus(redis.url);
    expect((await takeOne(again)).payload).toBe('hello');
  });

  it('that two daemons share lets them wake each other, and look after what the other one has left', async () => {
    const redis = await serve();
    const [one, two] = [await openBus(redis.url), await openBus(redis.url)];
    const [toOne, toTwo] = [watching(one), watching(two)];
    await sendOne(one, { payload: 1 });
    await until(() => toTwo.ofQueue('work') > 0, { what: 'the other one being told of a message' });
    expect(toOne.ofQueue('work')).toBe(1);
    await two.publish({ topic: 'a.b', from: 'ann', payload: 1 });
    await until(() => toOne.changes.some((change) => change.kind === 'event'), { what: 'being told of an event' });
    expect((await one.events({ patterns: ['a.*'], after: 0, limit: 1 })).events).toHaveLength(1);
    await takeOne(one, 'work', { leaseMs: 300 });
    expect(await take(two)).toEqual([]);
    const before = toTwo.ofQueue('work');
    await one.close();
    await until(() => toTwo.ofQueue('work') > before, { what: 'the end of a lease of the other one' });
    expect((await takeOne(two)).attempt).toBe(2);
  });

  it('that is full refuses what is new with STORAGE_FULL, and lets everything be worked off', async () => {
    const redis = await serve();
    const [bus, state] = [await openBus(redis.url), await openState(redis.url)];
    for (const payload of [0, 1, 2, 3]) await sendOne(bus, { payload });
    await state.put('s', 'k', 1);
    await command(redis.url, 'CONFIG', 'SET', 'maxmemory', '1');
    await expect(sendOne(bus)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await expect(bus.publish({ topic: 't', from: 'ann', payload: 1 })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await expect(state.put('s', 'k', 2)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    const [first, second, third] = await take(bus, 3);
    await bus.ack(first as LeaseOf);
    await bus.nack(second as LeaseOf, { delayMs: 0 });
    await bus.nack(third as LeaseOf, { dead: true });
    expect(await bus.release('bob/1')).toBe(0);
    expect((await state.get('s', 'k'))?.value).toBe(1);
    expect(await state.delete('s', 'k')).toBe(true);
    await command(redis.url, 'CONFIG', 'SET', 'maxmemory', '0');
    await sendOne(bus, { payload: 4 });
    expect(await drain(bus)).toEqual([1, 3, 4]);
    expect(await bus.discard('work')).toBe(1);
  });

  it('that forgets the scripts is given them again', async () => {
    const redis = await serve();
    const bus = await openBus(redis.url);
    await command(redis.url, 'SCRIPT', 'FLUSH');
    await sendOne(bus);
    expect(await drain(bus)).toEqual(['hello']);
  });

  it('that comes back empty is told of', async () => {
    const redis = await serve();
    const bus = await openBus(redis.url);
    await sendOne(bus);
    await redis.kill();
    await rm(path.join(redis.folder, 'appendonlydir'), { recursive: true });
    await redis.start();
    await until(() => warnings.some((text) => text.includes('without what it had kept')), { what: 'the warning' });
    await until(() => sendOne(bus).catch(refused), { what: 'its being used again' });
    expect(await drain(bus)).toEqual(['hello']);
  });

  it.each([
    [[], true, /appendfsync always/],
    [['--appendfsync', 'everysec'], false, /appendfsync is everysec; up to 2 s/],
    [['--appendfsync', 'no'], false, /appendfsync is no;/],
    [['--appendonly', 'no'], false, /appendonly is no; everything since/],
    [['--rename-command', 'CONFIG', ''], false, /appendfsync is unknown/],
  ])('started with %j says how durable it is', async (settings, survivesPowerLoss, says) => {
    const { url } = await serve(...settings);
    for (const { durability } of [await openBus(url), await openState(url)]) {
      expect(durability.survivesPowerLoss).toBe(survivesPowerLoss);
      expect(durability.says).toMatch(says);
    }
    expect(warnings.filter((text) => says.test(text))).toHaveLength(survivesPowerLoss ? 0 : 2);
  });

  it('that may evict anything is told of', async () => {
    await openBus((await serve('--maxmemory-policy', 'allkeys-lru')).url);
    expect(warnings).toEqual([expect.stringContaining('maxmemory-policy is allkeys-lru')]);
  });

  it.each([
    ['a replica', ['--replicaof', '127.0.0.1', '1'], 'it is a replica'],
    ['asking for a password', ['--requirepass', 'secret'], 'NOAUTH'],
  ])('that is %s is refused', async (_, settings, says) => {
    const { url } = await serve(...settings);
    await expect(openBus(url)).rejects.toThrow(says);
    await expect(openState(url)).rejects.toThrow(`Redis at ${url} cannot be used`);
  });

  it('shows its password to nobody', async () => {
    const { port } = await serve('--requirepass', 'secret');
    const bus = await openBus(`redis://:secret@127.0.0.1:${port}`);
    await sendOne(bus);
    const says = await openBus(`redis://:wr0ng@127.0.0.1:${port}`).then(
      () => 'it was opened',
      (error: Error) => error.message,
    );
    expect(says).toMatch(/:\*\*\*@127\.0\.0\.1.*WRONGPASS/);
    expect(says).not.toContain('wr0ng');
  });

  it('that is not there, or never answers, fails an opening in time', async () => {
    const { url, kill } = await serve();
    await kill();
    await expect(openBus(url)).rejects.toThrow(/cannot be used: .*ECONNREFUSED/);
    const silent = net.createServer(() => undefined).listen(0, '127.0.0.1');
    await until(() => silent.listening, { what: 'the listener' });
    const { port } = silent.address() as net.AddressInfo;
    try {
      await expect(openBus(`redis://127.0.0.1:${port}`)).rejects.toThrow('it does not answer');
    } finally {
      silent.close();
    }
  });

  it('holds nothing of what has been worked off', async () => {
    const { url } = await serve();
    let nowMs = Date.now();
    const prefix = randomUUID();
    const bus = await RedisBus.open(redisSettingsOf({ url, prefix }), busOptions({ now: () => nowMs }));
    opened.push(bus);
    for (let n = 0; n < 30; n += 1) {
      await sendOne(bus, { queue: `q${n % 3}`, ttlMs: 60_000, correlationId: `c${n % 2}`, idempotencyKey: `k${n}` });
      await bus.publish({ topic: `t.${n % 5}`, from: 'ann', payload: n, key: `k${n}` });
    }
    const queues = ['q0', 'q1', 'q2'];
    const held = await bus.receive({ queues, consumer: 'bob/1', max: 20 });
    for (const delivery of held.slice(0, 5)) await bus.ack(delivery);
    for (const delivery of held.slice(5, 10)) await bus.nack(delivery, { delayMs: 10 });
    for (const delivery of held.slice(10, 15)) await bus.nack(delivery, { dead: true });
    // The leases run out, the rest expires, and notices do; then dead letters and events go.
    for (let day = 0; day < 30; day += 1) {
      nowMs += 24 * 3600_000;
      await bus.queues();
    }
    expect(await bus.browse({ limit: 1 })).toEqual([]);
    const keys = (await command(url, 'KEYS', `{${prefix}}:*`)) as string[];
    expect(keys.map((key) => key.slice(prefix.length + 3)).toSorted()).toEqual(['meta', 'queues']);
  });
});

type LeaseOf = Parameters<MessageBus['ack']>[0];

function refused(error: unknown): undefined {
  if (codeOf(error) !== 'BUS_UNAVAILABLE' && codeOf(error) !== 'STATE_UNAVAILABLE') throw error;
}
