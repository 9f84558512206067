import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { workflowIdOf } from '../../src/contract/names.ts';
import { until } from '../support/wait.ts';
import { ADMIN, startLives, type Lives } from './lives.ts';

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
  await orchestrator.start(ADMIN, 'a');
  const generation = host.liveGeneration('a');
  await order('1');
  // It has been taken after the order: the same process is there for it.
  await orchestrator.signal(ADMIN, 'a', 'SIGHUP');
  expect([await state(), host.liveGeneration('a')]).toEqual(['running', generation]);
  await order('2');
  await until(async () => (await state()) === 'stopped', { what: 'the second stop' });
});
