import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, inject, it } from 'vitest';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon | undefined;
afterEach(async () => daemon?.end());

const READY = { readiness: { exec: ['test', '-e', 'store.ready'], period: '100ms', failure_threshold: 1 } };
async function workflowsListed(query: string): Promise<string> {
  const { temporal } = await daemon!.status();
  const listing = ['workflow', 'list', '--query', query, '--address', temporal.address];
  return (await promisify(execFile)(inject('temporalCli'), listing)).stdout;
}

/** Takes a moment to end, and writes down when it did. */
const ending = (file: string) => [
  'sh',
  '-c',
  `trap 'sleep 0.3; date +%s%N > ${file}; exit 0' TERM; while :; do sleep 0.05; done`,
];

it('an agent starts when what it depends on is there, and is stopped before it', async () => {
  daemon = await TestDaemon.make({
    agents: {
      web: { command: ending('web.end'), depends_on: { store: 'ready', migration: 'completed' } },
      store: { command: ending('store.end'), health: READY },
      migration: { command: ['true'] },
    },
  });
  await daemon.start();
  await daemon.untilAgent('store', (a) => a.state === 'unready', 'unready');
  await daemon.untilAgent('migration', (a) => a.state === 'completed', 'completed');
  const waiting = await daemon.untilAgent('web', (a) => a.reason.startsWith('waiting'), 'waiting');
  expect(waiting).toMatchObject({
    state: 'pending',
    pid: null,
    reason: 'waiting for migration to be completed and store to be ready',
  });
  // Temporal's lists speak of states as the API does.
  await until(async () => (await workflowsListed(`AgentState="pending"`)).includes('agent/web'), {
    what: 'the attribute',
  });

  // Whoever carries the wait may die: the next daemon takes it up.
  await daemon.signal('SIGKILL');
  await daemon.start();
  expect(await daemon.agent('web')).toMatchObject({ state: 'pending', pid: null });
  const ready = path.join(daemon.dir, 'store.ready');
  await writeFile(ready, '');
  const web = await daemon.untilAgent('web', (a) => a.state === 'running', 'running', 60_000);

  // A restart after a failure waits for nobody.
  await rm(ready);
  await daemon.untilAgent('store', (a) => a.state === 'unready', 'unready again');
  process.kill(web.pid!, 'SIGKILL');
  await daemon.untilAgent('web', (a) => a.state === 'running' && a.generation === web.generation + 1, 'restarted');

  expect(await daemon.signal('SIGTERM')).toBe(0);
  const endOf = async (file: string): Promise<bigint> =>
    BigInt((await readFile(path.join(daemon!.dir, file), 'utf8')).trim());
  expect((await endOf('store.end')) - (await endOf('web.end'))).toBeGreaterThan(250_000_000n);
}, 120_000);

it('what is waited for can be given up: a stop, another definition, a delete', async () => {
  daemon = await TestDaemon.make({
    agents: { web: { command: ['sleep', '36053'], depends_on: ['store'] }, store: { command: ['sleep', '36054'] } },
  });
  await daemon.start();
  await daemon.untilAgent('web', (a) => a.state === 'running', 'running');
  await daemon.call('POST', '/agents/store/stop');
  await daemon.call('POST', '/agents/web/stop');
  await daemon.call('POST', '/agents/web/start?wait=accepted');
  await daemon.untilAgent('web', (a) => a.reason.startsWith('waiting'), 'waiting');
  expect((await daemon.call('POST', '/agents/web/stop')).body).toMatchObject({ state: 'stopped' });
  await daemon.call('POST', '/agents/web/start?wait=accepted');
  await daemon.untilAgent('web', (a) => a.reason.startsWith('waiting'), 'waiting again');
  await daemon.call('POST', '/agents/store/start');
  await daemon.untilAgent('web', (a) => a.state === 'running', 'running again');

  await daemon.call('POST', '/agents?wait=accepted', {
    agent_id: 'late',
    command: ['sleep', '36055'],
    depends_on: ['nobody'],
  });
  await daemon.untilAgent('late', (a) => a.reason === 'waiting for nobody to be started', 'waiting');
  expect((await daemon.call('DELETE', '/agents/late')).status).toBe(200);
  await until(async () => (await daemon!.agent('late')) === undefined, { what: 'the deletion' });
}, 90_000);
