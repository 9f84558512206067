import type { AgentInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import type { RosterRow } from '../ports/roster.ts';

/** On whose behalf something is asked for. */
export type Caller = { kind: 'admin' } | AgentCaller;

/** A running agent that uses its own token. */
export interface AgentCaller {
  kind: 'agent';
  agent_id: string;
  generation: number;
  may: { start: string[] };
}

/** What comes with every call. */
export interface Call {
  caller: Caller;
  /** Correlation id: from the request to the agent's environment. */
  request_id: string;
  /** For a call that may come again, such as one whose answer was lost: it takes effect once. */
  once?: Once;
  /** Ends the waiting, not what has been asked for: the caller is gone or the daemon goes down. */
  signal?: AbortSignal;
}

export interface Once {
  /** The same for each attempt, and for nothing else. */
  id: string;
  /** True if an earlier attempt may have had its effect; `request_id` is that one's. */
  again: boolean;
}

export type ControlVerb = 'start' | 'stop' | 'restart' | 'pause' | 'resume' | 'delete' | 'signal' | 'read the logs of';

/** What an agent may say about another one. Everything else is the business of its template. */
const FIELDS_FOR_AGENTS = [
  'agent_id',
  'template_id',
  'variables',
  'labels',
  'task',
] as const satisfies readonly (keyof AgentInput)[];

export function describeCaller(caller: Caller): string {
  return caller.kind === 'admin' ? 'admin' : `agent ${caller.agent_id}/${caller.generation}`;
}

/** @throws CodedError STALE_INCARNATION if the token belongs to a process that is not the live one */
export function checkIncarnation(caller: AgentCaller, liveGeneration: number | undefined): void {
  if (liveGeneration === caller.generation) return;
  const live = liveGeneration === undefined ? 'no process of it is live' : `generation ${liveGeneration} is live`;
  throw new CodedError(
    'STALE_INCARNATION',
    `The token is for generation ${caller.generation} of ${caller.agent_id}, but ${live}`,
    {
      agent_id: caller.agent_id,
      generation: caller.generation,
      live_generation: liveGeneration ?? null,
    },
  );
}

/** The generation of the agent's live process, from the host's own table; undefined if none is. */
export type LiveGeneration = (agentId: string) => number | undefined | Promise<number | undefined>;

/** @throws CodedError STALE_INCARNATION */
export async function admitCaller({ caller }: Call, live: LiveGeneration): Promise<void> {
  if (caller.kind === 'agent') checkIncarnation(caller, await live(caller.agent_id));
}

/** @throws CodedError FORBIDDEN unless the caller may create this agent */
export function checkMayCreate(caller: Caller, input: AgentInput): void {
  if (caller.kind === 'admin') return;
  const allowed: readonly string[] = FIELDS_FOR_AGENTS;
  const field = Object.keys(input).find((name) => !allowed.includes(name));
  if (field !== undefined) {
    throw new CodedError(
      'FORBIDDEN',
      `The agent ${caller.agent_id} may not set "${field}": the token of an agent allows ${allowed.join(', ')}`,
      {
        field,
        allowed,
      },
    );
  }
  const { template_id } = input;
  if (template_id === undefined || !caller.may.start.includes(template_id)) {
    const may = caller.may.start.length === 0 ? 'none' : caller.may.start.join(', ');
    throw new CodedError(
      'FORBIDDEN',
      `The agent ${caller.agent_id} may not start template ${template_id ?? '(none given)'}: its token allows ${may}`,
      {
        field: 'template_id',
        value: template_id ?? null,
        allowed: caller.may.start,
      },
    );
  }
}

/** @throws CodedError FORBIDDEN unless the caller may do this to the agent of the row */
export function checkMayControl(caller: Caller, verb: ControlVerb, row: RosterRow): void {
  if (caller.kind === 'admin' || row.decision.input.created_by === caller.agent_id) return;
  if (verb === 'read the logs of' && row.agent_id === caller.agent_id) return;
  throw new CodedError(
    'FORBIDDEN',
    `The agent ${caller.agent_id} may not ${verb} ${row.agent_id}, which it has not created`,
    {
      agent_id: row.agent_id,
    },
  );
}
