import { afterEach, expect, it } from 'vitest';
import type { ReloadView } from '../../src/contract/reload-view.ts';
import type { RunView } from '../../src/contract/run-view.ts';
import type { ScheduleView } from '../../src/contract/schedule-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon;
afterEach(() => daemon.end());

const command = ['sleep', '1000'];

async function schedules(): Promise<Record<string, ScheduleView>> {
  const { body } = await daemon.call<{ schedules: ScheduleView[] }>('GET', '/schedules');
  return Object.fromEntries(body.schedules.map((schedule) => [schedule.schedule_id, schedule]));
}
const reload = async (dryRun = false): Promise<ReloadView['schedules']> =>
  (await daemon.call<ReloadView>('POST', `/reload${dryRun ? '?dry_run' : ''}`)).body.schedules;
const restart = async (): Promise<void> => {
  await daemon.signal('SIGTERM');
  await daemon.start();
};
const NOTHING = { added: [], changed: [], removed: [], skipped: [] };

it('are made at the start, changed and removed by a reload, and shown before', async () => {
  daemon = await TestDaemon.make({
    schedule: { a: '0 9 * * *' },
    agents: {
      a: { command },
      b: { command, schedule: { every: '1h', mode: 'run', cleanup: 'delete', task: 'x' } },
      c: { command, schedule: '@daily' },
    },
  });
  await daemon.template('Scheduled', { command, schedule: '0 6 * * *' });
  await daemon.start();
  const first = await schedules();
  expect(Object.keys(first)).toEqual(['a', 'b', 'c']);
  expect(first['a']).toMatchObject({
    when: '0 9 * * *',
    mode: 'message',
    origin: `file ${daemon.dir}/openstarry.yaml`,
  });
  expect(first['b']).toMatchObject({ when: 'every 1h', mode: 'run', cleanup: 'delete', task: 'x' });
  await daemon.untilAgent('b', ({ state }) => state === 'stopped', 'waits for its schedule');
  await daemon.untilAgent('a', ({ state }) => state === 'running', 'runs');
  expect(await reload()).toEqual(NOTHING);

  await daemon.configure({
    schedule: { a: '30 9 * * *' },
    agents: {
      a: { command },
      b: { command, schedule: { every: '1h', mode: 'run', cleanup: 'delete', task: 'y' } },
      c: { command },
      d: { template_id: 'Scheduled' },
    },
  });
  const difference = {
    added: ['d'],
    changed: [
      { schedule_id: 'a', fields: ['cron'] },
      { schedule_id: 'b', fields: ['task'] },
    ],
    removed: ['c'],
    skipped: [],
  };
  expect(await reload(true)).toEqual(difference);
  expect((await schedules())['a']?.when).toBe('0 9 * * *');
  expect(await reload()).toEqual(difference);
  await until(async () => !Object.hasOwn(await schedules(), 'c'), { what: 'the end of c' });
  const after = await schedules();
  expect([after['a']?.when, after['b']?.task, after['d']?.when]).toEqual(['30 9 * * *', 'y', '0 6 * * *']);
  expect((await daemon.agent('a'))?.generation).toBe(1);
}, 90_000);

it('keep the pause of a person, with its note, over reloads and restarts', async () => {
  const config = (cron: string) => ({ agents: { a: { command, schedule: { cron } } } });
  daemon = await TestDaemon.make(config('* * * * * * *'));
  await daemon.start();
  const paused = await daemon.call<ScheduleView>('POST', '/schedules/a/pause', { note: 'the exchange is closed' });
  expect(paused.body).toMatchObject({ paused: true, note: 'the exchange is closed' });
  const kept = { paused: true, note: 'the exchange is closed' };
  await reload();
  expect((await schedules())['a']).toMatchObject(kept);
  await daemon.configure(config('*/2 * * * * * *'));
  expect((await reload()).changed).toEqual([{ schedule_id: 'a', fields: ['cron'] }]);
  expect((await schedules())['a']).toMatchObject({ ...kept, when: '*/2 * * * * * *' });
  await restart();
  expect((await schedules())['a']).toMatchObject(kept);
  await daemon.configure(config('*/3 * * * * * *'));
  await restart();
  expect((await schedules())['a']).toMatchObject({ ...kept, when: '*/3 * * * * * *' });
  const made = (await schedules())['a']?.counts.made ?? 0;
  const resumed = await daemon.call<ScheduleView>('POST', '/schedules/a/resume', { note: 'open again' });
  expect(resumed.body).toMatchObject({ paused: false, note: 'open again' });
  await until(async () => ((await schedules())['a']?.counts.made ?? 0) > made, { what: 'a call' });
}, 90_000);

it('do not touch what comes from elsewhere, and stay with their agents of another start', async () => {
  daemon = await TestDaemon.make({ agents: { a: { command } } });
  await daemon.start();
  await daemon.untilAgent('a', ({ state }) => state === 'running', 'runs');
  await daemon.call('POST', '/schedules', { agent_id: 'a', cron: '0 1 * * *' });
  await daemon.configure({ agents: { a: { command, schedule: '0 9 * * *' } } });
  const { skipped, ...rest } = await reload();
  expect([rest, skipped]).toEqual([
    { added: [], changed: [], removed: [] },
    [{ schedule_id: 'a', reason: expect.stringContaining('origin: api') }],
  ]);
  expect((await schedules())['a']?.when).toBe('0 1 * * *');
  await daemon.call('DELETE', '/schedules/a');
  expect((await reload()).added).toEqual(['a']);
  await daemon.configure({ agents: { a: { command } } });
  // A start removes nothing.
  await restart();
  expect((await schedules())['a']?.when).toBe('0 9 * * *');
  expect((await reload()).removed).toEqual(['a']);
  expect(await schedules()).toEqual({});
}, 90_000);

it('run an agent that is deleted after each run, and a reload in between changes nothing about that', async () => {
  const schedule = { every: '1s', mode: 'run', cleanup: 'delete', task: 'the report' };
  daemon = await TestDaemon.make({
    agents: { reporter: { command: ['sh', '-c', 'sleep 0.3; echo "made $OPENSTARRY_TASK"'], schedule } },
  });
  await daemon.start();
  const done = async (): Promise<RunView[]> =>
    (await daemon.call<{ runs: RunView[] }>('GET', '/runs?agent_id=reporter')).body.runs.filter(
      ({ ended_at }) => ended_at !== null,
    );
  await until(async () => (await done()).length >= 1, { what: 'a run', deadlineMs: 20_000 });
  for (const enough of [2, 3, 4]) {
    expect((await reload()).changed).toEqual([]);
    await until(async () => (await done()).length >= enough, { what: `${enough} runs`, deadlineMs: 20_000 });
  }
  for (const run of await done())
    expect(run).toMatchObject({ state: 'succeeded', output: 'made the report', generation: expect.any(Number) });
}, 90_000);
