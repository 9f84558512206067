/**
 * A run as plain JSON: one finite execution of an agent, from its beginning to its outcome.
 *
 *   starting ──► running ──► collecting ──► cleaning ──► done
 *     │  ▲          └──► ending ──┘
 *     ▼  │           (time is up, cancelled)
 *   waiting
 *   (a start that failed is tried again; the agent is in another run)
 */
import type { Json } from '../messages/message.ts';

export type RunPhase =
  | { kind: 'starting' }
  | { kind: 'waiting'; why: 'spawn' | 'busy' }
  | { kind: 'running' }
  /** The run is being stopped, and will have ended with `outcome`. */
  | { kind: 'ending'; outcome: RunOutcome }
  /** Without an outcome: it depends on what is found. */
  | { kind: 'collecting'; outcome: RunOutcome | null }
  | { kind: 'cleaning'; outcome: RunOutcome }
  | { kind: 'done'; outcome: RunOutcome };

export interface RunOutcome {
  state: 'succeeded' | 'failed' | 'timed_out' | 'cancelled';
  /** A sentence. */
  reason: string;
}

export interface RunProgress {
  phase: RunPhase;
  /** How the task was handed over; null before. */
  via: 'process' | 'mailbox' | null;
  /** Which try at starting it is; from 1 on. */
  attempt: number;
  /** How often the agent was found busy. */
  busyTries: number;
  generation: number | null;
  exit: { code: number | null; signal: string | null } | null;
  answer: RunAnswer | null;
  /** Why the task was given up, reported before the start was confirmed. Absent: it was not. */
  undelivered?: string;
  output: string;
  /** News of the end that came while the start was not confirmed yet. */
  rest: Rest | null;
  /** What was asked for while there was nothing to stop yet. */
  wanted: RunOutcome | null;
  /** A sentence for people. */
  reason: string;
}

/** What does not change in a run. */
export interface RunTerms {
  run_id: string;
  agent_id: string;
  schedule_id: string | null;
  cleanup: 'keep' | 'delete';
  busy: 'wait' | 'fail';
  /** When its time is up, epoch milliseconds; null: never. */
  deadlineMs: number | null;
}

export type RunStart =
  /** A process was started for it. */
  | { kind: 'process'; generation: number }
  /** The agent runs; the task is in its mailbox. */
  | { kind: 'mailbox'; generation: number }
  /** The run cannot begin yet: the agent is in another run, or about to stop. `reason` is a sentence. */
  | { kind: 'busy'; reason: string }
  /** `again`: another try may succeed, as the process could not be started. */
  | { kind: 'failed'; code: string; message: string; again: boolean };

/** TASK_RESULT or TASK_REJECT. */
export interface RunAnswer {
  from: string;
  ok: boolean;
  /** Why not, where it says so. */
  reason: string | null;
  payload: Json;
}

/** The agent runs no more, and will not by itself. */
export interface Rest {
  /** Which try started the agent's process; null if the agent ran anyway. */
  attempt: number | null;
  /** `failed`: the agent's first start failed, and nothing is left of it. */
  how: 'completed' | 'disabled' | 'stopped' | 'deleted' | 'failed';
  /** `failed` only. */
  code: string | null;
  generation: number;
  /** False if no process has ended since the run began. */
  ran: boolean;
  exit: { code: number | null; signal: string | null; cause: string; /** ISO 8601. */ at?: string } | null;
  /** `stopped` only: the process exited by itself before the stop; this is how the agent would have ended without it. */
  own?: 'completed' | 'disabled';
  /** A sentence. */
  reason: string;
}

export interface RunCollected {
  /** The last lines of the agent's output. */
  output: string;
  /** What was still on its way. */
  answer: RunAnswer | null;
  /**
   * What became of a task in a mailbox: it was acknowledged; nobody had taken it, and it was taken back; it still waits for
   * an agent that is woken by it; or it is in somebody's hands.
   */
  task: 'acknowledged' | 'withdrawn' | 'waiting' | 'leased';
}

export type RunEvent =
  | { kind: 'started'; attempt: number; start: RunStart }
  | { kind: 'rest'; rest: Rest }
  | { kind: 'answered'; answer: RunAnswer }
  /** The task in the mailbox was given up. `reason` is a sentence. */
  | { kind: 'undelivered'; reason: string }
  | { kind: 'timeout'; afterMs: number }
  | { kind: 'cancel'; by: string }
  | { kind: 'withdrawn' }
  | { kind: 'waited' }
  | { kind: 'collected'; collected: RunCollected }
  | { kind: 'cleaned' };

export type RunEffect =
  | { kind: 'start'; attempt: number }
  | { kind: 'wait'; delayMs: number }
  /** Let the agent tell when it comes to rest. */
  | { kind: 'watch' }
  | { kind: 'stop'; reason: string }
  | { kind: 'withdraw'; reason: string }
  | { kind: 'collect' }
  | { kind: 'clean-up' }
  | { kind: 'report'; severity: 'warning'; summary: string; tried: string; needed: string };

export interface RunStep {
  run: RunProgress;
  effects: RunEffect[];
}
