import type { Custody } from '../domain/custody.ts';
import type { AgentInput } from './agent-input.ts';

/** What every command of an agent may carry. */
interface Asked {
  /** Correlation id of who asked. */
  request_id?: string;
  /** A command that comes again with the same one takes effect once, also when another run has begun in between. */
  once_id?: string;
}

/** Arguments of the updates and signals of an agent's workflow. */
export interface CommandArgs {
  /** `spec`: from rest, with this definition; it may carry a `run`. */
  start: { spec?: AgentInput } & Asked;
  stop: { grace?: string } & Asked;
  restart: Asked;
  pause: Asked;
  resume: Asked;
  delete: { grace?: string } & Asked;
  signal: { name: string } & Asked;
  configure: { spec: AgentInput } & Asked;
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
