import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { Receivers } from '../../../src/service/messaging/receivers.ts';
import { RepeatedReceives } from '../../../src/service/messaging/repeated-receives.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
  for (const id of ['a', 'b']) await fixture.agent(id);
  await fixture.messaging.queues.put(ADMIN, 'team', { members: ['b'] });
});
afterEach(() => fixture.end());

const NOW = { max: 1, waitMs: 0 };
const send = (queue: string, payload: string) => fixture.messaging.messages.send(asAgent('a'), queue, [text(payload)]);
const receive = (receiveId: string, more: { max?: number; waitMs?: number } = {}) =>
  fixture.messaging.messages.receive(asAgent('b'), 'b', { ...NOW, ...more, receiveId });

describe('a receive that is repeated under its name', () => {
  it('gets what it was handed out, also from the next daemon, and then goes on', async () => {
    for (const payload of ['one', 'two']) await send('@b', payload);
    const first = await receive('r1');
    expect(first).toMatchObject([{ payload: 'one', attempt: 1 }]);
    expect(await receive('r1', { waitMs: 20_000 })).toEqual(first);
    await fixture.close();
    await fixture.reopen();
    expect(await receive('r1', { waitMs: 20_000 })).toEqual(first);
    const { id, lease } = first[0]!;
    await fixture.messaging.messages.ack(asAgent('b'), { kind: 'agent', agentId: 'b' }, { id, lease });
    const second = await receive('r1');
    expect(second).toMatchObject([{ payload: 'two', attempt: 1 }]);
    expect(await receive('r2')).toEqual([]);
  });

  it('gets it only where it may receive', async () => {
    await send('team', 'task');
    const { messages, queues } = fixture.messaging;
    const how = { ...NOW, receiveId: 'r1' };
    expect(await messages.receiveFrom(asAgent('b'), 'team', how)).toMatchObject([{ payload: 'task' }]);
    expect(await receive('r1')).toHaveLength(1); // b is a member
    expect(await messages.receiveFrom(ADMIN, 'team', how)).toEqual([]); // somebody else
    expect(await messages.receiveFrom(asAgent('b'), '@b', how)).toEqual([]); // another queue
    await queues.put(ADMIN, 'team', { members: ['a'] });
    expect(await receive('r1')).toEqual([]);
  });

  it('takes the place of the one that still waits', async () => {
    const lost = receive('r1', { waitMs: 20_000 });
    const other = receive('r2', { waitMs: 500 });
    const again = receive('r1', { waitMs: 20_000 });
    expect(await lost).toEqual([]);
    expect(await other).toEqual([]);
    await send('@b', 'mail');
    expect(await again).toMatchObject([{ payload: 'mail', attempt: 1 }]);
  });

  it('has a lease that holds, also if the one before is served in that very moment', async () => {
    let serve: (() => void) | undefined;
    const bus: MessageBus = {
      ...fixture.bus,
      receive: async (request) => {
        const found = await fixture.bus.receive(request);
        if (found.length > 0 && serve === undefined) await new Promise<void>((resolve) => (serve = resolve));
        return found;
      },
    };
    const receivers = new Receivers(bus);
    try {
      const repeated = new RepeatedReceives(bus, receivers);
      const poll = { consumer: 'b/1', queues: () => ['@b'], max: 1, waitMs: 20_000, receiveId: 'r1' };
      await send('@b', 'mail');
      const lost = repeated.receive(poll);
      await until(() => serve, { what: 'the first to be served' });
      const again = repeated.receive(poll);
      serve!();
      expect(await lost).toEqual([]);
      const [delivery] = await again;
      expect(delivery).toMatchObject({ payload: 'mail', attempt: 2 });
      await bus.ack(delivery!);
    } finally {
      receivers.close();
    }
  });

  it('tells what is wrong, and is none the worse for it afterwards', async () => {
    await send('@b', 'mail');
    const failing: MessageBus = { ...fixture.bus, handedOut: () => Promise.reject(new Error('no bus')) };
    let bus = failing;
    const switched: MessageBus = { ...fixture.bus, handedOut: (request) => bus.handedOut(request) };
    const receivers = new Receivers(switched);
    try {
      const repeated = new RepeatedReceives(switched, receivers);
      const poll = { consumer: 'b/1', queues: () => ['@b'], max: 1, waitMs: 0, receiveId: 'r1' };
      await expect(repeated.receive(poll)).rejects.toThrow('no bus');
      bus = fixture.bus;
      expect(await repeated.receive(poll)).toMatchObject([{ payload: 'mail', attempt: 1 }]);
    } finally {
      receivers.close();
    }
  });
});
