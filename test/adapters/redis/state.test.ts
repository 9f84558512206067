import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { redisSettingsOf } from '../../../src/adapters/redis/settings.ts';
import { RedisState } from '../../../src/adapters/redis/state.ts';
import { stateStoreCases } from '../../../src/conformance/index.ts';
import type { StateStore } from '../../../src/ports/state-store.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';

const binary = inject('redisServer');

describe.skipIf(binary === undefined)('RedisState', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis(binary as string);
  });
  afterAll(() => redis.stop());

  describe('keeps the contract', () => {
    it.each(stateStoreCases.map(({ name, run }) => [name, run] as const))('%s', async (_, run) => {
      const settings = redisSettingsOf({ url: redis.url, prefix: randomUUID() });
      const opened: StateStore[] = [];
      try {
        await run(async (options) => {
          const store = await RedisState.open(settings, options);
          opened.push(store);
          return store;
        });
      } finally {
        await Promise.all(opened.map((store) => store.close()));
      }
    });
  });
});
