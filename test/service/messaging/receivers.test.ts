import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { mailboxOf } from '../../../src/domain/messages/queue-name.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { Receivers, type Poll } from '../../../src/service/messaging/receivers.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, text, type MessagingFixture } from './messaging-fixture.ts';

const WORKERS = ['w1', 'w2', 'w3'];
let fixture: MessagingFixture;
let receivers: Receivers;
beforeEach(async () => {
  fixture = await messagingFixture();
  receivers = new Receivers(fixture.bus);
  for (const id of ['a', ...WORKERS]) await fixture.agent(id);
  await fixture.messaging.queues.put(ADMIN, 'work', { members: WORKERS });
});
afterEach(async () => {
  receivers.close();
  await fixture.end();
});

const send = (queue: string, payloads: (string | number)[], more: Parameters<typeof text>[1] = {}) =>
  fixture.bus.send(payloads.map((payload) => ({ queue, from: 'admin', ...text(payload, more) })));

const poll = (consumer: string, more: Partial<Poll> = {}) =>
  receivers.receive({ consumer, queues: () => ['work'], max: 1, waitMs: 10_000, ...more });

/** As agents receive: from their mailbox and what they are members of. */
const both = (id: string): Pick<Poll, 'queues'> => ({ queues: () => [mailboxOf(id), 'work'] });

/** Who got what, in the order of the polls. */
const gotten = async (polls: ReturnType<typeof poll>[]): Promise<unknown[][]> =>
  (await Promise.all(polls)).map((messages) => messages.map(({ payload }) => payload));

/** Holds so many messages. */
async function hold(consumer: string, count: number): Promise<void> {
  await send(
    'other',
    Array.from({ length: count }, (_, n) => n),
  );
  expect(await fixture.bus.receive({ queues: ['other'], consumer, max: count })).toHaveLength(count);
}

describe('Receivers', () => {
  it('answer at once with what there is, best first', async () => {
    await send('work', ['low'], { priority: 0 });
    await send('work', ['high'], { priority: 9 });
    expect(await gotten([poll('w1/1', { max: 5, waitMs: 0 })])).toEqual([['high', 'low']]);
    expect(await gotten([poll('w1/1', { max: 5, waitMs: 0 })])).toEqual([[]]);
  });

  it('answer when something comes, from whichever of the queues', async () => {
    const waiting = poll('w1/1', { queues: () => [mailboxOf('w1'), 'work'] });
    await send('work', ['task']);
    expect(await gotten([waiting])).toEqual([['task']]);
    const again = poll('w1/1', { queues: () => [mailboxOf('w1'), 'work'] });
    await send(mailboxOf('w1'), ['mail']);
    expect(await gotten([again])).toEqual([['mail']]);
  });

  it('answer with nothing when the time is up', async () => {
    const begun = performance.now();
    expect(await poll('w1/1', { waitMs: 200 })).toEqual([]);
    expect(performance.now() - begun).toBeGreaterThan(100);
  });

  it('give each what waits in a queue of its own, whoever waits for those that they share', async () => {
    const idle = poll('w1/1', { ...both('w1'), waitMs: 300 });
    await fixture.bus.queues(); // it has found nothing by now
    await send(mailboxOf('w2'), ['mail']);
    expect(await gotten([poll('w2/1', { ...both('w2'), waitMs: 0 }), idle])).toEqual([['mail'], []]);
  });

  it('miss nothing in a queue of one alone that comes while it is served from a shared one', async () => {
    let looked = 0;
    let isDue = false;
    const bus: MessageBus = {
      ...fixture.bus,
      async receive(request) {
        const got = await fixture.bus.receive(request);
        looked += 1;
        // It has found nothing; its mail comes before it knows.
        if (isDue && request.consumer === 'w3/1' && got.length === 0) {
          isDue = false;
          await send(mailboxOf('w3'), ['mail']);
        }
        return got;
      },
    };
    const slow = new Receivers(bus);
    try {
      const polls = WORKERS.map((id) => slow.receive({ consumer: `${id}/1`, ...both(id), max: 1, waitMs: 1_000 }));
      await until(() => looked >= WORKERS.length, { deadlineMs: 5_000, what: 'all have looked' });
      await fixture.bus.queues(); // and wait by now
      isDue = true;
      await send('work', ['task']);
      expect(await gotten(polls)).toEqual([['task'], [], ['mail']]);
    } finally {
      slow.close();
    }
  });

  it('give one message to whoever holds the fewest', async () => {
    await hold('w1/1', 2);
    await hold('w3/1', 1);
    const polls = [poll('w1/1', { waitMs: 300 }), poll('w2/1', { waitMs: 300 }), poll('w3/1', { waitMs: 300 })];
    await send('work', ['one']);
    expect(await gotten(polls)).toEqual([[], ['one'], []]);
  });

  it('give it, among those, to whoever has waited longest', async () => {
    const polls = WORKERS.map((id) => poll(`${id}/1`, { waitMs: 300 }));
    await send('work', ['one']);
    expect(await gotten(polls)).toEqual([['one'], [], []]);
  });

  it('spread many evenly, counting what each holds already', async () => {
    await hold('w1/1', 4);
    const polls = WORKERS.map((id) => poll(`${id}/1`, { max: 10 }));
    await send(
      'work',
      Array.from({ length: 14 }, (_, n) => n),
    );
    expect((await gotten(polls)).map((got) => got.length)).toEqual([2, 6, 6]);
  });

  it('leave nobody without what another may not have', async () => {
    await fixture.bus.configure('work', { perConsumer: 1 });
    await send('work', ['first']);
    expect(await gotten([poll('w1/1')])).toEqual([['first']]);
    // w1 holds as many as it may; w2 holds more, but of another queue.
    await hold('w2/1', 5);
    const polls = [poll('w1/1', { waitMs: 300 }), poll('w2/1', { waitMs: 300 })];
    await send('work', ['second']);
    expect(await gotten(polls)).toEqual([[], ['second']]);
  });

  it('count what a consumer gets by all of its polls, and pass over none who may have more', async () => {
    await fixture.bus.configure('work', { perConsumer: 1 });
    const polls = ['w1/1', 'w1/1', 'w2/1', 'w3/1'].map((consumer) => poll(consumer, { waitMs: 1_000 }));
    await send('work', [1, 2, 3]);
    expect(await gotten(polls)).toEqual([[1], [], [2], [3]]);
  });

  it('go on when an acknowledged message makes room', async () => {
    await fixture.bus.configure('work', { concurrency: 1 });
    await send('work', ['first', 'second']);
    const [held] = await poll('w1/1');
    const waiting = poll('w2/1');
    await fixture.bus.ack(held!);
    expect(await gotten([waiting])).toEqual([['second']]);
  });

  it('give an answer to whoever waits for that very one', async () => {
    const all = poll('w1/1', { queues: () => ['@w1'], waitMs: 300 });
    const one = poll('w1/1', { queues: () => ['@w1'], correlationId: 'q-1' });
    await send('@w1', ['answer'], { correlationId: 'q-1' });
    expect(await gotten([all, one])).toEqual([[], ['answer']]);
  });

  it('give back what comes while its receiver hangs up', async () => {
    const gone = new AbortController();
    // Hung up in the very moment in which it is being served.
    const bus: MessageBus = {
      ...fixture.bus,
      receive: async (request) => {
        const found = await fixture.bus.receive(request);
        if (found.length > 0) gone.abort();
        return found;
      },
    };
    const own = new Receivers(bus);
    const waiting = own.receive({
      consumer: 'w1/1',
      queues: () => ['work'],
      max: 1,
      waitMs: 10_000,
      signal: gone.signal,
    });
    await send('work', ['task']);
    expect(await waiting).toEqual([]);
    own.close();
    const [again] = await poll('w2/1');
    expect(again).toMatchObject({ payload: 'task', attempt: 2 });
  });

  it.each(['hangs up', 'has ended'])('give nothing more to whoever %s while several are served', async (how) => {
    const gone = new AbortController();
    let leave = (): void => undefined;
    const own = new Receivers({
      ...fixture.bus,
      // Between the question who holds what and the first message.
      inFlight: async (consumers) => {
        const held = await fixture.bus.inFlight(consumers);
        leave();
        return held;
      },
    });
    const wait = (consumer: string, more: Partial<Poll> = {}) =>
      own
        .receive({ consumer, queues: () => ['work'], max: 2, waitMs: 10_000, ...more })
        .catch((error: unknown) => error);
    const first = wait('w1/1', { signal: gone.signal });
    const second = wait('w2/1');
    leave = () =>
      how === 'hangs up' ? gone.abort() : own.dismiss('w1/1', new CodedError('STALE_INCARNATION', 'It has ended'));
    await send('work', [1, 2]);
    expect(await second).toMatchObject([
      { payload: 1, attempt: 1 },
      { payload: 2, attempt: 1 },
    ]);
    expect(await first).toEqual(how === 'hangs up' ? [] : expect.objectContaining({ code: 'STALE_INCARNATION' }));
    expect(await fixture.bus.inFlight(['w1/1'])).toEqual({});
    own.close();
  });

  it('forget whoever has hung up', async () => {
    const gone = new AbortController();
    const left = poll('w1/1', { signal: gone.signal });
    const stays = poll('w2/1');
    gone.abort();
    expect(await left).toEqual([]);
    await send('work', ['task']);
    expect(await gotten([stays])).toEqual([['task']]);
    expect(await poll('w1/1', { signal: gone.signal })).toEqual([]);
  });

  it('lose nothing under many who come and go', async () => {
    const total = 300;
    const seen: unknown[] = [];
    const work = async (consumer: string): Promise<void> => {
      while (seen.length < total) {
        const found = await poll(consumer, { max: 3, waitMs: 20 });
        for (const delivery of found) {
          await fixture.bus.ack(delivery);
          seen.push(delivery.payload);
        }
      }
    };
    const workers = WORKERS.flatMap((id) => [work(`${id}/1`), work(`${id}/1`)]);
    for (let n = 0; n < total; n += 10)
      await send(
        'work',
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((each) => n + each),
      );
    await Promise.all(workers);
    expect(seen.toSorted((a, b) => (a as number) - (b as number))).toEqual(Array.from({ length: total }, (_, n) => n));
  });

  it('tell each of those who wait that the bus has failed', async () => {
    const failing: MessageBus = { ...fixture.bus, receive: () => Promise.reject(new Error('no bus')) };
    const own = new Receivers(failing);
    const request = { consumer: 'w1/1', queues: () => ['work'], max: 1, waitMs: 10_000 };
    const both = [own.receive(request), own.receive({ ...request, consumer: 'w2/1' })];
    for (const each of both) await expect(each).rejects.toThrow('no bus');
    own.close();
  });

  it('end all waits when they are closed', async () => {
    const waiting = poll('w1/1');
    receivers.close();
    expect(await waiting).toEqual([]);
  });
});

describe('who receives from a queue', () => {
  it('may change while somebody waits', async () => {
    const { messages, queues } = fixture.messaging;
    const waiting = messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 10_000 });
    await send('work', ['task']);
    await queues.put(ADMIN, 'work', { members: ['a'] });
    expect((await waiting).map(({ payload }) => payload)).toEqual(['task']);
  });

  it('follows the labels of an agent', async () => {
    const { messages, queues } = fixture.messaging;
    await queues.put(ADMIN, 'labelled', { members: { labels: { role: 'analyst' } } });
    await send('labelled', ['task']);
    const waiting = messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 10_000 });
    await fixture.agent('a', { input: { agent_id: 'a', labels: { role: 'analyst', more: '1' } } });
    expect((await waiting).map(({ payload }) => payload)).toEqual(['task']);
    await fixture.agent('a', { input: { agent_id: 'a', labels: { role: 'writer' } } });
    await send('labelled', ['another']);
    expect(await messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 50 })).toEqual([]);
  });

  it('is everybody who asks for a queue without members, but nobody who does not ask for it', async () => {
    const { messages, queues } = fixture.messaging;
    await queues.put(ADMIN, 'open', {});
    await send('open', ['task']);
    expect(await messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 0 })).toEqual([]);
    expect(await messages.receiveFrom(asAgent('a'), 'open', { max: 1, waitMs: 0 })).toHaveLength(1);
  });
});

it('a receive takes a few megabytes, however many are asked for, and leaves the rest to others', async () => {
  const large = Array.from({ length: 30 }, (_, n) => n + 'x'.repeat(256 * 1000));
  await send('work', large);
  const [first, second] = [await poll('w1/1', { max: 100 }), await poll('w2/1', { max: 100 })];
  expect([first.length, second.length]).toEqual([16, 14]);
  expect(await fixture.bus.inFlight(['w1/1', 'w2/1'])).toEqual({ 'w1/1': 16, 'w2/1': 14 });
});

it('several who wait together get a few megabytes each', async () => {
  const waiting = [poll('w1/1', { max: 100 }), poll('w2/1', { max: 100 })];
  await send(
    'work',
    Array.from({ length: 50 }, (_, n) => n + 'x'.repeat(256 * 1000)),
  );
  const counts = (await Promise.all(waiting)).map(({ length }) => length);
  expect(Math.max(...counts)).toBeLessThanOrEqual(17);
  expect((await fixture.bus.queue('work'))?.ready).toBe(50 - counts.reduce((sum, count) => sum + count, 0));
});

it('a released message goes to the next who waits', async () => {
  await send('work', ['task']);
  await poll('w1/1');
  const waiting = poll('w2/1');
  expect(await fixture.bus.release('w1/1')).toBe(1);
  const [message] = await waiting;
  expect(message).toMatchObject({ payload: 'task', attempt: 2 });
  await until(async () => (await fixture.bus.inFlight(['w2/1']))['w2/1'] === 1, { what: 'its lease' });
});
