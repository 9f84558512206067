import type { RunCollected, RunStart } from '../domain/runs/run-state.ts';
import type { AgentInput } from './agent-input.ts';
import type { IncidentReport } from './incident-view.ts';

export const RUN_WORKFLOW_TYPE = 'run';

/**
 * The work queue on which the daemon takes the answers to tasks of runs (`reply_to` of TASK_DELEGATE). Its name is one that
 * an agent can write to like to any other; nobody but the daemon receives from it.
 */
export const RUNS_QUEUE = 'openstarry.runs';

/**
 * Input of the workflow `run`: the body of `POST /runs`, signed like the input of an agent, and what the daemon adds.
 * Without a signature only the fields count that an unsigned agent may have.
 */
export interface RunInput extends AgentInput, RunOptions {}

export interface RunOptions {
  run_id: string;
  cleanup?: 'keep' | 'delete';
  timeout?: string;
  schedule_id?: string;
  scheduled_at?: string;
  /** The whole agent with its own signature, if there is none when the run begins; instead of the fields above. */
  definition?: AgentInput;
  /** What to do if the agent is in another run: wait for its end or fail. @default wait */
  busy?: 'wait' | 'fail';
}

/** The agent of a run input, as it was signed; and the rest. */
export function partsOf(input: RunInput): { agent: AgentInput; options: RunOptions } {
  const { run_id, cleanup, timeout, schedule_id, scheduled_at, definition, busy, ...agent } = input;
  const options: RunOptions = { run_id };
  if (cleanup !== undefined) options.cleanup = cleanup;
  if (timeout !== undefined) options.timeout = timeout;
  if (schedule_id !== undefined) options.schedule_id = schedule_id;
  if (scheduled_at !== undefined) options.scheduled_at = scheduled_at;
  if (definition !== undefined) options.definition = definition;
  if (busy !== undefined) options.busy = busy;
  return { agent, options };
}

/** Part of an agent's input while its process is started for a run. */
export interface OwnRun {
  run_id: string;
  /** Which try at starting it this is; the same one again is the same start. */
  attempt: number;
  /** Instead of the agent's own. */
  task?: string;
}

export interface RunTarget {
  run_id: string;
  agent_id: string;
}

export interface StartRunRequest extends RunTarget {
  attempt: number;
  agent: AgentInput;
  definition?: AgentInput;
  /** For the message: when it is of no use any more. Epoch milliseconds. */
  deadline_ms: number | null;
}

/** Correlation id of what a run asks of its agent. */
export const requestIdOfRun = (runId: string, what: string): string => `run/${runId}/${what}`;

/** True of a deletion by the run after which the agent is to be deleted; the next run makes it anew. */
export const isDeletionByRun = (requestId: string): boolean => /^run\/.+\/delete$/.test(requestId);

/** Polled on the queue `orchestrator`; each may be tried again after it has taken effect. */
export interface RunActivities {
  startRun(request: StartRunRequest): Promise<RunStart>;
  /** Ends the process that was started for the run, and no other. */
  stopRun(request: RunTarget & { reason: string }): Promise<void>;
  /** Takes the task back from the mailbox, or tells the agent that it is of no use any more. */
  withdrawTask(request: RunTarget & { reason: string }): Promise<void>;
  /** What has come of it. A task that waits in the mailbox of an agent at rest is taken back. */
  collectRun(request: RunTarget & { via: 'process' | 'mailbox'; since_ms: number }): Promise<RunCollected>;
  /**
   * Deletes the agent; its logs and its schedules stay. One that was started for the run and has been started by somebody
   * else since is left alone. Without `via` (of a daemon before) it is not known how its task was handed over.
   */
  cleanUpRun(request: RunTarget & { via?: 'process' | 'mailbox' }): Promise<void>;
  reportRun(report: IncidentReport): Promise<void>;
}

/** Signals of the workflow `run`. */
export const REST_SIGNAL = 'rest';
export const ANSWER_SIGNAL = 'answer';
export const CANCEL_SIGNAL = 'cancel';
/** Of the task in the mailbox: it became a dead letter. */
export const UNDELIVERED_SIGNAL = 'undelivered';
/** Signal of the workflow `agent`: tell this run when the agent has come to rest. */
export const WATCH_SIGNAL = 'watch';

export interface Watch {
  run_id: string;
  /** Of the process that was started for it; absent if the agent ran anyway. */
  attempt?: number;
}
