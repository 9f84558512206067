import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { CodedError } from '../../src/contract/errors.ts';
import { workflowIdOf } from '../../src/contract/names.ts';
import type { Order } from '../../src/custodian/protocol.ts';
import { OrderHandover } from '../../src/host/order-handover.ts';
import { until } from '../support/wait.ts';
import { ADMIN, codesOf, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

// What was sent to a Temporal that stood still is sent again, and may then come through twice.
it('an order that comes a second time does not undo what was asked for since', async () => {
  const { orchestrator, client, host } = lives;
  await orchestrator.create(ADMIN, { agent_id: 'a', template_id: 'ok' });
  const order = (at: string) =>
    client.workflow.getHandle(workflowIdOf('a')).signal('stop', { once_id: `order/stop/${at}` });
  const state = async () => (await orchestrator.get(ADMIN, 'a')).state;
  await order('1');
  await until(async () => (await state()) === 'stopped', { what: 'the stop' });
  await orchestrator.command(ADMIN, 'start', 'a');
  const generation = host.liveGeneration('a');
  await order('1');
  // It has been taken after the order: the same process is there for it.
  await orchestrator.signal(ADMIN, 'a', 'SIGHUP');
  expect([await state(), host.liveGeneration('a')]).toEqual(['running', generation]);
  await order('2');
  await until(async () => (await state()) === 'stopped', { what: 'the second stop' });
});

it('an order that comes while others are handed over is with its workflow before that hears of anything else', async () => {
  const { orchestrator, client, roster } = lives;
  const kept: Order[] = [];
  const handover = new OrderHandover({
    client,
    roster,
    custodian: {
      orders: async () => [...kept],
      orderDone: async (order) => void kept.splice(kept.indexOf(order), 1),
    },
    log: () => undefined,
    onTrouble: () => undefined,
  });
  const keep = (agent: string): void => void kept.push({ agent, verb: 'stop', at: new Date().toISOString() });
  for (const agent_id of ['b', 'c', 'd']) await orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  keep('b');
  const others = handover.all();
  keep('c');
  keep('d');
  await handover.of('c');
  expect(kept.map(({ agent }) => agent)).not.toContain('c');
  // A command goes behind it: what it has led to stands.
  expect(await orchestrator.command(ADMIN, 'start', 'c')).toMatchObject({ agent: { state: 'running', generation: 2 } });
  await Promise.all([others, handover.all()]);
  expect(kept).toEqual([]);
  for (const agent_id of ['b', 'd'])
    await until(async () => (await orchestrator.get(ADMIN, agent_id)).state === 'stopped', { what: agent_id });
  expect(await orchestrator.get(ADMIN, 'c')).toMatchObject({ state: 'running', generation: 2 });
});

it('an agent is not let run before what was ordered for it has been handed over', async () => {
  const { orchestrator, host } = lives;
  await orchestrator.create(ADMIN, { agent_id: 'e', template_id: 'ok' });
  await orchestrator.command(ADMIN, 'stop', 'e');
  const asked: string[] = [];
  host.handOver = async (agentId) => {
    asked.push(agentId);
    throw new CodedError('TEMPORAL_UNAVAILABLE', 'The stop has not reached Temporal yet');
  };
  const calls = [
    orchestrator.command(ADMIN, 'start', 'e'),
    orchestrator.command(ADMIN, 'restart', 'e'),
    orchestrator.command(ADMIN, 'resume', 'e'),
  ];
  expect(await codesOf(calls)).toEqual(calls.map(() => 'TEMPORAL_UNAVAILABLE'));
  expect(asked).toEqual(['e', 'e', 'e']);
  host.handOver = async () => undefined;
  expect(await orchestrator.command(ADMIN, 'start', 'e')).toMatchObject({ agent: { state: 'running', generation: 2 } });
});
