/**
 * The host part of the daemon: turns what Temporal asks for into calls to the custodian, and what the custodian sees
 * into verdicts for Temporal and facts for the roster.
 */
import type { LookUp, ProcessRequest, RunProcessRequest, StopRequest } from '../contract/activities.ts';
import type { Definition, Verdict } from '../contract/definition.ts';
import { stopActivityId } from '../contract/names.ts';
import type { CustodyEntry, Events, SpawnParams } from '../custodian/protocol.ts';
import { isReserved } from '../custodian/protocol.ts';
import type { Custody, ExitRecord } from '../domain/custody.ts';
import { describeExit } from '../domain/reasons.ts';
import type { LogSource } from '../ports/log-source.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import type { CustodyLink } from './custody-link.ts';
import type { Doorbell } from './doorbell.ts';
import { failpoint } from './failpoint.ts';
import type { OrderHandover } from './order-handover.ts';
import type { ExecContext } from './probe-checks.ts';
import { Watches } from './watches.ts';

/** How much of a log stands beside the exit that it explains. */
const LOG_TAIL_LINES = 20;

export interface HostOptions {
  custody: CustodyLink;
  doorbell: Doorbell;
  orders: Pick<OrderHandover, 'of'>;
  roster: Roster;
  logs: LogSource;
  /** Makes the spawn call of an incarnation: environment, references, log limits. */
  prepare: (request: RunProcessRequest, definition: Definition) => Promise<SpawnParams>;
  /** Where and with what an agent's own check programs run. */
  execContext: (agentId: string, generation: number) => Promise<ExecContext>;
  /** An incarnation has ended; what it held is free. */
  onEnd: (agentId: string, generation: number) => void;
  /** No activity waited for the end of this generation. */
  onUnheard: (agentId: string, generation: number) => Promise<void>;
  onTrouble: (message: string, error: unknown) => void;
}

export class Host {
  private readonly options: HostOptions;
  private readonly watches: Watches;
  /** Callers that wait for an answer of the custodian learn here what has ended meanwhile: exits overtake answers. */
  private readonly listeners = new Set<Map<string, number>>();
  /** Stop activities that wait for the end of `<agent>/<generation>`. */
  private readonly stops = new Map<string, Set<string>>();
  private readonly unsubscribe: () => void;

  constructor(options: HostOptions) {
    this.options = options;
    const { custody, doorbell, roster, execContext, onTrouble } = options;
    this.watches = new Watches({
      roster,
      doorbell,
      execContext,
      onTrouble,
      trees: async (agents) => (await custody.call('trees', { agents })).trees,
    });
    // Before its workflow closes, hence before there can be another agent of that name, which would take the last exit of
    // this one for its own.
    this.unsubscribe = roster.subscribe((change) => {
      if (change.kind === 'removed' && change.closing) this.forget(change.agent_id);
    });
  }

  custodyOf(agentId: string): Promise<Custody> {
    return this.options.custody.call('custody', { agent: agentId });
  }

  /**
   * For the agent's workflow, after any stop or delete that may have led to it has been handed over.
   * @returns `isOrdered`: one was handed over only now, and the workflow may not have processed it yet
   */
  async custodyToTell(agentId: string): Promise<{ custody: Custody; isOrdered: boolean }> {
    const custody = await this.custodyOf(agentId);
    return { custody, isOrdered: await this.options.orders.of(agentId) };
  }

  /** Of the process that lives. The custodian knows of one before this host has noted it, and is asked only then. */
  liveGeneration(agentId: string): number | Promise<number | undefined> {
    return this.watches.generationOf(agentId) ?? this.custodyOf(agentId).then((custody) => custody.live?.generation);
  }

  /** Whether this very process lives, as far as this host has noted it. */
  isLive(agentId: string, generation: number): boolean {
    return this.watches.generationOf(agentId) === generation;
  }

  async lookUp(agentId: string): Promise<LookUp> {
    const [custody, row] = await Promise.all([this.custodyOf(agentId), this.options.roster.get(agentId)]);
    return { custody, sequence: row?.decision.sequence ?? 0 };
  }

  /**
   * Takes over a process that runs already, if it is still the one that lives. This host may not know of it: the custodian
   * also carries out a start whose answer came too late for whoever had asked.
   */
  async adopt(agentId: string, generation: number): Promise<void> {
    if (!this.watches.get(agentId, generation)) return this.takeOverUnknown(agentId, generation);
    await this.watches.record(agentId);
    this.watches.restartBeat(agentId);
  }

  async spawn(request: RunProcessRequest, definition: Definition): Promise<void> {
    const params = await this.options.prepare(request, definition);
    const { agent, generation } = params;
    await this.listening(async (hasEnded) => {
      const spawned = await this.options.custody.call('spawn', params);
      if (hasEnded(agent, generation)) return;
      const { pid, started_at: startedAt, log_path: logPath, custody } = spawned;
      const incarnation = { generation, pid, startedAt, logPath, paused: custody.live?.paused ?? false };
      this.watches.add(agent, incarnation, definition.checks ? { checks: definition.checks } : {});
    });
    await this.watches.record(agent);
  }

  /** @returns the custody if the incarnation is gone for good; undefined if `activityId` is completed when it is */
  async stop(request: StopRequest, activityId: string): Promise<Custody | undefined> {
    this.stopsOf(request.agent_id, request.generation).add(activityId);
    this.watches.get(request.agent_id, request.generation)?.stopping();
    const result = await this.options.custody.call('stop', {
      agent: request.agent_id,
      generation: request.generation,
      cause: request.cause,
      ...(request.why === undefined ? {} : { why: request.why }),
      signal: request.stop.signal,
      grace_ms: request.stop.graceMs,
    });
    if (!result.done) return undefined;
    this.stops.delete(key(request.agent_id, request.generation));
    await this.options.orders.of(request.agent_id);
    return result.custody;
  }

  pause(request: ProcessRequest): Promise<Custody> {
    return this.hold('pause', request);
  }

  resume(request: ProcessRequest): Promise<Custody> {
    return this.hold('resume', request);
  }

  signal(agentId: string, generation: number, signal: string): Promise<{ delivered: boolean }> {
    return this.options.custody.call('signal', { agent: agentId, generation, signal });
  }

  /** Looks at what lives: probes and samples. From `startWatching` to `stopWatching`. */
  startWatching(): void {
    this.watches.start();
  }

  stopWatching(): Promise<void> {
    return this.watches.stop();
  }

  /** An agent has said that it lives; see `Watches.heartbeat`. */
  heartbeat(...said: Parameters<Watches['heartbeat']>): ReturnType<Watches['heartbeat']> {
    return this.watches.heartbeat(...said);
  }

  /** A process of the tree outlives SIGKILL. */
  onStuck({ agent, generation, pid, kernel_state }: Events['stuck']): void {
    this.watches.get(agent, generation)?.noteStuck({ pid, kernel_state });
  }

  /** The custodian tells that an incarnation has ended. Rings first: what waits for the verdict waits for a restart. */
  onExit({ agent, exit, custody }: Events['exit']): void {
    if (isReserved(agent)) return;
    failpoint('daemon.before-ring');
    for (const heard of this.listeners) heard.set(agent, exit.generation);
    this.watches.remove(agent, exit.generation);
    void this.ring(agent, exit);
    this.options.onEnd(agent, exit.generation);
    const id = key(agent, exit.generation);
    for (const activityId of this.stops.get(id) ?? []) void this.options.doorbell.ringStop(agent, activityId, custody);
    this.stops.delete(id);
    this.recordEnd(agent, exit).catch((error: unknown) => this.options.onTrouble('Cannot record an exit', error));
  }

  /**
   * Brings the host's view in line with the custodian's list: at the daemon's start, and after a custodian's death.
   * Ends that the workflows have not consumed are reported to them.
   */
  sync(handled: (agentId: string) => number): Promise<void> {
    return this.listening(async (hasEnded) => {
      const { entries } = await this.options.custody.call('list', {});
      const rows = new Map((await this.options.roster.list()).map((row) => [row.agent_id, row]));
      await Promise.all(
        entries.map(async (entry) => {
          const { agent, custody, live } = entry;
          const exit = custody.last_exit;
          if (isReserved(agent)) return;
          if (live && !hasEnded(agent, live.generation)) return this.takeOver(entry, live, rows.get(agent));
          if (live || !exit || hasEnded(agent, exit.generation)) return;
          this.watches.remove(agent, exit.generation);
          if (exit.generation > handled(agent)) this.onExit({ agent, exit, custody });
        }),
      );
    });
  }

  /** Waits until all ends are reported, at most `ms`. */
  settle(ms: number): Promise<void> {
    return this.options.doorbell.settle(ms);
  }

  close(): void {
    this.unsubscribe();
    void this.watches.stop();
  }

  private stopsOf(agentId: string, generation: number): Set<string> {
    const id = key(agentId, generation);
    const waiting = this.stops.get(id) ?? new Set();
    this.stops.set(id, waiting);
    return waiting;
  }

  private takeOverUnknown(agentId: string, generation: number): Promise<void> {
    return this.listening(async (hasEnded) => {
      const row = await this.options.roster.get(agentId);
      const { entries } = await this.options.custody.call('list', {});
      const entry = entries.find(({ agent }) => agent === agentId);
      if (entry?.live?.generation !== generation || hasEnded(agentId, generation)) return;
      await this.takeOver(entry, entry.live, row);
    });
  }

  private async takeOver(
    { agent, custody }: CustodyEntry,
    live: NonNullable<CustodyEntry['live']>,
    row: RosterRow | undefined,
  ): Promise<void> {
    const { generation, pid, started_at: startedAt, log_path: logPath } = live;
    const incarnation = { generation, pid, startedAt, logPath, paused: custody.live?.paused ?? false };
    this.watches.add(agent, incarnation, knownOf(row, generation));
    if (live.stopping) {
      this.watches.get(agent, generation)?.stopping();
      this.stopsOf(agent, generation).add(stopActivityId(generation));
    }
    await this.watches.record(agent);
  }

  /** `hasEnded` tells whether the end of this generation, or of a later one, was reported since. */
  private async listening(
    ask: (hasEnded: (agentId: string, generation: number) => boolean) => Promise<void>,
  ): Promise<void> {
    const heard = new Map<string, number>();
    this.listeners.add(heard);
    try {
      await ask((agentId, generation) => (heard.get(agentId) ?? 0) >= generation);
    } finally {
      this.listeners.delete(heard);
    }
  }

  private async ring(agent: string, exit: ExitRecord): Promise<void> {
    const verdict: Verdict = { kind: 'exited', exit };
    if (await this.options.doorbell.ringRun(agent, exit.generation, verdict)) return;
    this.options
      .onUnheard(agent, exit.generation)
      .catch((error: unknown) => this.options.onTrouble(`Cannot tell the end of ${agent}`, error));
  }

  /** What is missed here, the reconciliation makes good. */
  private forget(agentId: string): void {
    this.options.custody.callUntilAnswered('forget', { agent: agentId }).catch((error: unknown) => {
      this.options.onTrouble(`Cannot forget the last exit of ${agentId}, which was deleted`, error);
    });
  }

  /** What the custodian then says of the process is shown, whatever was asked for. */
  private async hold(method: 'pause' | 'resume', { agent_id: agent, generation }: ProcessRequest): Promise<Custody> {
    const custody = await this.options.custody.call(method, { agent, generation });
    const { live } = custody;
    if (live) {
      this.watches.get(agent, live.generation)?.hold(live.paused ?? false);
      await this.watches.record(agent);
    }
    return custody;
  }

  private async recordEnd(agentId: string, exit: ExitRecord): Promise<void> {
    const lines = await this.options.logs.tail(agentId, { lines: LOG_TAIL_LINES, generation: exit.generation });
    await this.options.roster.recordProcess(agentId, {
      generation: exit.generation,
      pid: null,
      started_at: null,
      ready: false,
      log_path: null,
      last_exit: { ...exit, reason: describeExit(exit), log_tail: lines.join('\n') },
    });
  }
}

/** What an earlier daemon has recorded of this process. */
function knownOf(row: RosterRow | undefined, generation: number): Parameters<Watches['add']>[2] {
  if (row?.decision.generation !== generation) return {};
  const { checks } = row.decision;
  const wasReady = row.process?.generation === generation && row.process.pid !== null && row.process.ready;
  return { wasReady, ...(checks ? { checks } : {}) };
}

const key = (agentId: string, generation: number): string => `${agentId}/${generation}`;
