import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, expect, inject, it } from 'vitest';
import type { RunView } from '../../src/contract/run-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon;
afterEach(() => daemon.end());

const exec = promisify(execFile);

async function temporal(...args: string[]): Promise<string> {
  const { address } = (await daemon.status()).temporal;
  return (await exec(inject('temporalCli'), [...args, '--address', address])).stdout;
}
const startRun = (id: string, input: object): Promise<string> =>
  temporal(
    'workflow',
    'start',
    '--type',
    'run',
    '--task-queue',
    'orchestrator',
    '-w',
    `run/${id}`,
    '-i',
    JSON.stringify(input),
  );
const ended = (id: string): Promise<RunView> =>
  until(
    async () => {
      const { status, body } = await daemon.call<RunView>('GET', `/runs/${id}`);
      return status === 200 && body.ended_at !== null && body;
    },
    { what: `the end of ${id}`, deadlineMs: 30_000 },
  );

async function begin(config: object = {}): Promise<void> {
  daemon = await TestDaemon.make({
    agents: { rest: { command: ['sh', '-c', 'echo "did $OPENSTARRY_TASK"'], autostart: false } },
    ...config,
  });
  await daemon.template('Echo', { command: ['sh', '-c', 'echo "did $OPENSTARRY_TASK"'] });
  await daemon.template('Forever', { command: ['sleep', '1000'], stop: { grace: '1s' } });
  await daemon.start();
  await daemon.untilAgent('rest', ({ state }) => state === 'stopped', 'is there');
}

it('a run may be started, seen and cancelled with Temporal, like one of the API', async () => {
  await begin();
  await startRun('one', { agent_id: 'fresh', template_id: 'Echo', task: 'this' });
  expect(await ended('one')).toMatchObject({ state: 'succeeded', output: 'did this', agent_id: 'fresh' });
  await startRun('two', { agent_id: 'rest', task: 'that' });
  expect(await ended('two')).toMatchObject({ state: 'succeeded', output: 'did that' });
  await startRun('three', { agent_id: 'long', template_id: 'Forever', cleanup: 'delete' });
  await daemon.untilAgent('long', ({ state }) => state === 'running', 'runs');
  const status = JSON.parse(
    await temporal('workflow', 'query', '-w', 'run/three', '--name', 'status', '-o', 'json'),
  ) as { queryResult: RunView[] };
  expect(status.queryResult[0]).toMatchObject({ run_id: 'three', state: 'running', via: 'process' });
  await temporal('workflow', 'cancel', '-w', 'run/three');
  expect(await ended('three')).toMatchObject({ state: 'cancelled', reason: 'cancelled by Temporal' });
  expect(await daemon.agent('long')).toBeUndefined();
}, 90_000);

it('without a signature it may not say what is run, and nonsense closes it as failed', async () => {
  await begin();
  await startRun('bad', { agent_id: 'evil', command: ['touch', '/tmp/evil'], task: 'x' });
  expect(await ended('bad')).toMatchObject({ state: 'failed', reason: expect.stringContaining('command') });
  expect(await daemon.agent('evil')).toBeUndefined();
  await startRun('worse', {
    agent_id: 'evil',
    template_id: 'Echo',
    definition: { agent_id: 'evil', command: ['true'] },
  });
  expect((await ended('worse')).state).toBe('failed');
  for (const [id, input] of Object.entries({
    n1: { agent_id: '../x' },
    n2: {},
    n3: { agent_id: 'a', timeout: 'soon' },
    n4: { agent_id: 'a', run_id: 'other' },
  })) {
    await startRun(id, input);
    const { status } = JSON.parse(
      await temporal('workflow', 'result', '-w', `run/${id}`, '-o', 'json').catch(
        (error: { stdout: string }) => error.stdout,
      ),
    ) as { status: string };
    expect([id, status]).toEqual([id, 'FAILED']);
  }
}, 90_000);

it('is refused as a whole where signatures are required, and made by the API is not', async () => {
  await begin({ temporal: { require_signed: true } });
  await startRun('unsigned', { agent_id: 'rest', task: 'x' });
  expect(await ended('unsigned')).toMatchObject({ state: 'failed', reason: expect.stringContaining('not signed') });
  const { body } = await daemon.call<RunView>('POST', '/runs?wait=20s', { agent_id: 'rest', task: 'signed' });
  expect(body).toMatchObject({ state: 'succeeded', output: 'did signed' });
  const scheduled = { agent_id: 'rest', every: '1s', mode: 'run', task: 'by the clock' };
  await daemon.call('POST', '/schedules', scheduled);
  await until(
    async () => {
      const { runs } = (await daemon.call<{ runs: RunView[] }>('GET', '/runs?agent_id=rest&state=succeeded')).body;
      return runs.some(({ output }) => output === 'did by the clock');
    },
    { what: 'a run of the schedule', deadlineMs: 20_000 },
  );
}, 90_000);
