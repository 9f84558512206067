import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { IncidentView } from '../../src/contract/incident-view.ts';
import type { ScheduleView } from '../../src/contract/schedule-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon;
afterEach(() => daemon.end());

const schedule = async (): Promise<ScheduleView> => (await daemon.call<ScheduleView>('GET', '/schedules/a')).body;
const incident = (id: string): Promise<IncidentView> =>
  until(
    async () => {
      const { status, body } = await daemon.call<IncidentView>('GET', `/incidents/${id}`);
      return status === 200 && body;
    },
    { what: `incident ${id}`, deadlineMs: 45_000 },
  );
const times = async (): Promise<number[]> => {
  const { body } = await daemon.call<{ messages: { payload: { scheduled_at: string } }[] }>(
    'GET',
    '/messages?queue=@a&limit=200',
  );
  return body.messages.map(({ payload }) => Date.parse(payload.scheduled_at) / 1000);
};

it('calls that nobody could make in time are counted, told once, and no storm follows', async () => {
  const own = { cron: '* * * * * * *', overlap: 'buffer_all', catch_up: '10s' };
  daemon = await TestDaemon.make({ agents: { a: { command: ['sleep', '1000'], schedule: own } } });
  await daemon.start();
  await until(async () => (await times()).length >= 2, { what: 'two calls', deadlineMs: 20_000 });
  await daemon.signal('SIGTERM');
  await pause(14_000);
  await daemon.start();
  const told = await incident('schedule.a.skipped');
  expect(told).toMatchObject({ kind: 'schedule', severity: 'warning', agent_id: 'a', state: 'open', count: 1 });
  expect(told.summary).toMatch(/^Schedule a: \d+ calls? (is|are) missed, as nobody could make/);
  await daemon.call('POST', '/schedules/a/pause');
  const { counts } = await until(
    async () => {
      const view = await schedule();
      return view.counts.running === 0 && view.counts.buffered === 0 && view;
    },
    { what: 'the last call' },
  );
  expect(counts.missed).toBeGreaterThan(0);
  const all = await times();
  expect(new Set(all).size).toBe(all.length);
  const span = (all.at(-1) ?? 0) - (all[0] ?? 0) + 1;
  // What is not there was missed, and all that was missed is not there.
  expect(span - all.length).toBe(counts.missed);
}, 120_000);

it('calls that are skipped over and over are told once', async () => {
  daemon = await TestDaemon.make({
    agents: { a: { command: ['sleep', '1.5'], schedule: { every: '1s', mode: 'run', overlap: 'skip' } } },
  });
  await daemon.start();
  await until(async () => (await schedule()).counts.skipped_overlap >= 1, {
    what: 'a skipped call',
    deadlineMs: 20_000,
  });
  // Schedules are looked at when the daemon starts, and then every half minute.
  const restart = async (): Promise<void> => {
    await daemon.signal('SIGTERM');
    await daemon.start();
  };
  await restart();
  const told = { count: 1, severity: 'warning', value: expect.stringContaining('skipped') as unknown };
  expect(await incident('schedule.a.skipped')).toMatchObject(told);
  const before = (await schedule()).counts.skipped_overlap;
  const more = async (): Promise<boolean> => (await schedule()).counts.skipped_overlap >= before + 2;
  await until(more, { what: 'more of them', deadlineMs: 30_000 });
  await restart();
  await until(async () => (await schedule()).counts.made > 0, { what: 'the schedule' });
  expect((await incident('schedule.a.skipped')).count).toBe(1);
}, 120_000);
