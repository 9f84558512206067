import type { AgentInput } from '../contract/agent-input.ts';
import type { AgentView } from '../contract/agent-view.ts';
import type { Definition } from '../contract/definition.ts';
import { codeOf } from '../contract/errors.ts';
import type { CommandArgs } from '../contract/messages.ts';
import { isAtRest } from '../domain/agent-state.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { DEFAULT_STOP, type StopPolicy } from '../domain/stop-policy.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import { watchAgent, type AgentWatch } from './agent-watch.ts';
import { agentNotFound, type AgentWorkflows } from './agent-workflows.ts';
import { checkMayControl, type Call } from './caller.ts';
import type { CommandLanes } from './command-lanes.ts';
import type { HostControl } from './host-control.ts';
import { settlementOf, type Asked, type WaitedVerb } from './settlement.ts';
import { viewOf } from './view.ts';

export interface CommandOptions {
  /** How long to wait for what was asked for; 0 returns once it is accepted. @default 30000 */
  waitMs?: number;
  /** Stop and delete only: overrides the agent's own, such as `"2s"`. */
  grace?: string;
  /** Whether a process that was asked for counts only once it is ready. */
  ready?: boolean;
  /** Called once the command is accepted, before what it asks for is waited for. */
  onAccepted?: () => void;
}

export interface CommandResult {
  agent_id: string;
  /** The command's number; null if it went to the custodian because Temporal is away. */
  revision: number | null;
  /** True once what was asked for has come about. */
  settled: boolean;
  /** Null once the agent is deleted. */
  agent: AgentView | null;
  /** Why it is not settled, where the agent's own reason does not tell. */
  note?: string;
}

export interface CommandParts {
  roster: Roster;
  workflows: AgentWorkflows;
  lanes: CommandLanes;
  host: HostControl;
  admit: (input: AgentInput) => Definition | Promise<Definition>;
  sign: (input: AgentInput) => AgentInput;
  isStale: () => boolean;
}

const CLOSES_WITHIN_MS = 5000;

/** Start, stop, restart, pause, resume, delete: accepted into the desired state, then waited for in the roster. */
export async function commandAgent(
  parts: CommandParts,
  call: Call,
  verb: WaitedVerb,
  agentId: string,
  options: CommandOptions,
): Promise<CommandResult> {
  const watch = await watchAgent(parts.roster, agentId);
  try {
    const { row } = watch.seen;
    if (row === undefined) throw agentNotFound(agentId);
    checkMayControl(call.caller, verb, row);
    const revision = await accepted(parts, call, verb, row, options.grace);
    options.onAccepted?.();
    if (revision === null) return orderGiven(parts, verb, row);
    const { ready = false } = options;
    // One that was asked for before may have taken effect already: then what lives now is what it has led to.
    const isDealtWith = row.decision.revision >= revision;
    const asked = { verb, revision, generation: isDealtWith ? 0 : row.decision.generation, ready };
    return await settled(parts, call, watch, asked, row, options);
  } finally {
    watch.close();
  }
}

/** @returns its revision; null if the custodian has taken the order since Temporal, or the workflow, is not there */
async function accepted(
  { roster, workflows, lanes, host, admit, sign }: CommandParts,
  call: Call,
  verb: WaitedVerb,
  row: RosterRow,
  grace: string | undefined,
): Promise<number | null> {
  const { agent_id } = row;
  const args: CommandArgs['stop'] = { ...(grace === undefined ? {} : { grace }), request_id: call.request_id };
  return lanes.send(agent_id, `${verb} ${grace ?? ''}`, async () => {
    if (verb === 'start' || verb === 'restart' || verb === 'resume') {
      workflows.checkReachable(`${verb} ${agent_id}`);
      await host.handOver(agent_id);
    }
    try {
      const { run: last, restore: _restore, ...input } = row.decision.input;
      if (last === undefined || !isStart(verb, row)) {
        return (await workflows.command(agent_id, verb, args, call.once?.id)).revision;
      }
      // The agent was last started for a run, which is over: now it is started as itself.
      const own = { spec: sign(input), request_id: call.request_id };
      return (await workflows.command(agent_id, 'start', own, call.once?.id)).revision;
    } catch (error) {
      const code = codeOf(error);
      // A row without a workflow: either it has just been deleted, or its workflow was lost and will be made again.
      const lost = code === 'AGENT_NOT_FOUND' && (await roster.get(agent_id))?.decision.run_id === row.decision.run_id;
      if ((verb !== 'stop' && verb !== 'delete') || (code !== 'TEMPORAL_UNAVAILABLE' && !lost)) throw error;
      await host.order(agent_id, verb, await stopPolicyOf(admit, row.decision.input, grace));
      return null;
    }
  });
}

function isStart(verb: WaitedVerb, { decision }: RosterRow): boolean {
  return (verb === 'start' || verb === 'restart') && isAtRest(decision.phase);
}

async function settled(
  { roster, workflows, isStale }: CommandParts,
  call: Call,
  watch: AgentWatch,
  asked: Asked & { verb: WaitedVerb },
  before: RosterRow,
  { waitMs = 30_000 }: CommandOptions,
): Promise<CommandResult> {
  const { agent_id } = before;
  const { verb, revision } = asked;
  const deadline = performance.now() + waitMs;
  const settlement = await watch.until((seen) => settlementOf(asked, seen), waitMs, call.signal);
  if (verb === 'delete' && settlement === 'settled') {
    // Only when Temporal has closed the workflow can the id be used again.
    const runId = watch.seen.closing?.run_id ?? before.decision.run_id;
    const leftMs = Math.max(CLOSES_WITHIN_MS, deadline - performance.now());
    const closed = await workflows.closed(agent_id, runId, leftMs);
    return {
      agent_id,
      revision,
      settled: closed,
      agent: null,
      ...(closed ? {} : { note: 'its workflow is not closed yet' }),
    };
  }
  if (settlement === 'gone') throw agentNotFound(agent_id);
  const row = watch.seen.row ?? (await roster.get(agent_id)) ?? before;
  const result = { agent_id, revision, settled: settlement === 'settled', agent: viewOf(row, isStale()) };
  return settlement === 'overtaken' ? { ...result, note: `${verb} was overtaken by another command` } : result;
}

async function orderGiven(
  { roster, isStale }: CommandParts,
  verb: WaitedVerb,
  before: RosterRow,
): Promise<CommandResult> {
  const row = (await roster.get(before.agent_id)) ?? before;
  const note = `the custodian carries out the ${verb} and keeps it; Temporal is told when it is back`;
  return { agent_id: before.agent_id, revision: null, settled: false, agent: viewOf(row, isStale()), note };
}

/** How the agent is to be stopped, as well as it can be known without its workflow. */
async function stopPolicyOf(
  admit: CommandParts['admit'],
  input: AgentInput,
  grace: string | undefined,
): Promise<StopPolicy> {
  const own = await Promise.resolve(input)
    .then(admit)
    .then((definition) => definition.rules.stop)
    .catch(() => DEFAULT_STOP); // its template has gone meanwhile: no reason to let it run
  return grace === undefined ? own : { ...own, graceMs: parseDurationMs(grace) };
}
