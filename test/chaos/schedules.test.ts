import { setTimeout as pause } from 'node:timers/promises';
import { describe } from 'vitest';
import type { RunView } from '../../src/contract/run-view.ts';
import type { ScheduleView } from '../../src/contract/schedule-view.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos, type ChaosCase } from './chaos-case.ts';
import { Trial } from './trial.ts';

const SCHEDULE = { cron: '* * * * * * *', overlap: 'buffer_all', catch_up: '5m' };

/** A daemon, and the agent of it that has the schedule. */
interface Scheduled {
  daemon: TestDaemon;
  id: string;
}

interface Said {
  payload: { scheduled_at: string };
}

async function schedule({ daemon, id }: Scheduled): Promise<ScheduleView> {
  const { status, body } = await daemon.call<ScheduleView>('GET', `/schedules/${id}`);
  if (status !== 200) throw new Error(`GET /schedules/${id}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** All of a list that is read page by page. */
async function timesIn(daemon: TestDaemon, path: string, list: string, position: string): Promise<string[]> {
  const times: string[] = [];
  for (let after = ''; ;) {
    const { body } = await daemon.call<Record<string, (Said & Record<string, string>)[]>>('GET', `${path}${after}`);
    const page = body[list] ?? [];
    times.push(...page.map(({ payload }) => payload.scheduled_at));
    const last = page.at(-1)?.[position];
    if (last === undefined) return times;
    after = `&after=${last}`;
  }
}
const messages = ({ daemon, id }: Scheduled): Promise<string[]> =>
  timesIn(daemon, `/messages?queue=@${id}&limit=100`, 'messages', 'id');
const events = ({ daemon, id }: Scheduled): Promise<string[]> =>
  timesIn(daemon, `/topics/cron.${id}/events?max=100`, 'events', 'cursor');
async function runs({ daemon, id }: Scheduled): Promise<RunView[]> {
  const all: RunView[] = [];
  for (let cursor = ''; ;) {
    const { body } = await daemon.call<{ runs: RunView[]; next_cursor: string | null }>(
      'GET',
      `/runs?agent_id=${id}${cursor}`,
    );
    all.push(...body.runs);
    if (body.next_cursor === null) return all;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

/** Every second from the first to the last, once. */
function checkWhole(c: ChaosCase, times: readonly string[], what: string): void {
  const seconds = times.map((time) => Date.parse(time) / 1000).toSorted((a, b) => a - b);
  for (const [n, second] of seconds.slice(1).entries()) {
    const step = second - (seconds[n] ?? 0);
    const at = new Date(second * 1000).toISOString();
    if (step === 0) c.check(false, `${what}: ${at} is double`);
    else c.check(step === 1, `${what}: ${step - 1} missing before ${at}`);
  }
  c.check(times.length >= 5, `${what}: only ${times.length}`);
}

/** No more calls; and what waited has been made. */
async function comeToRest(of: Scheduled): Promise<ScheduleView> {
  await of.daemon.call('POST', `/schedules/${of.id}/pause`, { note: 'enough' });
  return until(
    async () => {
      const view = await schedule(of);
      return view.counts.running === 0 && view.counts.buffered === 0 && view;
    },
    { what: 'the last call', deadlineMs: 120_000 },
  );
}

const untilMade = async (of: Scheduled, more: number): Promise<void> => {
  const { made } = (await schedule(of)).counts;
  await until(async () => (await schedule(of)).counts.made >= made + more, {
    what: `${more} calls`,
    deadlineMs: 60_000,
  });
};

const HOW = {
  'kill -9 of daemon, custodian, Temporal and agents': (daemon: TestDaemon) => daemon.kill(),
  'kill -9 of the daemon': async (daemon: TestDaemon) => void (await daemon.signal('SIGKILL')),
  'an ordered restart': async (daemon: TestDaemon) => void (await daemon.signal('SIGTERM')),
};

describe('a schedule of each second with buffer_all', () => {
  for (const [how, end] of Object.entries(HOW)) {
    const isEverything = how.includes('custodian');

    chaos(
      `in mode message, ${how}, twice in a row: no call is missing, none is double`,
      async (c) => {
        await using trial = await Trial.of(c, (name) => ({
          agents: { [name('a')]: { command: ['sleep', '1000'], schedule: SCHEDULE } },
        }));
        const { daemon } = trial;
        const of = { daemon, id: trial.id('a') };
        c.rounds = c.size(2, 8);
        await daemon.start();
        for (let n = 0; n < c.rounds; n += 1) {
          await untilMade(of, 2);
          await end(daemon);
          // The time away is what is to be made up for.
          await pause(c.size(1500, Math.random() * 8000));
          await daemon.start();
        }
        await untilMade(of, 3);
        const { counts } = await comeToRest(of);
        const [mail, said] = [await messages(of), await events(of)];
        checkWhole(c, mail, 'messages');
        checkWhole(c, said, 'events');
        c.check(mail.length === said.length, `${mail.length} messages, ${said.length} events`);
        c.check(counts.missed + counts.skipped_overlap + counts.dropped === 0, `counted: ${JSON.stringify(counts)}`);
        c.figure('calls', mail.length);
        await trial.compare('after the calls');
        await trial.finish();
      },
      { isLong: !isEverything },
    );

    chaos(
      `in mode run, ${how}: no run is missing, none is double`,
      async (c) => {
        const schedule = { ...SCHEDULE, mode: 'run', task: 'work' };
        const command = ['sh', '-c', 'sleep 0.2; echo "did $OPENSTARRY_RUN_ID"'];
        await using trial = await Trial.of(c, (name) => ({ agents: { [name('a')]: { command, schedule } } }));
        const { daemon } = trial;
        const of = { daemon, id: trial.id('a') };
        c.rounds = c.size(1, 4);
        await daemon.start();
        for (let n = 0; n < c.rounds; n += 1) {
          await untilMade(of, 2);
          await end(daemon);
          await pause(c.size(1500, Math.random() * 5000));
          await daemon.start();
        }
        await untilMade(of, 3);
        await comeToRest(of);
        const all = await until(
          async () => {
            const found = await runs(of);
            return found.every(({ ended_at }) => ended_at !== null) && found;
          },
          { what: 'the end of all runs', deadlineMs: 60_000 },
        );
        const times = all.map(({ run_id }) =>
          run_id.replace(/^.*\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
        );
        checkWhole(c, times, 'runs');
        for (const { run_id, state, reason, output } of all) {
          c.check(state === 'succeeded', `${run_id} is ${state}: ${reason}`);
          c.check(output.includes(`did ${run_id}`), `${run_id} said ${JSON.stringify(output)}`);
        }
        const { doubles } = overlapsOf(all);
        c.check(doubles.length === 0, `two at once: ${doubles.join(', ')}`);
        c.figure('runs', all.length);
        await trial.compare('after the runs');
        await trial.finish();
      },
      { isLong: !isEverything },
    );
  }
});

/** Runs that had begun before the one before had ended. */
function overlapsOf(all: readonly RunView[]): { doubles: string[] } {
  const byBegin = all.toSorted((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at));
  const doubles = byBegin.slice(1).filter((run, n) => {
    const before = byBegin[n];
    return before !== undefined && Date.parse(run.started_at) < Date.parse(before.ended_at ?? '') - 100;
  });
  return { doubles: doubles.map(({ run_id }) => run_id) };
}
