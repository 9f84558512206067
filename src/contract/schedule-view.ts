import type { Json } from '../domain/messages/message.ts';

/** When an agent is called, and how. Durations are strings such as `"10m"`. Exactly one of cron, every, at and after. */
export interface ScheduleInput extends AgentSchedule {
  /** @default the agent's id */
  schedule_id?: string;
  agent_id: string;
  /** Of mode `run`, for an agent that is not there when it is called: it is made from this. */
  template_id?: string;
  variables?: Record<string, string | number | boolean>;
  labels?: Record<string, string>;
}

/** The same as a field of the agent. */
export interface AgentSchedule {
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

export const DEFAULT_CATCH_UP = '1m';

/** The id of the Temporal Schedule. */
export const temporalScheduleIdOf = (scheduleId: string): string => `schedule/${scheduleId}`;
/** Of each workflow that it starts; the server adds the time. */
export const tickWorkflowIdOf = (scheduleId: string): string => `tick/${scheduleId}`;

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
  timeout: string | null;
  cleanup: 'keep' | 'delete';
  payload: Json;
  template_id: string | null;
  paused: boolean;
  note: string | null;
  /** `file <path>`, `api` or `agent`. */
  origin: string;
  /** The next five, ISO 8601; while it is paused, those that would be. */
  next: string[];
  /** The last few calls. */
  recent: { scheduled_at: string; started_at: string; workflow_id: string }[];
  counts: {
    made: number;
    skipped_overlap: number;
    /** Not made within `catch_up`. */
    missed: number;
    /** Waiting for the one before to end, now. */
    buffered: number;
    /** Not made, because 1000 were waiting. */
    dropped: number;
    running: number;
  };
  /** What people should know, such as that six fields mean a year. */
  warnings: string[];
}
