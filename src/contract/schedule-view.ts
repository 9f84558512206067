import type { Json } from '../domain/messages/message.ts';

/** When an agent is called, and how. Durations are strings such as `"10m"`. Exactly one of cron, every, at and after. */
export interface ScheduleInput {
  /** @default the agent's id */
  schedule_id?: string;
  agent_id: string;
  /** 5 fields; 6: the last is the year; 7: the first is the second. Or `@every 10m`, `@hourly`, … */
  cron?: string;
  /** Interval. */
  every?: string;
  /** Once, at this moment (ISO 8601). */
  at?: string;
  /** Once, so long from now. */
  after?: string;
  /** IANA name. @default UTC */
  timezone?: string;
  /** Each call is delayed by a random part of this. */
  jitter?: string;
  /** `message`: a CRON message in its mailbox and an event on `cron.<agent>`. `run`: a run, with `task`. @default message */
  mode?: 'message' | 'run';
  /** What happens when the one before is still under way (in mode `run`). @default skip */
  overlap?: Overlap;
  /** Calls missed for at most so long are made up for. At least 10s. @default 1m */
  catch_up?: string;
  /** Of mode `run`: see `RunRequest`. */
  task?: string;
  timeout?: string;
  cleanup?: 'keep' | 'delete';
  /** Of mode `message`: goes with each CRON message. */
  payload?: Json;
  /** @default false */
  paused?: boolean;
  note?: string;
}

export const OVERLAPS = ['skip', 'buffer_one', 'buffer_all', 'cancel_other', 'terminate_other', 'allow_all'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** The id of the Temporal Schedule. */
export const temporalScheduleIdOf = (scheduleId: string): string => `schedule/${scheduleId}`;

export interface ScheduleView {
  schedule_id: string;
  agent_id: string;
  /** As written, such as `30 9 * * *`, `every 10m` or `at 2026-12-24T18:00:00Z`. */
  when: string;
  timezone: string;
  mode: 'message' | 'run';
  overlap: Overlap;
  catch_up: string;
  jitter: string | null;
  task: string | null;
  cleanup: 'keep' | 'delete';
  paused: boolean;
  note: string | null;
  /** `file <path>`, `api` or `agent`. */
  origin: string;
  /** The next five, ISO 8601. */
  next: string[];
  /** The last few calls. */
  recent: { scheduled_at: string; started_at: string; workflow_id: string }[];
  counts: { made: number; skipped_overlap: number; missed: number; buffered: number; running: number };
  /** What people should know, such as that six fields mean a year. */
  warnings: string[];
}
