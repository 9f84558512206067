import type { Decision, Transition } from '../contract/decision.ts';
import type { ExitRecord } from '../domain/custody.ts';
import type { Resources } from '../domain/limits.ts';

export type { Decision, Transition };

/**
 * The table of all agents, as everybody reads it: one row an agent, made of what its workflow decided (*decision*) and
 * of what its host sees (*process*). Facts that arrive late or twice change nothing.
 */
export interface Roster {
  /**
   * Takes over what a workflow decided.
   *
   * Within one run a lower or equal `sequence` is ignored that is not later either; from another run, an older `at_ms` is.
   * (A task that died after its news does them again, and may have more to tell under the same sequence.) Transitions not yet
   * recorded (by run and sequence) are appended to the history.
   * A decision with phase `closed` removes the row (after its transitions have been recorded) and notifies with it.
   */
  publish(decision: Decision): Promise<void>;
  /**
   * Takes over what the host sees. A generation below the recorded one is ignored, and so is the start of one whose end
   * is recorded. Without a `last_exit` the recorded one stays; a later one counts, also of a generation that is no longer
   * the recorded one. No row yet: kept until there is one.
   */
  recordProcess(agentId: string, process: ProcessFacts): Promise<void>;
  get(agentId: string): Promise<RosterRow | undefined>;
  /** The last decision of an agent that is gone, where one was published (30 days). */
  closing(agentId: string): Promise<Decision | undefined>;
  /** All rows, ordered by agent id. */
  list(): Promise<RosterRow[]>;
  /** Transitions of an agent, newest first, also after its deletion (30 days). `before`: only those with a lower `id`. */
  history(agentId: string, page: { limit: number; before?: number }): Promise<HistoryEntry[]>;
  /** Transitions of all agents, or of one, with an `id` above `after`, oldest first. */
  transitions(page: { after: number; limit: number; agent_id?: string }): Promise<AgentTransition[]>;
  /** The `id` of the latest transition; 0 if there is none. */
  latestTransition(): Promise<number>;
  /** Takes out a row whose workflow is known to be gone on purpose; its history stays unless `purge`. */
  remove(agentId: string, options?: { purge?: boolean }): Promise<void>;
  /** Small facts of the daemon itself, such as the path of the configuration file in use. */
  setFact(name: string, value: string): Promise<void>;
  getFact(name: string): Promise<string | undefined>;
  /** Called after every change that was recorded, in order. Returns what ends the subscription. */
  subscribe(listener: (change: RosterChange) => void): () => void;
  close(): Promise<void>;
}

export type RosterChange =
  | { kind: 'row'; row: RosterRow }
  /** `closing` is the last decision, where there was one: it tells a deletion from a failed start. */
  | { kind: 'removed'; agent_id: string; closing?: Decision };

export interface HistoryEntry extends Transition {
  /** Position in the history; grows. */
  id: number;
  run_id: string;
}

export interface AgentTransition extends HistoryEntry {
  agent_id: string;
}

export interface ProcessFacts {
  generation: number;
  /** Null once it has ended. */
  pid: number | null;
  started_at: string | null;
  ready: boolean;
  /** Its whole tree stands still. */
  paused?: boolean;
  /** Absent while nothing is known. */
  health?: {
    state: 'starting' | 'healthy' | 'unhealthy';
    /** A sentence; empty if nothing is wrong. */ reason: string;
  };
  /** Of its tree, what lives on after SIGKILL. */
  stuck?: { pid: number; kernel_state: string };
  /** What its whole tree takes, as last seen; a change too small to matter is not told. */
  resources?: Resources;
  /** The last that it has said about itself. */
  heartbeat?: Heartbeat;
  log_path: string | null;
  last_exit: LastExit | null;
}

export interface Heartbeat {
  /** ISO 8601. */
  at: string;
  /** How far it is: a sentence, or a share from 0 to 1. */
  progress?: string | number;
  /** Whatever it counts, such as tokens. */
  usage?: Record<string, number>;
}

export interface LastExit extends ExitRecord {
  /** A sentence. */
  reason: string;
  /** The last lines of its log. */
  log_tail: string;
}

export interface RosterRow {
  agent_id: string;
  decision: Decision;
  process: ProcessFacts | null;
}
