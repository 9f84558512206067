import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { workflowIdOf } from '../../src/contract/names.ts';
import { Reconciler } from '../../src/host/reconciler.ts';
import { until } from '../support/wait.ts';
import { ADMIN, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

test('a decision that the roster could not take comes by reconciliation, although custody agrees', async () => {
  const { orchestrator, roster, client, unpublished } = lives;
  const agent_id = 'unheard';
  await orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  await orchestrator.command(ADMIN, 'stop', agent_id);
  const spec = { agent_id, template_id: 'ok', labels: { team: 'x' }, signature: 'signed' };
  const labels = async () => (await roster.get(agent_id))?.decision.input.labels;

  const publish = roster.publish.bind(roster);
  roster.publish = () => Promise.reject(new Error('database or disk is full'));
  try {
    const handle = client.workflow.getHandle(workflowIdOf(agent_id));
    await handle.executeUpdate('configure', { args: [{ spec }] });
    const known = async () => (await handle.query<AgentView>('status')).labels['team'];
    await until(async () => (await known()) === 'x', { what: 'the workflow to have decided' });
    expect([...unpublished.keys()]).toEqual([agent_id]);
  } finally {
    roster.publish = publish;
  }
  expect(await labels()).toBeUndefined();

  const reconciler = new Reconciler({
    client,
    roster,
    unpublished,
    custodian: { list: async () => [], forget: async () => undefined },
    orders: {
      all: async () => undefined,
      of: async () => false,
      orderOf: async () => undefined,
      done: async () => undefined,
    },
    isExecuting: () => false,
    resign: (input) => input,
    log: () => undefined,
    onTrouble: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
  await until(async () => (await reconciler.pass()).get(agent_id) === 'tell', { what: 'the difference to be seen' });
  await until(async () => (await labels())?.['team'] === 'x', { what: 'the decision' });
  expect(unpublished.size).toBe(0);
  expect(await reconciler.pass()).toEqual(new Map());
}, 60_000);
