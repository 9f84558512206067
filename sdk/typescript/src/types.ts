/** An agent as the daemon shows it. Fields that a transport cannot know are null. */
export interface AgentView {
  agent_id: string;
  template_id: string | null;
  state: string;
  reason: string;
  pid: number | null;
  generation: number;
  restarts: number;
  fault_domain: string;
  workflow_id: string;
  run_id: string;
  host: string | null;
  [field: string]: unknown;
}

export interface StartArgs {
  agent_id: string;
  template_id: string;
  variables?: Record<string, string | number | boolean>;
  labels?: Record<string, string>;
  task?: string;
}

export interface AgentArgs {
  agent_id: string;
}

export interface StopArgs extends AgentArgs {
  /** How long the process has before it is killed, such as `"5s"`; by default what its template says. */
  grace?: string;
}

export interface ListArgs {
  state?: string;
  template_id?: string;
}

export interface SignalArgs extends AgentArgs {
  /** Such as `SIGHUP`. */
  name: string;
}

export interface LogsArgs extends AgentArgs {
  /** How many of the last lines. @default 100 */
  tail?: number;
}

export interface Stopped {
  agent_id: string;
  /** True once the agent, its processes and its workflow are gone. */
  deleted: boolean;
}

/** The way to the daemon. A transport only translates: one verb is one call. */
export interface AgentTransport {
  start(args: StartArgs): Promise<AgentView>;
  stop(args: StopArgs): Promise<Stopped>;
  status(args: AgentArgs): Promise<AgentView>;
  list(args: ListArgs): Promise<{ agents: Partial<AgentView>[] }>;
  restart(args: AgentArgs): Promise<AgentView>;
  signal(args: SignalArgs): Promise<{ agent_id: string; revision: number }>;
  pause(args: AgentArgs): Promise<AgentView>;
  resume(args: AgentArgs): Promise<AgentView>;
  logs(args: LogsArgs): Promise<{ agent_id: string; lines: string[] }>;
}

export type Verb = keyof AgentTransport;

export type Separator = ':' | '.' | '_';

/** `agent:start`, `agent.start` and `agent_start` are one. */
export type ActionName<V extends Verb = Verb> = `agent${Separator}${V}`;

export type Args<V extends Verb> = Parameters<AgentTransport[V]>[0];
export type Result<V extends Verb> = Awaited<ReturnType<AgentTransport[V]>>;
export type VerbOf<Name extends string> = Name extends ActionName<infer V> ? V : never;

export { DaemonError } from './daemon-error.ts';
