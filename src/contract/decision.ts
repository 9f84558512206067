import type { AgentSnapshot, AgentState, Phase } from '../domain/agent-state.ts';
import type { Checks } from './definition.ts';
import type { Dependencies } from '../domain/dependencies.ts';
import type { AgentInput } from './agent-input.ts';

/** What an agent's workflow tells the roster. */
export interface Decision {
  agent_id: string;
  workflow_id: string;
  run_id: string;
  /** Grows with every decision of a run. */
  sequence: number;
  /** When it was decided, epoch milliseconds. */
  at_ms: number;
  phase: Phase;
  desired: AgentState['desired'];
  /** The last command that has been dealt with. */
  revision: number;
  /** Of the last decision of a life: correlation id of the latest command, which is what has ended it. */
  request_id?: string | null;
  reason: string;
  generation: number;
  restarts: number;
  template_id: string | null;
  template_version: string | null;
  fault_domain: string;
  /** True if the fail-stop of the daemon follows from this agent's failure. */
  critical: boolean;
  host: string | null;
  /** What its host looks at; absent before the first admission. */
  checks?: Checks;
  /** What its template, or it itself, said at the last admission; its input may say something else since. */
  wake_on_message?: true;
  /** What it waits for, and is stopped before. Absent: nobody. */
  dependencies?: Dependencies;
  /** The signed input, from which the life can be started again. */
  input: AgentInput;
  snapshot: AgentSnapshot;
  /** The latest transitions, oldest first; a bounded tail, so that one that was lost comes with the next. */
  transitions: Transition[];
}

export interface Transition {
  sequence: number;
  at_ms: number;
  /** A phase's kind, or `incident` for what people must know. */
  state: Phase['kind'] | 'incident';
  generation: number;
  reason: string;
}
