import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/domain/messages/queue-settings.ts';
import { ADMIN, asAgent, messagingFixture, ofAgent, text, type MessagingFixture } from './messaging-fixture.ts';
import { until } from '../../support/wait.ts';

const DECLARED = { members: ['a'], settings: { ...DEFAULT_QUEUE_SETTINGS, maxAttempts: 1 } };
let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture({ config: { queues: { declared: DECLARED }, types: new Map() } });
  await fixture.agent('a');
  await fixture.agent('b');
});
afterEach(() => fixture.end());

const NOW = { max: 10, waitMs: 0 };
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: unknown }).code,
  );
const use = (queues: Record<string, typeof DECLARED>) => fixture.messaging.use({ queues, types: new Map() });

describe('Queues', () => {
  it('are those of the file, and those that are made', async () => {
    const { queues } = fixture.messaging;
    expect(await queues.get(ADMIN, 'declared')).toMatchObject({
      kind: 'work',
      agent_id: null,
      members: ['a'],
      size: 0,
      settings: { attempts: 1, lease: '1m', ttl: '7d', concurrency: null },
    });
    const made = await queues.put(ADMIN, 'made', { lease: '5m', concurrency: 2, members: { labels: { role: 'x' } } });
    expect(made).toMatchObject({ members: { labels: { role: 'x' } }, settings: { lease: '5m', concurrency: 2 } });
    // What is not given has its default again.
    expect(await queues.put(ADMIN, 'made', { ttl: 'never' })).toMatchObject({
      members: null,
      settings: { lease: '1m', concurrency: null, ttl: null },
    });
    expect((await queues.list(ADMIN)).map(({ name }) => name)).toEqual(['declared', 'made']);
    expect(await codeOf(queues.get(ADMIN, 'nothing'))).toBe('QUEUE_NOT_FOUND');
    expect(await codeOf(queues.get(ADMIN, '@nobody'))).toBe('AGENT_NOT_FOUND');
    expect(await queues.get(ADMIN, '@a')).toMatchObject({ kind: 'mailbox', agent_id: 'a', members: null, size: 0 });
  });

  it('are there after another start, with their members', async () => {
    await fixture.messaging.queues.put(ADMIN, 'made', { members: ['b'] });
    await fixture.close();
    await fixture.reopen();
    await fixture.messaging.messages.send(ADMIN, 'made', [text('x')]);
    expect(await fixture.messaging.messages.receive(asAgent('a'), 'a', NOW)).toEqual([]);
    expect(await fixture.messaging.messages.receive(asAgent('b'), 'b', NOW)).toHaveLength(1);
  });

  it('are made and deleted by the admin only', async () => {
    const { queues, messages } = fixture.messaging;
    expect(await codeOf(queues.put(asAgent('a'), 'x', {}))).toBe('FORBIDDEN');
    expect(await codeOf(queues.remove(asAgent('a'), 'declared'))).toBe('FORBIDDEN');
    expect(await codeOf(queues.remove(ADMIN, 'nothing'))).toBe('QUEUE_NOT_FOUND');
    await messages.send(asAgent('b'), 'declared', [text('x')]);
    await queues.remove(ADMIN, 'declared');
    expect(await codeOf(messages.send(ADMIN, 'declared', [text('y')]))).toBe('QUEUE_NOT_FOUND');
    const [notice] = await messages.receive(asAgent('b'), 'b', { max: 1, waitMs: 5000 });
    expect(notice).toMatchObject({ payload: { event: 'dead_letter', cause: 'deleted', queue: 'declared' } });
    await fixture.close();
    // The file says that it is there; the one that was made is not.
    await fixture.reopen();
    expect(await codeOf(fixture.messaging.messages.send(ADMIN, 'declared', [text('y')]))).toBe('done');
  });

  it('are deleted by the next attempt, or the next start, if the first is cut off', async () => {
    const { messages, queues } = fixture.messaging;
    for (const next of ['attempt', 'start', 'making'] as const) {
      await queues.put(ADMIN, next, { concurrency: 7 });
      await messages.send(asAgent('b'), next, [text(next)]);
    }
    const { deleteQueue } = fixture.bus;
    for (const name of ['attempt', 'start', 'making']) {
      fixture.bus.deleteQueue = async () => {
        fixture.bus.deleteQueue = deleteQueue;
        throw new CodedError('BUS_UNAVAILABLE', 'cut off');
      };
      expect(await codeOf(queues.remove(ADMIN, name))).toBe('BUS_UNAVAILABLE');
      // Whoever sends to it now would not be heard.
      expect(await codeOf(messages.send(asAgent('b'), name, [text('y')]))).toBe('QUEUE_NOT_FOUND');
    }
    await queues.remove(ADMIN, 'attempt');
    expect(await codeOf(queues.remove(ADMIN, 'attempt'))).toBe('QUEUE_NOT_FOUND');
    // One of the same name is another one.
    expect(await queues.put(ADMIN, 'making', {})).toMatchObject({ ready: 0, dead: 1, settings: { concurrency: null } });
    await fixture.close();
    await fixture.reopen();
    await until(async () => (await fixture.bus.queue('start'))?.ready === 0, { what: 'the end of the queue' });
    await until(async () => (await codeOf(fixture.messaging.queues.remove(ADMIN, 'start'))) === 'QUEUE_NOT_FOUND', {
      what: 'the end of the deletion',
    });
    const notices = await fixture.messaging.messages.receive(asAgent('b'), 'b', NOW);
    expect(notices.map(({ payload }) => (payload as { queue?: unknown }).queue)).toEqual([
      'attempt',
      'making',
      'start',
    ]);
    expect(await fixture.messaging.queues.get(ADMIN, 'making')).toMatchObject({ size: 0 });
  });

  it('are deleted though nothing more can be noted', async () => {
    const { messages, queues } = fixture.messaging;
    await messages.send(asAgent('b'), 'declared', [text('x')]);
    fixture.state.put = () => Promise.reject(new CodedError('STORAGE_FULL', 'full'));
    await queues.remove(ADMIN, 'declared');
    expect(await fixture.bus.queue('declared')).toMatchObject({ ready: 0, dead: 1 });
    expect(await codeOf(queues.remove(ADMIN, 'declared'))).toBe('QUEUE_NOT_FOUND');
  });

  it('can be deleted if a message came in while they were', async () => {
    const { queues } = fixture.messaging;
    const { bus } = fixture;
    const { deleteQueue } = bus;
    bus.deleteQueue = async (queue) => {
      await deleteQueue(queue);
      // It was let in before.
      await bus.send([{ queue, from: 'b', ...text('late') }]);
    };
    await queues.remove(ADMIN, 'declared');
    bus.deleteQueue = deleteQueue;
    expect(await bus.queue('declared')).toMatchObject({ ready: 1 });
    await queues.remove(ADMIN, 'declared');
    expect(await bus.queue('declared')).toMatchObject({ ready: 0, dead: 1 });
    expect(await codeOf(queues.remove(ADMIN, 'declared'))).toBe('QUEUE_NOT_FOUND');
    await bus.send([{ queue: '@a', from: 'b', ...text('mail') }]);
    expect(await codeOf(queues.remove(ADMIN, '@a'))).toBe('QUEUE_NOT_FOUND');
  });

  it('follow the file when it is read again', async () => {
    const { queues, messages } = fixture.messaging;
    await use({ declared: { ...DECLARED, members: ['b'] }, other: DECLARED });
    expect(await queues.get(ADMIN, 'declared')).toMatchObject({ members: ['b'] });
    expect(await queues.get(ADMIN, 'other')).toMatchObject({ members: ['a'] });
    await messages.send(ADMIN, 'other', [text('kept')]);
    await use({});
    expect(await codeOf(queues.get(ADMIN, 'declared'))).toBe('QUEUE_NOT_FOUND');
    // It holds a message: nothing is lost over a line that is gone.
    expect(await queues.get(ADMIN, 'other')).toMatchObject({ members: ['a'], ready: 1 });
    expect(fixture.warnings.join('\n')).toContain('no longer declared');
  });
});

describe('dead letters of a queue', () => {
  beforeEach(async () => {
    const { messages } = fixture.messaging;
    await messages.send(ADMIN, 'declared', [text('one'), text('two')], true);
    await messages.send(ADMIN, '@a', [text('mail')]);
    for (const held of await messages.receive(asAgent('a'), 'a', NOW)) {
      await messages.nack(asAgent('a'), ofAgent('a'), held, { dead: true, reason: 'no use' });
    }
  });

  it('are shown with the reason', async () => {
    const { messages, next } = await fixture.messaging.queues.dead(ADMIN, 'declared', { limit: 1 });
    expect(messages).toMatchObject([{ payload: 'one', state: 'dead', death: { cause: 'rejected' } }]);
    expect(messages[0]?.death?.reason).toContain('no use');
    const rest = await fixture.messaging.queues.dead(ADMIN, 'declared', { limit: 9, after: next! });
    expect(rest.messages).toMatchObject([{ payload: 'two' }]);
  });

  it('come in pages of a few megabytes, however many are asked for', async () => {
    const { bus } = fixture;
    for (let n = 0; n < 60; n += 1) {
      await bus.send([{ queue: 'declared', from: 'b', ...text('x'.repeat(256 * 1000)) }]);
      const [held] = await bus.receive({ queues: ['declared'], consumer: 'a/1', max: 1 });
      await bus.nack(held!, { dead: true });
    }
    const { messages, next } = await fixture.messaging.queues.dead(ADMIN, 'declared', { limit: 200 });
    expect(JSON.stringify(messages).length).toBeLessThan(13 * 1024 ** 2);
    const rest = await fixture.messaging.queues.dead(ADMIN, 'declared', { limit: 200, after: next! });
    expect(messages.length + rest.messages.length).toBe(62);
  });

  it('go back, or go, by id or all of them', async () => {
    const { queues, messages } = fixture.messaging;
    const { messages: dead } = await queues.dead(ADMIN, 'declared', { limit: 9 });
    expect(await queues.requeue(ADMIN, 'declared', [dead[1]!.id])).toEqual({ count: 1 });
    expect(await messages.receive(asAgent('a'), 'a', NOW)).toMatchObject([{ payload: 'two', attempt: 1 }]);
    expect(await queues.discard(ADMIN, 'declared')).toEqual({ count: 1 });
    expect(await queues.get(ADMIN, 'declared')).toMatchObject({ dead: 0, leased: 1 });
  });

  it('are for the admin; those of a mailbox for its agent, too', async () => {
    const { queues } = fixture.messaging;
    expect(await codeOf(queues.dead(asAgent('a'), 'declared', { limit: 1 }))).toBe('FORBIDDEN');
    expect(await codeOf(queues.requeue(asAgent('a'), 'declared'))).toBe('FORBIDDEN');
    expect(await codeOf(queues.discard(asAgent('b'), '@a'))).toBe('FORBIDDEN');
    expect((await queues.dead(asAgent('a'), '@a', { limit: 9 })).messages).toMatchObject([{ payload: 'mail' }]);
    expect(await queues.discard(asAgent('a'), '@a')).toEqual({ count: 1 });
  });
});
