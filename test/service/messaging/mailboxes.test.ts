import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
  await fixture.agent('a');
  await fixture.agent('b');
});
afterEach(() => fixture.end());

const NOW = { max: 10, waitMs: 0 };
const mailOf = async (agentId: string): Promise<number> => (await fixture.bus.queue(`@${agentId}`))?.ready ?? 0;

async function leave(): Promise<void> {
  const { messages, entries } = fixture.messaging;
  await messages.send(asAgent('a'), '@b', [text('unread')]);
  await entries.put(ADMIN, { kind: 'agent', agentId: 'b' }, 'snapshot', { step: 3 }, {});
}

describe('Mailboxes', () => {
  it('clear what a deleted agent leaves, and tell those who have written to it', async () => {
    await leave();
    await fixture.deleted('b');
    expect(await fixture.messaging.mailboxes.cleared('b')).toBe(true);
    expect([await mailOf('b'), await fixture.state.get('agent/b', 'snapshot')]).toEqual([0, undefined]);
    const [notice] = await fixture.messaging.messages.receive(asAgent('a'), 'a', NOW);
    expect(notice?.payload).toMatchObject({ event: 'dead_letter', queue: '@b', cause: 'deleted' });
    // The next of that name begins with nothing.
    await fixture.agent('b');
    await fixture.messaging.messages.send(ADMIN, '@b', [text('new')]);
    expect(await fixture.messaging.messages.receive(asAgent('b'), 'b', NOW)).toMatchObject([{ payload: 'new' }]);
  });

  it('try until it is done', async () => {
    await leave();
    const { bus } = fixture;
    const { deleteQueue } = bus;
    let tries = 0;
    bus.deleteQueue = (queue) => {
      tries += 1;
      return tries < 3 ? Promise.reject(new CodedError('BUS_UNAVAILABLE', 'away')) : deleteQueue(queue);
    };
    await fixture.deleted('b');
    expect(await fixture.messaging.mailboxes.cleared('b')).toBe(true);
    expect([tries, await mailOf('b')]).toEqual([3, 0]);
    expect(fixture.warnings.join('\n')).toContain('cannot clear');
  });

  it('try until what a dead process held is free', async () => {
    const { bus } = fixture;
    await fixture.messaging.messages.send(asAgent('a'), '@b', [text('held')]);
    const [held] = await bus.receive({ queues: ['@b'], consumer: 'b/1', max: 1 });
    const { release } = bus;
    let tries = 0;
    bus.release = (consumer) => {
      tries += 1;
      return tries < 3 ? Promise.reject(new CodedError('BUS_UNAVAILABLE', 'away')) : release(consumer);
    };
    await fixture.messaging.mailboxes.release('b', 1);
    expect([tries, await mailOf('b')]).toEqual([3, 1]);
    expect(await bus.receive({ queues: ['@b'], consumer: 'b/2', max: 1 })).toMatchObject([
      { id: held!.id, attempt: 2 },
    ]);
    expect(fixture.warnings.join('\n')).toContain('cannot free');
  });

  it('find at the start what an earlier daemon had not cleared', async () => {
    await leave();
    const { bus, state } = fixture;
    // It dies between the roster's change and what follows from it.
    bus.deleteQueue = () => new Promise(() => undefined);
    state.clear = () => new Promise(() => undefined);
    await fixture.deleted('b');
    await fixture.close();
    await fixture.reopen();
    expect(await mailOf('b')).toBe(1);
    await fixture.messaging.begin();
    await until(async () => (await mailOf('b')) === 0, { what: 'the mailbox to be cleared' });
    await until(async () => (await fixture.state.get('agent/b', 'snapshot')) === undefined, { what: 'the state' });
  });

  it('leave alone what belongs to somebody of whom nothing is known', async () => {
    await fixture.bus.send([{ queue: '@stranger', from: 'a', ...text('x') }]);
    await leave();
    await fixture.messaging.mailboxes.sweep();
    expect([await mailOf('stranger'), await mailOf('b')]).toEqual([1, 1]);
    expect(await fixture.state.get('agent/b', 'snapshot')).toMatchObject({ value: { step: 3 } });
  });

  it('give nothing more to an ended life that still waits: it is for the next one', async () => {
    const { messages, mailboxes } = fixture.messaging;
    const late = messages.receive(asAgent('b', 1), 'b', { max: 1, waitMs: 5_000 });
    const told = expect(late).rejects.toMatchObject({ code: 'STALE_INCARNATION' });
    await fixture.bus.queues(); // it waits by now
    await mailboxes.release('b', 1);
    fixture.live.set('b', 2);
    await messages.send(ADMIN, '@b', [text('for the next one')]);
    await told;
    expect(await messages.receive(asAgent('b', 2), 'b', { max: 1, waitMs: 0 })).toMatchObject([{ attempt: 1 }]);
  });

  it('release what an ended life holds, also one that ended while no daemon lived', async () => {
    const { messages, mailboxes } = fixture.messaging;
    await messages.send(ADMIN, '@b', [text('one'), text('two')], true);
    await messages.receive(asAgent('b', 1), 'b', { max: 1, waitMs: 0 });
    await mailboxes.release('b', 1);
    expect(await mailOf('b')).toBe(2);
    fixture.live.set('b', 2);
    await messages.receive(asAgent('b', 2), 'b', { max: 1, waitMs: 0 });
    await mailboxes.sweep();
    // The end of the second is not dealt with yet: it may live.
    expect(await mailOf('b')).toBe(1);
    const snapshot = {
      desired: 'running',
      generation: 3,
      handled: 2,
      failures: { consecutive: 0, timesMs: [] },
    } as const;
    const rest = {
      episode: { number: 0, incident: false },
      restarts: 0,
      lastExit: null,
      phase: 'other',
      reason: '',
    } as const;
    await fixture.agent('b', {
      generation: 3,
      snapshot: { ...snapshot, failures: { consecutive: 0, timesMs: [] }, ...rest },
    });
    await mailboxes.sweep();
    expect(await mailOf('b')).toBe(2);
  });
});
