import type { AgentInput } from '../contract/agent-input.ts';
import type { AgentView } from '../contract/agent-view.ts';
import type { Definition } from '../contract/definition.ts';
import { CodedError, isErrorCode } from '../contract/errors.ts';
import { workflowIdOf } from '../contract/names.ts';
import { isAtRest } from '../domain/agent-state.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import { watchAgent, type Seen } from './agent-watch.ts';
import { agentExists, type AgentWorkflows } from './agent-workflows.ts';
import { checkMayCreate, type Call } from './caller.ts';
import { isRunning } from './settlement.ts';
import { viewOf } from './view.ts';

export interface CreateOptions {
  /** `running` (the default): until its process runs. `ready`: until it is ready as well. `accepted`: no longer than it takes to appear in lists. */
  wait?: 'running' | 'ready' | 'accepted';
  /** @default 30000 */
  waitMs?: number;
  /** Whether what the input says of where it comes from counts; else it comes from the API. */
  keepsOrigin?: boolean;
}

export interface Created {
  /** False if the time was up, or waiting was not asked for, before its process ran: `agent` then tells why. */
  settled: boolean;
  agent: AgentView;
}

export interface CreationParts {
  roster: Roster;
  workflows: AgentWorkflows;
  admit: (input: AgentInput) => Definition | Promise<Definition>;
  sign: (input: AgentInput) => AgentInput;
}

/** How long an accepted agent may take to appear in the lists: usually a few milliseconds. */
const APPEARS_WITHIN_MS = 2000;
/** From the last word of a life until Temporal has closed its workflow. */
const CLOSES_WITHIN_MS = 5000;

/**
 * Creates an agent and waits for its process.
 * @throws CodedError what the admission refused; AGENT_EXISTS; TEMPORAL_UNAVAILABLE; what its first start failed with,
 * such as SPAWN_FAILED: then nothing is left of it
 */
export async function createAgent(
  parts: CreationParts,
  call: Call,
  given: AgentInput,
  options: CreateOptions,
): Promise<Created> {
  checkMayCreate(call.caller, given);
  const { roster, workflows } = parts;
  const agentId = given.agent_id;
  workflows.checkReachable(`create ${agentId}`);
  const isOwn = (row: RosterRow): boolean =>
    call.once?.again === true && row.decision.input.request_id === call.request_id;
  const existing = await roster.get(agentId);
  if (existing && !isOwn(existing)) throw agentExists(agentId);
  const definition = await parts.admit(given);
  const input = parts.sign(options.keepsOrigin ? ownOrigin(call, given) : withOrigin(call, given));
  const waitMs = options.waitMs ?? 30_000;
  const timeoutMs = options.wait === 'accepted' ? Math.min(waitMs, APPEARS_WITHIN_MS) : waitMs;

  const watch = await watchAgent(roster, agentId);
  try {
    const run_id = existing?.decision.run_id ?? (await startLife(parts, call, input));
    const isThisLife = (runId: string, own: AgentInput): boolean =>
      runId === run_id || own.request_id === call.request_id;
    const judge = ({ row, closing }: Seen): RosterRow | Failed | undefined => {
      if (closing && isThisLife(closing.run_id, closing.input)) return failureOf(closing.phase);
      if (!row || !isThisLife(row.decision.run_id, row.decision.input)) return undefined;
      return options.wait === 'accepted' || isDecided(row, options.wait) ? row : undefined;
    };
    const outcome = await watch.until(judge, timeoutMs, call.signal);
    if (outcome && 'code' in outcome) {
      // The id is free only when Temporal has closed the workflow, and a caller that gets the error may try again at once.
      await workflows.closed(agentId, run_id, CLOSES_WITHIN_MS);
      throw outcomeError(agentId, outcome);
    }
    const row = outcome ?? watch.seen.row;
    const agent = row ? viewOf(row, false) : unseenView(input, definition, run_id);
    return { settled: row !== undefined && isDecided(row, options.wait), agent };
  } finally {
    watch.close();
  }
}

/** An earlier attempt at the same creation may have started the workflow, though the roster has not heard of it yet. */
async function startLife({ workflows, roster }: CreationParts, call: Call, input: AgentInput): Promise<string> {
  try {
    return (await workflows.start(input)).run_id;
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'AGENT_EXISTS' || call.once?.again !== true) throw error;
  }
  const watch = await watchAgent(roster, input.agent_id);
  try {
    const row = await watch.until(({ row: seen }) => seen, APPEARS_WITHIN_MS, call.signal);
    if (row?.decision.input.request_id !== call.request_id) throw agentExists(input.agent_id);
    return row.decision.run_id;
  } finally {
    watch.close();
  }
}

/** Nobody but this code says where an agent comes from. */
function withOrigin({ caller, request_id }: Call, given: AgentInput): AgentInput {
  const { signature: _signature, restore: _restore, created_by: _creator, ...fields } = given;
  const creator = caller.kind === 'agent' ? { created_by: caller.agent_id } : {};
  return { ...fields, ...creator, origin: 'api', request_id };
}

/** Of an input that was signed before, and is changed for a run. */
function ownOrigin(
  { request_id }: Call,
  { signature: _signature, restore: _restore, ...fields }: AgentInput,
): AgentInput {
  return { origin: 'api', ...fields, request_id };
}

function isDecided(row: RosterRow, wait: CreateOptions['wait']): boolean {
  const { phase } = row.decision;
  return isRunning(row, wait === 'ready') || isAtRest(phase) || phase.kind === 'paused';
}

type Failed = { code: string; message: string };

function failureOf(phase: RosterRow['decision']['phase']): Failed {
  return phase.kind === 'closed' && phase.outcome.kind === 'failed'
    ? { code: phase.outcome.code, message: phase.outcome.message }
    : { code: 'AGENT_NOT_FOUND', message: '' };
}

function outcomeError(agentId: string, { code, message }: Failed): CodedError {
  if (code === 'AGENT_NOT_FOUND') {
    return new CodedError('AGENT_NOT_FOUND', `${agentId} was deleted while it was being created`, {
      agent_id: agentId,
    });
  }
  return new CodedError(isErrorCode(code) ? code : 'INTERNAL', message, { agent_id: agentId });
}

/** Accepted by Temporal, but no worker has taken it up yet. */
function unseenView(input: AgentInput, definition: Definition, runId: string): AgentView {
  return {
    agent_id: input.agent_id,
    template_id: input.template_id ?? null,
    state: 'pending',
    reason: 'created; its workflow has not begun yet',
    pid: null,
    generation: 0,
    restarts: 0,
    started_at: null,
    health: null,
    resources: null,
    fault_domain: definition.fault_domain,
    last_exit: null,
    workflow_id: workflowIdOf(input.agent_id),
    run_id: runId,
    host: null,
    labels: input.labels ?? {},
    stale: false,
    origin: input.origin ?? 'api',
    desired: 'running',
    revision: 0,
    template_version: definition.template_version,
  };
}
