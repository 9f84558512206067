import type { Custody } from '../domain/custody.ts';
import type { AgentInput } from './agent-input.ts';

/** Arguments of the updates and signals of an agent's workflow. Each may carry who asked. */
export interface CommandArgs {
  /** `spec`: from rest, with this definition; it may carry a `run`. */
  start: { spec?: AgentInput; request_id?: string };
  stop: { grace?: string; request_id?: string };
  restart: { request_id?: string };
  pause: { request_id?: string };
  resume: { request_id?: string };
  delete: { grace?: string; request_id?: string };
  signal: { name: string; request_id?: string };
  configure: { spec: AgentInput; request_id?: string };
}

/** What the signal `notice` carries. */
export interface Notice {
  generation: number;
  summary: string;
}

/** A command is accepted into the desired state at once; what comes of it is read from the roster by its revision. */
export interface Accepted {
  revision: number;
}

/** What the signal `reconcile` tells a life. It is a hint: what it says counts once the custodian has said it as well. */
export interface Reconcile extends Custody {
  /** Of the latest decision in the roster. */
  sequence?: number;
}
