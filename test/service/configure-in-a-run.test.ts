import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { workflowIdOf } from '../../src/contract/names.ts';
import { AgentChanges } from '../../src/daemon/configuration/agent-changes.ts';
import { AgentWorkflows } from '../../src/service/agent-workflows.ts';
import { until } from '../support/wait.ts';
import { ADMIN, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

// Between the look into the roster and the change of an agent, a tick of its schedule may start a run on it.
it.each(['configure', 'readmit'] as const)('does not take the process of a run away: %s', async (how) => {
  const { orchestrator, host, roster, client } = lives;
  const agent_id = `a-${how}`;
  const row = async () => await roster.get(agent_id);
  await orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  await orchestrator.command(ADMIN, 'stop', agent_id, {});
  const stale = await until(
    async () => {
      const now = await row();
      return now?.decision.phase.kind === 'stopped' && now;
    },
    { what: 'its rest' },
  );

  const run = { run_id: 'r1', attempt: 1 };
  const handle = client.workflow.getHandle(workflowIdOf(agent_id));
  const spec = { agent_id, template_id: 'ok', signature: 'signed' };
  await handle.executeUpdate('start', { args: [{ spec: { ...spec, run } }] });
  await until(() => host.liveGeneration(agent_id) === 2, { what: 'the process of the run' });
  await until(async () => (await row())?.decision.phase.kind === 'live', { what: 'its start' });

  const sign = <T>(input: T): T => ({ ...input, signature: 'signed' });
  const workflows = new AgentWorkflows(client, { reachable: () => true }, 5000);
  const changes = new AgentChanges(workflows, sign, roster);
  const revision = (await row())?.decision.revision ?? 0;
  if (how === 'configure') await changes.configure({ agent_id, template_id: 'ok', variables: { x: 1 } }, stale);
  else await changes.readmit(stale);
  const after = await until(
    async () => {
      const now = await row();
      return (now?.decision.revision ?? 0) > revision && now;
    },
    { what: 'the change' },
  );
  expect(after.decision.input.run).toEqual(run);
  expect(host.liveGeneration(agent_id)).toBe(2);

  // Neither by hand: without the run, or for one that it is not in.
  for (const other of [
    spec,
    { ...spec, run: { run_id: 'r0', attempt: 1 } },
    { ...spec, run: { ...run, attempt: 2 } },
  ]) {
    const refused = handle.executeUpdate('configure', { args: [{ spec: other }] });
    await expect(refused).rejects.toMatchObject({ cause: { type: 'AGENT_BUSY' } });
  }
  await host.exit(agent_id, 0);
  await until(async () => (await row())?.decision.phase.kind === 'completed', { what: 'its end' });
  expect((await row())?.decision.input.run).toEqual(run);
  await handle.executeUpdate('configure', { args: [{ spec }] });
});
