import type { DependencyCondition } from '../domain/dependencies.ts';
import type { AgentSnapshot } from '../domain/agent-state.ts';
import type { OwnRun } from './run-workflow.ts';
import type { AgentSchedule } from './schedule-view.ts';

/**
 * The description of an agent: the body of `POST /agents`, an entry of the configuration file and the input of the
 * `agent` workflow are this one shape. Durations are strings such as `"5s"`.
 */
export interface AgentInput {
  agent_id: string;
  template_id?: string;
  variables?: Record<string, string | number | boolean>;
  labels?: Record<string, string>;
  /** A text handed to the agent: `{{task}}` in its template, and `OPENSTARRY_TASK` in its environment. */
  task?: string;
  fault_domain?: string;

  // The fields below let the writer run any program; they count only under a valid `signature`.
  command?: string[];
  env?: Record<string, string>;
  env_file?: string;
  cwd?: string;
  stdin?: string;
  restart?: 'always' | 'on-failure' | 'never';
  success_exit_codes?: number[];
  backoff?: Partial<BackoffInput>;
  reset_after?: string;
  stop?: { signal?: string; grace?: string };
  /** Name or uid of the user as whom its process runs. @default the daemon's */
  user?: string;
  /** `process`: a stop, and the end of the main process, are no end of what else it has started. @default tree */
  kill_mode?: 'tree' | 'process';
  health?: HealthInput;
  limits?: LimitsInput;
  /** It is started when these are as they must be, and stopped before them. A list: each must have been started. */
  depends_on?: string[] | Record<string, DependencyCondition>;
  /** False: it is made, but does not run before somebody starts it. @default true */
  autostart?: boolean;
  /** Whether a message that comes while it is stopped or completed starts it. @default false */
  wake_on_message?: boolean;
  /** What the agent's own token allows: to start agents from these templates, and to control those it started. */
  may?: { start: string[] };

  /** Where the agent comes from: `file <path>`, `api`, or `temporal` when absent. */
  origin?: string;
  /** The agent whose token created this one. */
  created_by?: string;
  /** Correlation id of the request that created the agent. */
  request_id?: string;
  /** The run that its process was started for. */
  run?: OwnRun;
  /** Set when a life is re-created from the roster after its workflow was lost. */
  restore?: AgentSnapshot;
  /** HMAC over the canonical JSON of all other fields, made by the API and the configuration loader. */
  signature?: string;
}

/** What people and programs say of an agent. Its schedule is no part of its life: it is a Temporal Schedule of its own. */
export interface AgentRequest extends AgentInput {
  schedule?: AgentSchedule;
}

/** How it is found out whether the agent is well; each probe in the words of Kubernetes. */
export interface HealthInput {
  startup?: ProbeInput;
  readiness?: ProbeInput;
  /** A probe, or the period of heartbeats that the agent itself sends. */
  liveness?: ProbeInput & { heartbeat?: string };
}

/** One of `http`, `tcp` and `exec`. */
export interface ProbeInput {
  http?: string;
  tcp?: string | number;
  exec?: string[];
  initial_delay?: string;
  period?: string;
  timeout?: string;
  failure_threshold?: number;
  success_threshold?: number;
}

/** What its whole process tree may take. */
export interface LimitsInput {
  /** Such as `"256MiB"`. */
  memory?: string;
  /** Such as `"50%"`, of one processor. */
  cpu?: string;
  for?: string;
  action?: 'notify' | 'restart' | 'stop' | 'kill';
}

export interface BackoffInput {
  initial: string;
  factor: number;
  max: string;
  jitter: number;
}

/** The fields that an unsigned input may carry. Everything else could run a program of the writer's choice. */
export const UNSIGNED_FIELDS = [
  'agent_id',
  'template_id',
  'variables',
  'labels',
  'task',
  'fault_domain',
  'autostart',
] as const;
