import type { Json } from '../domain/messages/message.ts';
import type { AgentInput } from './agent-input.ts';

/**
 * A run: one finite execution of an agent. A one-shot task, a session and a scheduled run are all runs. Fields of an agent
 * (`template_id`, `command`, …) are for one that does not exist yet. `task` is handed to a process that is started for the
 * run (`{{task}}`, `OPENSTARRY_TASK`), or to a running agent by its mailbox.
 */
export interface RunRequest extends Omit<AgentInput, DaemonField> {
  /** @default a new one */
  run_id?: string;
  /** What becomes of the agent afterwards. @default keep */
  cleanup?: 'keep' | 'delete';
  /** A duration from the run's beginning; then the agent is stopped. @default none */
  timeout?: string;
}

type DaemonField = 'origin' | 'created_by' | 'request_id' | 'restore' | 'run' | 'signature' | 'autostart';

export type RunState = 'starting' | 'running' | 'succeeded' | 'failed' | 'timed_out' | 'cancelled';

export interface RunView {
  run_id: string;
  agent_id: string;
  state: RunState;
  /** A sentence. */
  reason: string;
  /** How the task was handed over. */
  via: 'process' | 'mailbox';
  task: string | null;
  /** The schedule that it belongs to. */
  schedule_id: string | null;
  started_at: string;
  ended_at: string | null;
  generation: number | null;
  exit: { code: number | null; signal: string | null } | null;
  /** What the agent answered (TASK_RESULT), or null. */
  result: Json;
  /** The last lines of its output. */
  output: string;
  cleanup: 'keep' | 'delete';
  workflow_id: string;
}

export const RUN_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
export const runWorkflowIdOf = (runId: string): string => `run/${runId}`;
