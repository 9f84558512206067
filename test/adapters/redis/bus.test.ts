import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { RedisBus } from '../../../src/adapters/redis/bus.ts';
import { redisSettingsOf } from '../../../src/adapters/redis/settings.ts';
import { messageBusCases } from '../../../src/conformance/index.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const binary = inject('redisServer');

describe.skipIf(binary === undefined)('RedisBus', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis(binary as string);
  });
  afterAll(() => redis.stop());

  describe('keeps the contract', () => {
    it.each(messageBusCases.map(({ name, run }) => [name, run] as const))('%s', async (_, run) => {
      const settings = redisSettingsOf({ url: redis.url, prefix: randomUUID() });
      const opened: MessageBus[] = [];
      try {
        await run(async (options) => {
          const bus = await RedisBus.open(settings, options);
          opened.push(bus);
          return bus;
        });
      } finally {
        await Promise.all(opened.map((bus) => bus.close()));
      }
    });
  });
});
