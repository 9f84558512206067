import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, asAgent, messagingFixture, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
  await fixture.agent('a');
});
afterEach(() => fixture.end());

const publish = (topic: string, payload: string | number, key?: string) =>
  fixture.messaging.topics.publish(asAgent('a'), topic, { payload, ...(key === undefined ? {} : { key }) });
const NOW = { after: 0, max: 100, waitMs: 0 } as const;
const payloads = ({ events }: { events: { payload: unknown }[] }): unknown[] => events.map(({ payload }) => payload);

describe('Topics', () => {
  it('tell what was published, by pattern and cursor', async () => {
    const { topics } = fixture.messaging;
    await publish('price.abc', 1);
    const { cursor } = await publish('price.xyz', 2);
    await publish('news', 3);
    const all = await topics.events(asAgent('a'), '>', NOW);
    expect(payloads(all)).toEqual([1, 2, 3]);
    expect(all.events[0]).toMatchObject({ topic: 'price.abc', from: 'a', key: null });
    expect(payloads(await topics.events(ADMIN, 'price.*', NOW))).toEqual([1, 2]);
    expect(payloads(await topics.events(ADMIN, 'price.*', { ...NOW, after: cursor }))).toEqual([]);
    expect(payloads(await topics.events(ADMIN, '>', { ...NOW, max: 2 }))).toEqual([1, 2]);
    expect(await topics.list(ADMIN)).toMatchObject([{ topic: 'news' }, { topic: 'price.abc' }, { topic: 'price.xyz' }]);
  });

  it('come in pages of a few megabytes, however many are asked for', async () => {
    const { topics } = fixture.messaging;
    const long = 'x'.repeat(256 * 1024 - 2);
    for (let n = 0; n < 70; n += 1) await publish(n % 2 === 0 ? 'long' : 'other', long);
    let seen = 0;
    for (let after = 0; seen < 35;) {
      const { events, next } = await topics.events(ADMIN, 'long', { ...NOW, after, max: 1000 });
      expect(events.length).toBeGreaterThan(0);
      expect(events.length).toBeLessThan(35);
      seen += events.length;
      after = next;
    }
    expect(seen).toBe(35);
  });

  it('tell the same once', async () => {
    const first = await publish('news', 'x', 'k');
    expect(await publish('news', 'y', 'k')).toEqual({ ...first, duplicate: true });
  });

  it('wait for the first, and go on from where they were', async () => {
    const { topics } = fixture.messaging;
    await publish('news', 'old');
    const waiting = topics.events(ADMIN, 'news', { after: 'latest', max: 10, waitMs: 10_000 });
    await publish('other', 'not this');
    await publish('news', 'new');
    const page = await waiting;
    expect(payloads(page)).toEqual(['new']);
    expect(await topics.events(ADMIN, 'news', { after: page.next, max: 10, waitMs: 50 })).toMatchObject({ events: [] });
  });

  it('say when something was missed', async () => {
    const { topics } = fixture.messaging;
    for (let n = 0; n < 1005; n += 1) await publish('busy', n);
    const page = await topics.events(ADMIN, 'busy', { after: 1, max: 1, waitMs: 0 });
    expect(page).toMatchObject({ missed: true, events: [{ payload: 5 }] });
    expect(await topics.events(ADMIN, 'busy', { after: page.next, max: 1, waitMs: 0 })).toMatchObject({
      missed: false,
    });
  });

  it('of the daemon are not for agents to publish on', async () => {
    const { topics } = fixture.messaging;
    for (const topic of ['agent.a.state', 'cron.a', 'daemon.dead_letter']) {
      await expect(publish(topic, 'x')).rejects.toMatchObject({ code: 'FORBIDDEN' });
      expect(await topics.publish(ADMIN, topic, { payload: 'x' })).toMatchObject({ duplicate: false });
    }
  });

  it('can be followed, until nobody listens', async () => {
    const { topics } = fixture.messaging;
    await publish('news', 0);
    const gone = new AbortController();
    const stream = await topics.follow(asAgent('a', 1, gone.signal), 'news', 0);
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { payload } of stream) {
        seen.push(payload);
        if (payload === 250) gone.abort();
      }
    })();
    for (let n = 1; n <= 250; n += 1) await publish('news', n);
    await reading;
    expect(seen).toEqual(Array.from({ length: 251 }, (_, n) => n));
  });
});
