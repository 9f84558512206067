import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../../src/service/messaging/state-entries.ts';
import { ADMIN, asAgent, messagingFixture, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
  await fixture.agent('a');
  await fixture.agent('b');
});
afterEach(() => fixture.end());

const SHARED: Scope = { kind: 'shared' };
const of = (agentId: string): Scope => ({ kind: 'agent', agentId });
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: unknown }).code,
  );

describe('StateEntries', () => {
  it('keep values with versions', async () => {
    const { entries } = fixture.messaging;
    const first = await entries.put(asAgent('a'), SHARED, 'k', { n: 1 }, { expectedVersion: 0 });
    expect(await entries.get(asAgent('b'), SHARED, 'k')).toEqual(first);
    expect(await codeOf(entries.put(ADMIN, SHARED, 'k', 2, { expectedVersion: 0 }))).toBe('VERSION_CONFLICT');
    const second = await entries.put(ADMIN, SHARED, 'k', 2, { expectedVersion: first.version });
    expect(second.version).toBeGreaterThan(first.version);
    expect(await codeOf(entries.delete(ADMIN, SHARED, 'k', { expectedVersion: first.version }))).toBe(
      'VERSION_CONFLICT',
    );
    expect(await entries.delete(ADMIN, SHARED, 'k', { expectedVersion: second.version })).toEqual({
      key: 'k',
      deleted: true,
    });
    expect(await entries.delete(ADMIN, SHARED, 'k', {})).toEqual({ key: 'k', deleted: false });
    expect(await codeOf(entries.get(ADMIN, SHARED, 'k'))).toBe('STATE_NOT_FOUND');
  });

  it('are an agent’s own', async () => {
    const { entries } = fixture.messaging;
    await entries.put(asAgent('a'), of('a'), 'k', 'mine', {});
    expect(await codeOf(entries.get(asAgent('a'), SHARED, 'k'))).toBe('STATE_NOT_FOUND');
    expect(await entries.get(ADMIN, of('a'), 'k')).toMatchObject({ value: 'mine' });
    for (const refused of [
      entries.get(asAgent('b'), of('a'), 'k'),
      entries.put(asAgent('b'), of('a'), 'k', 'x', {}),
      entries.delete(asAgent('b'), of('a'), 'k', {}),
      entries.list(asAgent('b'), of('a'), { limit: 1 }),
    ]) {
      expect(await codeOf(refused)).toBe('FORBIDDEN');
    }
    expect(await codeOf(entries.put(ADMIN, of('nobody'), 'k', 1, {}))).toBe('AGENT_NOT_FOUND');
    fixture.live.set('a', 2);
    expect(await codeOf(entries.get(asAgent('a', 1), of('a'), 'k'))).toBe('STALE_INCARNATION');
  });

  it('come in pages, by prefix', async () => {
    const { entries } = fixture.messaging;
    for (let n = 10; n < 60; n += 1) await entries.put(ADMIN, SHARED, `n/${n}`, n, {});
    await entries.put(ADMIN, SHARED, 'other', 0, {});
    const first = await entries.list(ADMIN, SHARED, { prefix: 'n/', limit: 40 });
    expect([first.entries.length, first.next]).toEqual([40, 'n/49']);
    const second = await entries.list(ADMIN, SHARED, { prefix: 'n/', limit: 40, after: first.next! });
    expect(second.entries.map(({ value }) => value)).toEqual([50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
    expect(second.next).toBeNull();
  });

  it('come in pages that are not too large', async () => {
    const { entries } = fixture.messaging;
    const large = 'x'.repeat(250 * 1024);
    await Promise.all(Array.from({ length: 40 }, (_, n) => entries.put(ADMIN, SHARED, `k${n + 10}`, large, {})));
    const first = await entries.list(ADMIN, SHARED, { limit: 200 });
    expect(first.entries.length).toBeLessThan(40);
    const rest = await entries.list(ADMIN, SHARED, { limit: 200, after: first.next! });
    expect(first.entries.length + rest.entries.length).toBe(40);
    expect(rest.next).toBeNull();
  });

  it('go when their time is up', async () => {
    const { entries } = fixture.messaging;
    const entry = await entries.put(ADMIN, SHARED, 'k', 1, { ttlMs: 3600_000 });
    expect(Date.parse(entry.expires_at!) - Date.parse(entry.updated_at)).toBe(3600_000);
  });
});
