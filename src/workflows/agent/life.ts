import type { AgentInput } from '../../contract/agent-input.ts';
import type { IncidentNews } from '../../contract/incident-activities.ts';
import type { Definition } from '../../contract/definition.ts';
import type { AgentEvent, AgentState } from '../../domain/agent-state.ts';
import type { Transition } from '../../contract/decision.ts';

/** A run that waits for the agent to come to rest. */
export interface Watcher {
  run_id: string;
  /** Which try of the run started the agent's process; null if the agent ran anyway. */
  attempt: number | null;
  /** The latest generation whose end was known when it began to wait. */
  from: number;
}

/** Everything that one workflow run holds, and hands to the next. Plain JSON. */
export interface Life {
  input: AgentInput;
  /** A new definition waiting for admission: replaces `input` if admitted, dropped if refused. */
  proposed?: AgentInput;
  state: AgentState;
  /** What the latest admission brought. */
  definition: Definition | null;
  /** The incarnation that the latest admission led to. */
  admittedFor?: number;
  host: string | null;
  queue: AgentEvent[];
  /** Runs that are notified when the agent has come to rest. Absent: none. */
  watchers?: Watcher[];
  /** Signals for the process, waiting to be delivered. */
  signals: string[];
  /** Commands accepted so far, and how many of them have been dealt with. */
  accepted: number;
  revision: number;
  /** Correlation id of the latest command. */
  requestId: string | null;
  sequence: number;
  transitions: Transition[];
  /** Incident reports not delivered yet, oldest first; `reported` numbers them. */
  reports?: IncidentNews[];
  reported?: number;
  /** Commands that may come again, the latest, and the revision that each was answered with. */
  answered?: { once_id: string; revision: number }[];
  /** Search attributes as last written. */
  attributes: Record<string, string>;
}

export function newLife(input: AgentInput, state: AgentState): Life {
  return {
    input,
    state,
    definition: null,
    host: null,
    queue: [],
    signals: [],
    accepted: 0,
    revision: 0,
    requestId: input.request_id ?? null,
    sequence: 0,
    transitions: [],
    attributes: {},
    ...(input.run ? { watchers: [{ run_id: input.run.run_id, attempt: input.run.attempt, from: state.handled }] } : {}),
  };
}
