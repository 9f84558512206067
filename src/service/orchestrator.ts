import type { AgentInput, AgentRequest } from '../contract/agent-input.ts';
import type { AgentView } from '../contract/agent-view.ts';
import type { Definition } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import { isSignalName, SIGNALS } from '../domain/stop-policy.ts';
import type { LogSource, TailOptions } from '../ports/log-source.ts';
import type { Heartbeat, HistoryEntry, Roster, RosterRow } from '../ports/roster.ts';
import { tailAndFollow } from './agent-logs.ts';
import { agentNotFound, AgentWorkflows, type TemporalClient } from './agent-workflows.ts';
import { watchAgent } from './agent-watch.ts';
import { commandMany, type BulkOptions, type BulkResult, type Selection } from './bulk.ts';
import { admitCaller, checkMayControl, type Call, type LiveGeneration } from './caller.ts';
import { CommandLanes } from './command-lanes.ts';
import { commandAgent, type CommandOptions, type CommandParts, type CommandResult } from './commands.ts';
import type { Created, CreateOptions } from './creation.ts';
import { fleetEvents, type FleetEvent, type FollowOptions } from './fleet-events.ts';
import { takeHeartbeat, type HeartbeatAnswer, type HeartbeatSink } from './heartbeat.ts';
import type { HostControl } from './host-control.ts';
import { matches, type ListFilter } from './list.ts';
import { createWithSchedule, type AgentSchedules } from './scheduled-creation.ts';
import type { TemporalLink } from './temporal-link.ts';
import type { WaitedVerb } from './settlement.ts';
import { viewOf } from './view.ts';

/** What an agent that stays can be told. */
export type AgentVerb = Exclude<WaitedVerb, 'delete'>;

export interface OrchestratorDeps {
  roster: Roster;
  logs: LogSource;
  /** Over a lazy connection: the service works, as far as it can, also before Temporal is there. */
  client: TemporalClient;
  temporal: TemporalLink;
  host: HostControl;
  /** Checks an input as a whole and puts it together with its template. @throws CodedError TEMPLATE_NOT_FOUND, … */
  admit: (input: AgentInput) => Definition | Promise<Definition>;
  /** The input with its signature. */
  sign: (input: AgentInput) => AgentInput;
  liveGeneration: LiveGeneration;
  heartbeat: HeartbeatSink;
  /** Those that come and go with their agents. */
  schedules: AgentSchedules;
  /** Waits until nothing is left of a deleted agent: its mailbox, its state. @returns false if that takes too long */
  cleared: (agentId: string) => Promise<boolean>;
  /** Something went wrong after the answer was given. */
  warn: (message: string, fields: Record<string, unknown>) => void;
  /** For one call to Temporal. @default 5000 */
  temporalTimeoutMs?: number;
}

export interface LogOptions {
  /** How many lines to begin with. */
  tail: number;
  sinceMs?: number;
}

/**
 * Everything that can be asked of the daemon about agents. HTTP, and every other way in, only translates.
 *
 * What is decided, Temporal decides: commands are accepted into the desired state of the agent's workflow. What is
 * shown, the roster shows. Agents see all agents and command those that they have created; see `caller.ts`.
 */
export class Orchestrator {
  readonly #deps: OrchestratorDeps;
  readonly #workflows: AgentWorkflows;
  readonly #parts: CommandParts;
  readonly #lanes = new CommandLanes();

  constructor(deps: OrchestratorDeps) {
    this.#deps = deps;
    this.#workflows = new AgentWorkflows(deps.client, deps.temporal, deps.temporalTimeoutMs ?? 5000);
    const { roster, host, admit, sign } = deps;
    this.#parts = {
      roster,
      host,
      admit,
      sign,
      workflows: this.#workflows,
      lanes: this.#lanes,
      isStale: () => this.#isStale(),
    };
  }

  /** For commands that nobody has asked for by a call of their own, such as those of runs. */
  get parts(): CommandParts {
    return this.#parts;
  }

  /** Creates an agent, and its schedule if it has one; see `createWithSchedule`. */
  async create(call: Call, request: AgentRequest, options: CreateOptions = {}): Promise<Created> {
    await this.#admitCaller(call);
    if (!(await this.#deps.cleared(request.agent_id))) throw notCleared(request.agent_id);
    return createWithSchedule(this.#parts, this.#deps.schedules, call, request, options);
  }

  async list(call: Call, filter: ListFilter = {}): Promise<AgentView[]> {
    await this.#admitCaller(call);
    const stale = this.#isStale();
    const rows = await this.#deps.roster.list();
    return rows.map((row) => viewOf(row, stale)).filter((view) => matches(view, filter));
  }

  /** @throws CodedError AGENT_NOT_FOUND */
  async get(call: Call, agentId: string): Promise<AgentView> {
    await this.#admitCaller(call);
    return viewOf(await this.#row(agentId), this.#isStale());
  }

  /** Starts, stops, restarts, pauses or resumes an agent. @throws CodedError AGENT_NOT_FOUND, AGENT_NOT_RUNNING, … */
  async command(call: Call, verb: AgentVerb, agentId: string, options: CommandOptions = {}): Promise<CommandResult> {
    await this.#admitCaller(call);
    return commandAgent(this.#parts, call, verb, agentId, options);
  }

  /** One command for many agents; see `commandMany`. */
  async commandMany(
    call: Call,
    verb: AgentVerb,
    selection: Selection,
    options: BulkOptions = {},
  ): Promise<BulkResult[]> {
    await this.#admitCaller(call);
    const rows = await this.#deps.roster.list();
    return commandMany(rows, call, selection, options, (agentId, own) =>
      commandAgent(this.#parts, call, verb, agentId, own),
    );
  }

  /** What happens to the agents, until `call.signal` aborts. */
  async events(call: Call, options: FollowOptions): Promise<AsyncIterable<FleetEvent>> {
    await this.#admitCaller(call);
    const signal = call.signal ?? new AbortController().signal;
    return fleetEvents(this.#deps.roster, (row) => viewOf(row, this.#isStale()), options, signal);
  }

  /** Deletes an agent. Its logs and history stay, unless `purge`: then they go when the agent has. */
  async remove(
    call: Call,
    agentId: string,
    options: CommandOptions & { purge?: boolean } = {},
  ): Promise<CommandResult> {
    await this.#admitCaller(call);
    if (options.purge && call.caller.kind === 'admin' && (await this.#isOnlyRemembered(agentId))) {
      await this.#purge(agentId);
      return { agent_id: agentId, revision: null, settled: true, agent: null };
    }
    const result = await commandAgent(this.#parts, call, 'delete', agentId, options);
    if (result.revision !== null) await this.#removeSchedules(agentId);
    if (options.purge) await this.#purgeAfter(result);
    if (result.agent !== null || (await this.#deps.cleared(agentId))) return result;
    return { ...result, settled: false, note: 'its mailbox and state are still being cleared' };
  }

  /** An agent says that it lives, and maybe how far it is. Temporal is not asked. */
  async heartbeat(call: Call, agentId: string, said: Omit<Heartbeat, 'at'>): Promise<HeartbeatAnswer> {
    await this.#admitCaller(call);
    return takeHeartbeat(call, await this.#row(agentId), said, this.#deps.heartbeat);
  }

  /** Passes a signal on to the agent's process. Resolves when the workflow has accepted it. */
  async signal(call: Call, agentId: string, name: string): Promise<{ revision: number }> {
    await this.#admitCaller(call);
    if (!isSignalName(name)) {
      throw new CodedError(
        'INVALID_REQUEST',
        `"name" must be one of ${SIGNALS.join(', ')}; the value is ${JSON.stringify(name)}`,
        {
          field: 'name',
          allowed: SIGNALS,
        },
      );
    }
    checkMayControl(call.caller, 'signal', await this.#row(agentId));
    return this.#lanes.send(agentId, null, () =>
      this.#workflows.command(agentId, 'signal', { name, request_id: call.request_id }, call.once?.id),
    );
  }

  /** The last lines of the agent's output; also of a deleted agent, until it is purged. */
  async logs(call: Call, agentId: string, options: LogOptions): Promise<string[]> {
    await this.#mayReadLogs(call, agentId);
    const lines = await this.#deps.logs.tail(agentId, tailOptions(options));
    if (lines.length > 0 || (await this.#deps.roster.get(agentId))) return lines;
    // Of a deleted agent there may be older output.
    if (options.sinceMs !== undefined && (await this.#deps.logs.tail(agentId, { lines: 1 })).length > 0) return lines;
    throw agentNotFound(agentId);
  }

  /** The last lines and every new one, until `call.signal` aborts or the agent is deleted. */
  async followLogs(call: Call, agentId: string, options: LogOptions): Promise<AsyncIterable<string>> {
    await this.#mayReadLogs(call, agentId);
    await this.#row(agentId);
    return this.#follow(agentId, tailOptions(options), call.signal ?? new AbortController().signal);
  }

  /** What became of the agent, newest first; also of a deleted one. `before`: only entries with a lower `id`. */
  async history(call: Call, agentId: string, page: { limit: number; before?: number }): Promise<HistoryEntry[]> {
    await this.#admitCaller(call);
    const entries = await this.#deps.roster.history(agentId, page);
    if (entries.length === 0 && page.before === undefined) await this.#row(agentId);
    return entries;
  }

  async #admitCaller(call: Call): Promise<void> {
    await admitCaller(call, this.#deps.liveGeneration);
  }

  async #row(agentId: string): Promise<RosterRow> {
    const row = await this.#deps.roster.get(agentId);
    if (row === undefined) throw agentNotFound(agentId);
    return row;
  }

  /** What is left of a deleted agent is for the admin: nobody can tell any more who had created it. */
  async #mayReadLogs(call: Call, agentId: string): Promise<void> {
    await this.#admitCaller(call);
    if (call.caller.kind === 'agent') checkMayControl(call.caller, 'read the logs of', await this.#row(agentId));
  }

  async *#follow(agentId: string, tail: TailOptions, signal: AbortSignal): AsyncGenerator<string> {
    const deleted = new AbortController();
    const unsubscribe = this.#deps.roster.subscribe((change) => {
      if (change.kind === 'removed' && change.agent_id === agentId) deleted.abort();
    });
    try {
      yield* tailAndFollow(this.#deps.logs, agentId, tail, AbortSignal.any([signal, deleted.signal]));
    } finally {
      unsubscribe();
    }
  }

  /** True if the agent is deleted, but its history is still there. */
  async #isOnlyRemembered(agentId: string): Promise<boolean> {
    const { roster } = this.#deps;
    if (await roster.get(agentId)) return false;
    return (await roster.history(agentId, { limit: 1 })).length > 0;
  }

  async #removeSchedules(agentId: string): Promise<void> {
    try {
      await this.#deps.schedules.removeOf(new Map([[agentId, { atMs: Date.now(), isForGood: true }]]));
    } catch (error) {
      // The watch of the schedules does it when the agent is gone.
      this.#deps.warn('cannot delete the schedules of an agent yet', { agent_id: agentId, error: String(error) });
    }
  }

  async #purgeAfter(result: CommandResult): Promise<void> {
    if (result.agent === null) return this.#purge(result.agent_id);
    void this.#purgeWhenGone(result.agent_id).catch((error: unknown) =>
      this.#deps.warn('cannot purge', { agent_id: result.agent_id, error: String(error) }),
    );
  }

  async #purgeWhenGone(agentId: string): Promise<void> {
    const watch = await watchAgent(this.#deps.roster, agentId);
    try {
      const gone = await watch.until(({ row }) => (row === undefined ? true : undefined), PURGE_WITHIN_MS);
      if (gone) await this.#purge(agentId);
    } finally {
      watch.close();
    }
  }

  async #purge(agentId: string): Promise<void> {
    if (await this.#deps.roster.get(agentId)) return; // there is a new one of that name
    await this.#deps.logs.purge(agentId);
    await this.#deps.roster.remove(agentId, { purge: true });
  }

  #isStale(): boolean {
    return !this.#deps.temporal.reachable();
  }
}

const notCleared = (agentId: string): CodedError =>
  new CodedError(
    'BUS_UNAVAILABLE',
    `The mailbox and state of the agent ${agentId} that was deleted are still being cleared`,
    { agent_id: agentId },
  );

const tailOptions = ({ tail, sinceMs }: LogOptions): TailOptions => ({
  lines: tail,
  ...(sinceMs === undefined ? {} : { sinceMs }),
});

/** A delete that takes longer is purged by asking for it again. */
const PURGE_WITHIN_MS = 3_600_000;
