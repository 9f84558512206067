import { describe, expect, it } from 'vitest';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/domain/messages/queue-settings.ts';
import { check } from '../../src/schema/problem.ts';
import { queueBody, queueSettingsOf, writtenSettings } from '../../src/schema/queue-settings.ts';

describe('queueSettingsOf', () => {
  it('takes over what is written, and keeps the rest', () => {
    const written = { lease: '5m', retry: { max: '2m' }, ttl: null, concurrency: 4 };
    expect(queueSettingsOf(DEFAULT_QUEUE_SETTINGS, written)).toEqual({
      ...DEFAULT_QUEUE_SETTINGS,
      leaseMs: 300_000,
      retry: { ...DEFAULT_QUEUE_SETTINGS.retry, maxMs: 120_000 },
      ttlMs: null,
      concurrency: 4,
    });
  });

  it('is undone by writtenSettings', () => {
    const settings = {
      ...DEFAULT_QUEUE_SETTINGS,
      leaseMs: 1500,
      ttlMs: null,
      perConsumer: 2,
      retry: { initialMs: 0, factor: 1, maxMs: 90_000, jitter: 0 },
    };
    const written = writtenSettings(settings);
    expect(written).toMatchObject({ lease: '1500ms', ttl: null, retry: { initial: '0ms', max: '90s' } });
    const checked = check(queueBody, written);
    if (checked.kind === 'problem') throw new Error(checked.problem.message);
    expect(queueSettingsOf(DEFAULT_QUEUE_SETTINGS, checked.value)).toEqual(settings);
  });

  it('refuses a first delay above the longest', () => {
    expect(() => queueSettingsOf(DEFAULT_QUEUE_SETTINGS, { retry: { initial: '2m' } })).toThrow(/retry\.initial/);
  });
});
