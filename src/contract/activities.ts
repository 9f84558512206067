import type { Custody } from '../domain/custody.ts';
import type { Dependencies } from '../domain/dependencies.ts';
import type { StopOrder } from '../domain/agent-state.ts';
import type { AgentInput } from './agent-input.ts';
import type { Admission, Verdict } from './definition.ts';

/** Polled on the task queue of the workflows, by every daemon. */
export interface AdmissionActivities {
  /** Checks the input (shape, signature, template) and tells what the custodian holds of the agent. */
  resolveTemplate(request: { input: AgentInput }): Promise<Admission>;
}

export interface RunProcessRequest {
  input: AgentInput;
  generation: number;
  /** Version of the template that the workflow knows; another one on disk gives `template_changed`. */
  template_version: string | null;
  /** Why this incarnation is started: for whoever reads the history. */
  reason: string;
  /** Correlation id of the command that led to it; ends up in the agent's environment. */
  request_id: string | null;
}

/** Polled on `host/<host>`: slow, one call a process life. */
export interface HostActivities {
  runProcess(request: RunProcessRequest): Promise<Verdict>;
  /** Completed when all that the agent depends on is as it must be. */
  awaitDependencies(request: { agent_id: string; wait: number; dependencies: Dependencies }): Promise<void>;
}

export interface StopRequest extends StopOrder {
  agent_id: string;
  generation: number;
  reason: string;
}

export interface ProcessRequest {
  agent_id: string;
  generation: number;
}

export interface FailStopRequest {
  agent_id: string;
  reason: string;
  /** When it was decided: which one it is. Absent: from a workflow of before there was such a name. */
  decided_at_ms?: number;
}

export interface LookUp {
  custody: Custody;
  /** Of the latest decision in the roster; 0 if there is none. */
  sequence: number;
}

/** Polled on `control/<host>`, so that a stop never waits behind slow starts. */
export interface ControlActivities {
  /** Ends the tree of this incarnation for good; completed when nothing of it lives. */
  stopProcess(request: StopRequest): Promise<Custody>;
  /** Lets the whole tree stand still; or, if it has not started yet, lets it never start. Tells what came of it. */
  pauseProcess(request: ProcessRequest): Promise<Custody>;
  resumeProcess(request: ProcessRequest): Promise<Custody>;
  /** Tells what the custodian holds of the agent, and how far the roster is. */
  lookUp(request: { agent_id: string }): Promise<LookUp>;
  signalProcess(request: ProcessRequest & { signal: string }): Promise<{ delivered: boolean }>;
  /**
   * Shuts the whole daemon down in order, exit 78; it does not start again before somebody clears it. One that was carried
   * out already is not again: the news of it may have been lost.
   */
  failStop(request: FailStopRequest): Promise<void>;
}
