/** What the API answers about schedules and runs, as schemas. */
import { z } from 'zod';
import type { RunState, RunView } from '../contract/run-view.ts';
import { OVERLAPS, type ScheduleView } from '../contract/schedule-view.ts';
import type { Shown } from '../contract/shown.ts';
import type { Json } from '../domain/messages/message.ts';
import { stale } from './stale.ts';

const instant = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);
const json = z.custom<Json>((value) => value !== undefined).meta({ description: 'Any JSON' });
const mode = z.enum(['message', 'run']);
const cleanup = z.enum(['keep', 'delete']);

const SCHEDULE_EXAMPLE: ScheduleView = {
  schedule_id: 'reporter',
  agent_id: 'reporter',
  when: '0 9 * * *',
  timezone: 'Asia/Seoul',
  mode: 'run',
  overlap: 'skip',
  catch_up: '10m',
  jitter: null,
  task: 'Summarise the day',
  timeout: '30m',
  cleanup: 'delete',
  payload: null,
  template_id: null,
  paused: false,
  note: null,
  origin: 'file /srv/fleet/openstarry.yaml',
  next: ['2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z'],
  recent: [
    {
      scheduled_at: '2026-01-01T00:00:00.000Z',
      started_at: '2026-01-01T00:00:00.031Z',
      workflow_id: 'tick/reporter-2026-01-01T00:00:00Z',
    },
  ],
  counts: { made: 1, skipped_overlap: 0, missed: 0, buffered: 0, dropped: 0, running: 0 },
  warnings: [],
};

export const scheduleView = z
  .object({
    schedule_id: z.string(),
    agent_id: z.string(),
    when: z.string().meta({ description: 'As written, such as `30 9 * * *`, `every 10m` or `at 2026-12-24T18:00:00Z`' }),
    timezone: z.string(),
    mode,
    overlap: z.enum(OVERLAPS).meta({ description: 'What happens when the call before is still under way' }),
    catch_up: z.string().meta({ description: 'Calls missed for at most so long are made up for' }),
    jitter: z.string().nullable(),
    task: z.string().nullable(),
    timeout: z.string().nullable(),
    cleanup,
    payload: json,
    template_id: z.string().nullable(),
    paused: z.boolean(),
    note: z.string().nullable(),
    origin: z.string().meta({ description: '`file <path>`, `api`, `agent` (made with it) or `temporal`' }),
    next: z.array(instant).meta({ description: 'The next five; while it is paused, those that would be' }),
    recent: z.array(z.object({ scheduled_at: instant, started_at: instant, workflow_id: z.string() })),
    counts: z.object({
      made: count,
      skipped_overlap: count,
      missed: count.meta({ description: 'Not made within `catch_up`' }),
      buffered: count.meta({ description: 'Waiting now for the one before to end' }),
      dropped: count.meta({ description: 'Not made, because 1000 were waiting' }),
      running: count,
    }),
    warnings: z.array(z.string()).meta({ description: 'What people should know, such as that six fields mean a year' }),
  })
  .meta({ id: 'Schedule', examples: [SCHEDULE_EXAMPLE] }) satisfies z.ZodType<ScheduleView>;

export const scheduleList = z.object({ schedules: z.array(scheduleView) }).meta({ id: 'ScheduleList' });
export const deletedSchedule = z
  .object({ schedule_id: z.string(), deleted: z.boolean() })
  .meta({ id: 'DeletedSchedule', examples: [{ schedule_id: 'reporter', deleted: true }] });

const STATES = ['starting', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled'] as const;
export const runState = z.enum(STATES) satisfies z.ZodType<RunState>;

const RUN_EXAMPLE: Shown<RunView> = {
  run_id: 'run-019b7f3e',
  agent_id: 'reporter',
  state: 'succeeded',
  reason: 'generation 1 exited with code 0 after 3.1 s',
  via: 'process',
  task: 'Summarise the day',
  schedule_id: null,
  started_at: '2026-01-01T09:00:00.000Z',
  ended_at: '2026-01-01T09:00:03.200Z',
  generation: 1,
  exit: { code: 0, signal: null },
  result: null,
  output: 'wrote report.md',
  cleanup: 'keep',
  workflow_id: 'run/run-019b7f3e',
  stale: false,
};

export const runView = z
  .object({
    run_id: z.string(),
    agent_id: z.string(),
    state: runState,
    reason: z.string().meta({ description: 'Why it is in this state: a sentence for people' }),
    via: z.enum(['process', 'mailbox']).meta({ description: 'How its task was handed over' }),
    task: z.string().nullable(),
    schedule_id: z.string().nullable(),
    started_at: instant,
    ended_at: instant.nullable(),
    generation: count.nullable(),
    exit: z.object({ code: z.int().nullable(), signal: z.string().nullable() }).nullable(),
    result: json.meta({ description: 'What its agent has answered (TASK_RESULT); null: nothing' }),
    output: z.string().meta({ description: 'The last lines of its output, once it has ended' }),
    cleanup,
    workflow_id: z.string(),
    stale,
  })
  .meta({ id: 'Run', examples: [RUN_EXAMPLE] }) satisfies z.ZodType<Shown<RunView>>;

export const runPage = z
  .object({
    runs: z.array(runView),
    next_cursor: z.string().nullable().meta({ description: 'For `cursor` of the next call; null at the end' }),
  })
  .meta({ id: 'RunPage' });
