import type { Custody, ExitRecord } from '../domain/custody.ts';
import type { Rules } from '../domain/agent-state.ts';
import type { HealthPolicy, Probe } from '../domain/health.ts';
import type { LimitAction, LimitPolicy, Overrun } from '../domain/limits.ts';
import type { AgentSchedule } from './schedule-view.ts';

/** What an agent is, once its input and its template have been put together. */
export interface Definition {
  agent_id: string;
  template_id: string | null;
  /** Digest of the template's text; null without a template. */
  template_version: string | null;
  /** Why the template is an earlier copy; absent for the original. */
  template_stale?: string;
  fault_domain: string;
  rules: Rules;
  launch: Launch;
  /** Absent in what an earlier version recorded. */
  checks?: Checks;
  /** Whether a message that comes while it is stopped or completed starts it. */
  wake_on_message?: true;
  /** Of the template: the agent gets it when it is made. */
  schedule?: AgentSchedule;
}

/** What its host looks at while its process runs. It may change without a new process. */
export interface Checks {
  health: HealthPolicy | null;
  limits: LimitPolicy | null;
}

/** How its process is started. `${VAR}` references are still references: they are resolved at the spawn, on the host. */
export interface Launch {
  command: string[];
  env: Record<string, string>;
  env_file: string | null;
  cwd: string;
  stdin: string | null;
  task: string | null;
  /** Name or uid of the user as whom it runs; absent: as whom the daemon does. */
  user?: string;
  /** Absent: `tree`. */
  kill_mode?: 'tree' | 'process';
  /** What its token allows; see `src/trust/agent-token.ts`. */
  may: { start: string[] };
}

/** The answer of `resolveTemplate`: the definition or why there is none, and what the custodian of that host holds. */
export type Admission = { host: string; custody: Custody } & (
  | { kind: 'admitted'; definition: Definition }
  | { kind: 'refused'; code: string; message: string }
);

/** How a run ended, as `runProcess` is completed with it. */
export type Verdict =
  | { kind: 'exited'; exit: ExitRecord }
  | { kind: 'superseded'; custody: Custody }
  | { kind: 'template_changed' }
  /** It still lives: the workflow has it stopped, and judges that as a failure. */
  | { kind: 'unhealthy'; probe: Probe; why: string }
  | { kind: 'over_limit'; overrun: Overrun; action: Exclude<LimitAction, 'notify'> };
