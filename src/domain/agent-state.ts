/**
 * The life of one agent, as plain JSON: what its workflow remembers, what the roster shows.
 *
 *              ┌──────────────────────── start, restart ───────────────────────┐
 *              ▼                                                               │
 *   admitting ──► waiting ──► live …       (for what it depends on, if it does) │
 *   admitting ──► live ──► backoff ──► live …        live ──► completed        │
 *   (template,     │  ▲                 ▲               └───► disabled ────────┤
 *    custody)      │  └── adopted ──────┘                                      │
 *                  ├──► stopping ──► stopped ───────────────────────────────────┘
 *                  │             └──► closed (deleted)
 *                  └──► paused ──► live
 *
 * `live` means "a process is asked for": whether it is starting, running or not ready yet is a fact of its host.
 * While `paused` is desired nothing of the agent runs: its process stands still, or, where it had none or lost it, none is
 * started before it is resumed.
 */
import type { Custody, ExitRecord, StopCause } from './custody.ts';
import type { Trouble } from './incidents/agent-trouble.ts';
import type { Dependencies } from './dependencies.ts';
import type { Probe } from './health.ts';
import type { LimitAction, Overrun } from './limits.ts';
import type { FailureHistory, RestartPolicy } from './restart-policy.ts';
import type { StopPolicy } from './stop-policy.ts';

export type Phase =
  /** The template is being resolved, and the custodian is asked what it holds. */
  | { kind: 'admitting' }
  /** Until the agents that it depends on are there. */
  | { kind: 'waiting'; wait: number }
  | { kind: 'live' }
  | { kind: 'backoff'; untilMs: number }
  | { kind: 'paused'; /** The definition has changed since: the process is replaced on resume. */ outdated?: true }
  /** Lives that started before a stop could have several causes have no order here: an operator's counts. */
  | { kind: 'stopping'; order?: StopOrder }
  /** Runs only: the process exited by itself before the stop; this is how the agent would have ended without it. */
  | { kind: 'stopped'; own?: 'completed' | 'disabled' }
  | { kind: 'completed' }
  | { kind: 'disabled' }
  | { kind: 'closed'; outcome: Outcome };

/** True if nothing of the agent runs, or will by itself: somebody has to start it. */
export const isAtRest = ({ kind }: Phase): boolean => kind === 'stopped' || kind === 'completed' || kind === 'disabled';

export type Outcome = { kind: 'deleted' } | { kind: 'failed'; code: string; message: string };

/** How a stop is asked for, and why. */
export interface StopOrder {
  stop: StopPolicy;
  cause: StopCause;
  /** `unhealthy` and `limit` only: what was seen, as the end of a sentence. */
  why?: string;
}

/** The part of an agent's definition that decides on its life; the rest only matters to the host. */
export interface Rules {
  /** Changes when, and only when, a running process would have to be replaced to follow the definition. */
  launchDigest: string;
  restart: RestartPolicy;
  stop: StopPolicy;
  /** What has to be there before the agent is started; a restart after a failure waits for nothing. Absent: nothing. */
  dependencies?: Dependencies;
  /** The agent is created at rest, and runs when somebody starts it. Absent: it runs at once. */
  autostart?: false;
  /** The agent was started for a run: once at rest it stays there. */
  finite?: true;
}

/** The whole daemon must shut down in order and not come back by itself. */
export interface FailStop {
  reason: string;
  /** Also identifies it: asked for again it is still the same fail-stop, and carried out once. */
  decidedAtMs: number;
}

export interface AgentState {
  phase: Phase;
  desired: 'running' | 'paused' | 'stopped' | 'deleted';
  /** The latest incarnation that was asked for, or is known of; 0 before the first. */
  generation: number;
  /**
   * The latest incarnation whose end has been dealt with: each end is, once. Always `handled ≤ generation`; the latest
   * incarnation may live (`mayLive`) if, and only if, `handled < generation`.
   */
  handled: number;
  /** Which admission (template resolution) is the latest asked for, and whether its answer is still to come. */
  admission: { number: number; pending: boolean };
  /** Nobody has asked for the agent to run yet: with `autostart: false` it waits for that. Absent once it is admitted. */
  unasked?: true;
  /** How many waits for dependencies there were; numbers them. Absent: none. */
  waits?: number;
  rules: Rules | null;
  failures: FailureHistory;
  /** One failing episode is one incident. */
  episode: { number: number; incident: boolean };
  /** People were notified that the process is over a limit, or was stopped for that. Absent: they were not. */
  overLimit?: 'running' | 'stopped' | null;
  /** Automatic restarts since the last start by an operator. */
  restarts: number;
  lastExit: ExitRecord | null;
  /** Decided, and not known to have been carried out. */
  failStop?: FailStop;
  /** A sentence for people: why the agent is in this phase. */
  reason: string;
  /** If even its first start fails, does the agent vanish (API) or stay as `disabled` (configuration file)? */
  keepOnFailure: boolean;
}

/** What survives the loss of the workflow, in the roster: enough to go on under a new one. */
export type AgentSnapshot = Pick<
  AgentState,
  'desired' | 'generation' | 'handled' | 'failures' | 'episode' | 'restarts' | 'lastExit' | 'overLimit' | 'failStop'
> & { phase: 'completed' | 'disabled' | 'other'; reason: string };

export type AgentEvent =
  | { kind: 'admitted'; admission: number; rules: Rules; custody: Custody }
  /** The input or its template is not acceptable. */
  | { kind: 'refused'; admission: number; code: string; message: string; custody: Custody }
  | { kind: 'ended'; exit: ExitRecord }
  /** The custodian will not start this generation: something else is or was there. */
  | { kind: 'superseded'; generation: number; custody: Custody }
  | { kind: 'spawn-failed'; generation: number; code: string; message: string }
  /** The template on disk is not the one this generation was asked for with. */
  | { kind: 'template-changed'; generation: number }
  /** The watch over a generation broke off without a verdict: what became of it has to be asked. */
  | { kind: 'run-lost'; generation: number }
  | { kind: 'stop-settled'; generation: number; custody: Custody }
  /** What the custodian holds after a pause or resume that was asked for. */
  | { kind: 'held'; generation: number; custody: Custody }
  /** The host has found a check of this generation failing. Its watch ends with that. */
  | { kind: 'unhealthy'; generation: number; probe: Probe; why: string }
  /** The process was over a limit for longer than its definition tolerates. The watch ends with that. */
  | { kind: 'over-limit'; generation: number; overrun: Overrun; action: Exclude<LimitAction, 'notify'> }
  /** Something that people should know of a running process; it changes nothing. */
  | { kind: 'noticed'; generation: number; summary: string }
  | { kind: 'backoff-elapsed' }
  /** All that the agent depends on is there. */
  | { kind: 'dependencies-met'; wait: number }
  /**
   * Somebody compared processes, roster and workflows, and reports what the custodian holds; `isLater` if the roster shows
   * a later decision than any of this life. Anybody who reaches Temporal can send it: it is only a reason to ask.
   */
  | { kind: 'custody-hinted'; custody: Custody; isLater: boolean }
  /** The custodian's own answer. `handledBefore`: `handled` as it was when the custodian was asked. */
  | { kind: 'custody-answered'; custody: Custody; handledBefore?: number }
  /** The fail-stop that was decided then has been carried out. */
  | { kind: 'fail-stopped'; decidedAtMs: number }
  | { kind: 'start' }
  | { kind: 'stop'; graceMs?: number }
  | { kind: 'restart' }
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'delete'; graceMs?: number }
  /** The definition was changed; the interpreter already holds the new one. */
  | { kind: 'configure' };

export type AgentEffect =
  | { kind: 'admit'; admission: number }
  /** Adopt or spawn this incarnation and watch it until it ends. */
  | { kind: 'run'; generation: number }
  | ({ kind: 'stop'; generation: number } & StopOrder)
  /** Let the whole tree of this incarnation stand still; or, if it has not started yet, never start it. */
  | { kind: 'pause'; generation: number }
  | { kind: 'resume'; generation: number }
  /** Ask the custodian what it holds. */
  | { kind: 'look-up' }
  /** People should know that the process was over a limit. */
  | { kind: 'notice'; summary: string; trouble: Trouble }
  /** What a notice was about is over. */
  | { kind: 'notice-over'; summary: string }
  | { kind: 'sleep'; delayMs: number }
  | { kind: 'cancel-sleep' }
  /** Report when all that the agent depends on is there. */
  | { kind: 'await'; wait: number; dependencies: Dependencies }
  | { kind: 'cancel-await' }
  | { kind: 'open-incident'; episode: number; summary: string; trouble: Trouble }
  | { kind: 'update-incident'; episode: number; summary: string; trouble: Trouble }
  | { kind: 'resolve-incident'; episode: number; summary: string }
  | ({ kind: 'fail-stop' } & FailStop);

export interface Step {
  state: AgentState;
  effects: AgentEffect[];
}
