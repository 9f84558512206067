import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { runWorkflowIdOf, type RunView } from '../../../src/contract/run-view.ts';
import type { RecordRow } from '../../../src/ports/records.ts';
import { RunUpkeep } from '../../../src/service/runs/run-upkeep.ts';
import { until } from '../../support/wait.ts';
import { startLives, type Lives } from '../lives.ts';

let lives: Lives;
let upkeep: RunUpkeep;
const warnings: string[] = [];
beforeAll(async () => {
  lives = await startLives({
    cli: inject('temporalCli'),
    bundle: inject('workflowBundle') ?? 'missing',
    service: () => ({
      startRun: async ({ run_id }) =>
        run_id === 'refused'
          ? { kind: 'failed', code: 'SPAWN_FAILED', message: 'no such file', again: false }
          : { kind: 'process', generation: 1 },
      reportRun: async () => undefined,
    }),
  });
  const { client, link, roster } = lives;
  upkeep = new RunUpkeep({
    client,
    link: { reachable: () => link.up },
    timeoutMs: 5_000,
    records: roster,
    warn: (message) => void warnings.push(message),
    freshMs: 0,
  });
});
afterAll(async () => {
  await upkeep?.stop();
  await lives?.end();
});

const begin = (id: string): Promise<unknown> =>
  lives.client.workflow.start('run', {
    workflowId: runWorkflowIdOf(id),
    taskQueue: 'orchestrator',
    args: [{ run_id: id, agent_id: 'a', command: ['true'] }],
  });
const untilState = (id: string, state: string): Promise<RecordRow> =>
  until(
    async () => {
      const row = await lives.roster.getRecord('run', id);
      return row?.state === state && row;
    },
    { what: `${id} ${state}`, deadlineMs: 15_000 },
  );

it('ends the records of runs whose workflow runs no more, and leaves the others alone', async () => {
  await Promise.all(['going', 'cut', 'refused'].map(begin));
  const going = await untilState('going', 'running');
  await untilState('cut', 'running');
  // Its record is done a moment before.
  await lives.client.workflow.getHandle(runWorkflowIdOf('refused')).result();
  const { position: _position, ...refused } = await untilState('refused', 'failed');
  const { position: _at, ...lost } = going;
  await lives.client.workflow.getHandle(runWorkflowIdOf('cut')).terminate('by somebody');
  await lives.roster.publishRecord({ ...lost, id: 'lost' });
  // The last news of one that has ended did not arrive.
  const before = { state: 'running', done: false, run_id: 'as if', at_ms: refused.at_ms + 1 };
  await lives.roster.publishRecord({ ...refused, ...before, data: { ...(refused.data as RunView), state: 'running' } });

  upkeep.start();
  const cut = await untilState('cut', 'failed');
  expect(cut.done).toBe(true);
  const reason = 'its workflow was broken off (terminated)';
  expect(cut.data).toMatchObject({ state: 'failed', reason, ended_at: expect.any(String) });
  expect((await untilState('lost', 'failed')).data).toMatchObject({ reason: 'its workflow was lost' });
  const told = await untilState('refused', 'failed');
  expect([told.done, told.data]).toEqual([true, refused.data]);
  await upkeep.sweep();
  expect(await lives.roster.getRecord('run', 'going')).toEqual(going);
  expect(warnings).toEqual([]);
});
