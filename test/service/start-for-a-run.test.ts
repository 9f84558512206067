import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { workflowIdOf } from '../../src/contract/names.ts';
import { until } from '../support/wait.ts';
import { ADMIN, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

// A start of a run may be asked for again after a death of the daemon: it has to find its own, and no other.
it('shows the run that an agent is started for before its admission is answered', async () => {
  const { orchestrator, host, roster, client } = lives;
  await orchestrator.create(ADMIN, { agent_id: 'a', template_id: 'short' });
  const shown = async () => (await roster.get('a'))?.decision;
  await until(async () => (await shown())?.phase.kind === 'completed', { what: 'the first end' });
  for (const [n, run_id] of ['first', 'second'].entries()) {
    const { promise: admitted, resolve: admit } = withResolvers();
    host.beforeAdmission = () => admitted;
    const spec = { agent_id: 'a', template_id: 'short', signature: 'signed', run: { run_id, attempt: 1 } };
    await client.workflow
      .getHandle(workflowIdOf('a'))
      .executeUpdate('start', { args: [{ spec, once_id: `run/${run_id}/1` }] });
    const during = await until(
      async () => {
        const decision = await shown();
        return decision?.phase.kind === 'admitting' && decision;
      },
      { what: 'the admission' },
    );
    expect([during.generation, during.input.run]).toEqual([n + 1, { run_id, attempt: 1 }]);
    admit();
    await until(async () => (await shown())?.generation === n + 2, { what: 'its start' });
    const after = await until(
      async () => {
        const decision = await shown();
        return decision?.phase.kind === 'completed' && decision;
      },
      { what: 'its end' },
    );
    expect(after.input.run).toEqual({ run_id, attempt: 1 });
  }
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
