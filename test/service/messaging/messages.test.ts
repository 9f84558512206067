import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Place } from '../../../src/domain/messages/queue-name.ts';
import type { Call } from '../../../src/service/caller.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, ofAgent, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  const types = new Map([
    ['PRICE', (payload: unknown) => (typeof payload === 'number' ? undefined : 'payload is no number')],
  ]);
  fixture = await messagingFixture({ config: { queues: {}, types } });
  await fixture.agent('a');
  await fixture.agent('b');
  await fixture.messaging.queues.put(ADMIN, 'team', { members: ['b'] });
});
afterEach(() => fixture.end());

const NOW = { max: 10, waitMs: 0 };
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: unknown }).code,
  );
const payloads = async (promise: Promise<{ payload: unknown }[]>): Promise<unknown[]> =>
  (await promise).map(({ payload }) => payload);

describe('Messages.send', () => {
  it('says who has sent it, whoever it is', async () => {
    const { messages } = fixture.messaging;
    await messages.send(asAgent('a'), '@b', [text('one')]);
    await messages.send(ADMIN, '@b', [text('two')]);
    const [one, two] = await messages.receive(asAgent('b'), 'b', NOW);
    expect([one?.from, two?.from]).toEqual(['a', 'admin']);
    expect(one).toMatchObject({
      queue: '@b',
      type: 'TEXT',
      priority: 4,
      attempt: 1,
      correlation_id: null,
      reply_to: null,
    });
  });

  it('refuses what nobody would receive', async () => {
    const { messages } = fixture.messaging;
    expect(await codeOf(messages.send(ADMIN, '@nobody', [text('x')]))).toBe('AGENT_NOT_FOUND');
    expect(await codeOf(messages.send(ADMIN, 'nothing', [text('x')]))).toBe('QUEUE_NOT_FOUND');
    expect(await codeOf(messages.receiveFrom(ADMIN, 'nothing', NOW))).toBe('QUEUE_NOT_FOUND');
    expect(await codeOf(messages.size(ADMIN, '@nobody'))).toBe('AGENT_NOT_FOUND');
  });

  it('sends a batch whole, or none of it', async () => {
    const { messages } = fixture.messaging;
    const wrong = [text('fine'), { type: 'TEXT', payload: 7 }];
    await expect(messages.send(ADMIN, '@b', wrong, true)).rejects.toThrow(/^messages\.1\.payload is 7/);
    await expect(messages.send(ADMIN, '@b', [{ type: 'PRICE', payload: 'high' }])).rejects.toThrow(
      'payload is no number',
    );
    expect(await messages.size(ADMIN, '@b')).toMatchObject({ size: 0 });
  });

  it('sends the same one once', async () => {
    const { messages } = fixture.messaging;
    const once = text('x', { idempotencyKey: 'k' });
    const [first] = await messages.send(asAgent('a'), '@b', [once]);
    expect(await messages.send(asAgent('a'), '@b', [once])).toEqual([{ ...first, duplicate: true }]);
    // Another sender's key is another key.
    expect(await messages.send(ADMIN, '@b', [once])).toMatchObject([{ duplicate: false }]);
    expect(fixture.messaging.counts.sentTo).toEqual({ mailbox: 2, work: 0 });
  });

  it('clears what was on its way to an agent that was deleted meanwhile', async () => {
    const { messages } = fixture.messaging;
    const sending = messages.send(asAgent('a'), '@b', [text('late')]);
    await fixture.deleted('b');
    await sending.catch(() => undefined);
    await until(async () => ((await fixture.bus.queue('@b'))?.ready ?? 0) === 0, { what: 'the mailbox to be empty' });
    await until(async () => ((await fixture.bus.queue('@a'))?.ready ?? 0) === 1, { what: 'the notice' });
  });
});

describe('who may what with messages', () => {
  it('agents receive from their own mailbox and their queues only', async () => {
    const { messages } = fixture.messaging;
    await messages.send(asAgent('a'), '@b', [text('mail')]);
    await messages.send(asAgent('a'), 'team', [text('task')]);
    expect(await codeOf(messages.receive(asAgent('a'), 'b', NOW))).toBe('FORBIDDEN');
    expect(await codeOf(messages.receiveFrom(asAgent('a'), '@b', NOW))).toBe('FORBIDDEN');
    expect(await codeOf(messages.receiveFrom(asAgent('a'), 'team', NOW))).toBe('FORBIDDEN');
    expect(await payloads(messages.receive(asAgent('b'), 'b', NOW))).toEqual(['mail', 'task']);
  });

  it('an agent that lives has its mailbox and state also while the roster is being filled again', async () => {
    const { messages, entries } = fixture.messaging;
    fixture.live.set('unlisted', 1);
    expect(await messages.receive(asAgent('unlisted'), 'unlisted', NOW)).toEqual([]);
    expect(await entries.put(asAgent('unlisted'), { kind: 'agent', agentId: 'unlisted' }, 'k', 1, {})).toMatchObject({
      value: 1,
    });
    expect(await codeOf(messages.receive(ADMIN, 'unlisted', NOW))).toBe('AGENT_NOT_FOUND');
  });

  it('a token of an earlier life is refused', async () => {
    const { messages } = fixture.messaging;
    fixture.live.set('a', 2);
    expect(await codeOf(messages.send(asAgent('a', 1), '@b', [text('x')]))).toBe('STALE_INCARNATION');
    expect(await codeOf(messages.receive(asAgent('a', 1), 'a', NOW))).toBe('STALE_INCARNATION');
    fixture.live.delete('a');
    expect(await codeOf(messages.size(asAgent('a', 2), '@a'))).toBe('STALE_INCARNATION');
  });

  it('a message is settled with its lease, and as whose it is', async () => {
    const { messages } = fixture.messaging;
    await messages.send(ADMIN, '@b', [text('x')]);
    const [held] = await messages.receive(asAgent('b'), 'b', NOW);
    const ref = { id: held!.id, lease: held!.lease };
    expect(await codeOf(messages.ack(asAgent('a'), ofAgent('b'), ref))).toBe('FORBIDDEN');
    expect(await codeOf(messages.ack(asAgent('b'), ofAgent('b'), { ...ref, lease: 'guessed' }))).toBe('LEASE_STALE');
    expect(await codeOf(messages.ack(asAgent('b'), ofAgent('b'), { ...ref, id: 'nothing' }))).toBe('MESSAGE_NOT_FOUND');
    expect(await messages.extend(asAgent('b'), ofAgent('b'), ref, 60_000)).toMatchObject({ id: ref.id });
    expect(await messages.ack(asAgent('b'), ofAgent('b'), ref)).toEqual({ id: ref.id });
    expect(await codeOf(messages.ack(asAgent('b'), ofAgent('b'), ref))).toBe('MESSAGE_NOT_FOUND');
    expect(fixture.messaging.counts.ackedInAll).toBe(1);
  });

  it('a message is settled where it is, or not found', async () => {
    const { messages, queues } = fixture.messaging;
    await queues.put(ADMIN, 'shared-work', { members: ['b'] });
    await messages.send(ADMIN, '@b', [text('mail')]);
    await messages.send(ADMIN, 'shared-work', [text('task')]);
    const held = await messages.receive(asAgent('b'), 'b', NOW);
    const [mail, task] = ['mail', 'task'].map((payload) => held.find((each) => each.payload === payload)!);
    const refused = async (as: Call, place: Place, { id, lease }: { id: string; lease: string }): Promise<void> => {
      expect(await codeOf(messages.extend(as, place, { id, lease }, 1000))).toBe('MESSAGE_NOT_FOUND');
      expect(await codeOf(messages.nack(as, place, { id, lease }, { dead: true }))).toBe('MESSAGE_NOT_FOUND');
      expect(await codeOf(messages.ack(as, place, { id, lease }))).toBe('MESSAGE_NOT_FOUND');
    };
    await refused(ADMIN, { kind: 'queue', queue: 'team' }, task!);
    await refused(ADMIN, { kind: 'queue', queue: 'shared-work' }, mail!);
    await refused(asAgent('a'), ofAgent('a'), mail!);
    // No longer a member, it may still say what has become of its task.
    await queues.put(ADMIN, 'shared-work', { members: ['a'] });
    await messages.ack(asAgent('b'), ofAgent('b'), task!);
    await messages.ack(ADMIN, { kind: 'queue', queue: '@b' }, mail!);
  });

  it('one that is refused comes again, or becomes a dead letter', async () => {
    const { messages } = fixture.messaging;
    await messages.send(asAgent('a'), '@b', [text('x')]);
    const [first] = await messages.receive(asAgent('b'), 'b', NOW);
    expect(await messages.nack(asAgent('b'), ofAgent('b'), first!, { delayMs: 0 })).toMatchObject({ dead: false });
    const [second] = await messages.receive(asAgent('b'), 'b', NOW);
    expect(second).toMatchObject({ id: first?.id, attempt: 2 });
    const end = { dead: true, reason: 'no use' };
    expect(await messages.nack(asAgent('b'), ofAgent('b'), second!, end)).toEqual({
      id: first?.id,
      dead: true,
      due_at: null,
    });
    const [notice] = await messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 5000 });
    expect(notice).toMatchObject({
      type: 'CONTROL',
      from: '_daemon',
      payload: { event: 'dead_letter', message_id: first?.id },
    });
  });
});

describe('Messages.browse', () => {
  const ids = (page: { messages: { payload: unknown }[] }): unknown[] => page.messages.map(({ payload }) => payload);

  beforeEach(async () => {
    const { messages } = fixture.messaging;
    await messages.send(asAgent('a'), '@b', [text('a to b')]);
    await messages.send(ADMIN, '@a', [text('admin to a')]);
    await messages.send(asAgent('b'), 'team', [text('b to team', { correlationId: 'c' })]);
    await messages.send(asAgent('a'), '@a', [text('a to a')]);
  });

  it('shows a few megabytes at a time, however many are asked for', async () => {
    const { messages } = fixture.messaging;
    const long = 'x'.repeat(256 * 1024 - 2);
    for (let n = 0; n < 4; n += 1)
      await messages.send(
        ADMIN,
        '@b',
        Array.from({ length: 10 }, () => text(long)),
        true,
      );
    const seen: string[] = [];
    for (let next: string | null = null; seen.length < 40;) {
      const after = next === null ? {} : { after: next };
      const page = await messages.browse(ADMIN, { queue: '@b', limit: 200, waitMs: 0, ...after });
      expect(page.messages.length).toBeGreaterThan(0);
      expect(page.messages.length).toBeLessThan(40);
      seen.push(...page.messages.map(({ id }) => id));
      ({ next } = page);
    }
    expect(seen).toEqual([...new Set(seen)].toSorted());
  });

  it('shows the admin everything, oldest first, in pages', async () => {
    const { messages } = fixture.messaging;
    const first = await messages.browse(ADMIN, { limit: 3, waitMs: 0 });
    expect(ids(first)).toEqual(['a to b', 'admin to a', 'b to team']);
    const second = await messages.browse(ADMIN, { limit: 3, waitMs: 0, after: first.next! });
    expect(ids(second)).toEqual(['a to a']);
    expect(await messages.browse(ADMIN, { limit: 3, waitMs: 0, after: second.next! })).toEqual({
      messages: [],
      next: second.next,
    });
    expect(ids(await messages.browse(ADMIN, { limit: 9, waitMs: 0, correlationId: 'c' }))).toEqual(['b to team']);
  });

  it('shows an agent its mailbox and what it has sent, each once', async () => {
    const { messages } = fixture.messaging;
    const all = { limit: 9, waitMs: 0 };
    expect(ids(await messages.browse(asAgent('a'), all))).toEqual(['a to b', 'admin to a', 'a to a']);
    expect(ids(await messages.browse(asAgent('a'), { ...all, limit: 2 }))).toEqual(['a to b', 'admin to a']);
    expect(ids(await messages.browse(asAgent('a'), { ...all, from: 'admin' }))).toEqual(['admin to a']);
    expect(ids(await messages.browse(asAgent('a'), { ...all, queue: '@b' }))).toEqual(['a to b']);
    expect(ids(await messages.browse(asAgent('b'), { ...all, queue: 'team' }))).toEqual(['b to team']);
    expect(await codeOf(messages.browse(asAgent('a'), { ...all, queue: '@b', from: 'admin' }))).toBe('FORBIDDEN');
  });

  it('takes nothing', async () => {
    await fixture.messaging.messages.browse(ADMIN, { limit: 9, waitMs: 0 });
    expect(await fixture.messaging.messages.size(ADMIN, '@a')).toMatchObject({ ready: 2, leased: 0 });
  });

  it('waits for the first, and may begin with what is sent from now on', async () => {
    const { messages } = fixture.messaging;
    const next = messages.browse(ADMIN, { limit: 9, waitMs: 10_000, after: 'latest' });
    await until(() => messages.send(asAgent('a'), '@b', [text('new')]), { what: 'the send' });
    const page = await next;
    expect(ids(page)).toContain('new');
    expect(ids(page)).not.toContain('a to b');
    expect(await messages.browse(ADMIN, { limit: 9, waitMs: 50, after: page.next! })).toMatchObject({ messages: [] });
  });
});
