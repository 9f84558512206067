import type { Checks, Verdict } from '../contract/definition.ts';
import type { ProbePolicy, ProbeResult } from '../domain/health.ts';
import type { Heartbeat, Roster, RosterRow } from '../ports/roster.ts';
import { Beats } from './beats.ts';
import type { Doorbell } from './doorbell.ts';
import { runCheck, type ExecContext } from './probe-checks.ts';
import { ProcessWatch, type Incarnation } from './process-watch.ts';
import { Samples, type SampleTarget } from './samples.ts';
import { readProcesses } from './tree-reader.ts';

export interface WatchesOptions {
  roster: Roster;
  doorbell: Doorbell;
  /** The pids of these agents' trees. */
  trees: (agentIds: string[]) => Promise<Record<string, number[]>>;
  /** Where and with what an agent's own check programs run. */
  execContext: (agentId: string, generation: number) => Promise<ExecContext>;
  onTrouble: (message: string, error: unknown) => void;
}

/** What can wait, such as what a tree takes, is recorded together this much later. */
const SOON_MS = 1_000;
export const NO_CHECKS: Checks = { health: null, limits: null };

/** All processes that live on this host: their checks, their samples, and what the roster shows of them. */
export class Watches {
  private readonly options: WatchesOptions;
  private readonly beats: Beats;
  private readonly samples: Samples;
  private readonly watches = new Map<string, ProcessWatch>();
  private readonly changed = new Set<string>();
  /** Agents of which a verdict is on its way. */
  private readonly ringing = new Set<string>();
  private soon: NodeJS.Timeout | undefined;
  private unsubscribe: () => void = () => undefined;

  constructor(options: WatchesOptions) {
    this.options = options;
    this.beats = new Beats((agentId) => this.beatOf(agentId));
    this.samples = new Samples({
      targets: () => this.targets(),
      trees: options.trees,
      read: readProcesses,
      onSample: ({ agentId, generation }, resources, nowMs) => this.get(agentId, generation)?.sample(resources, nowMs),
      onTrouble: options.onTrouble,
    });
  }

  start(): void {
    this.unsubscribe = this.options.roster.subscribe((change) => {
      if (change.kind === 'row') this.follow(change.row);
    });
    this.samples.start();
  }

  async stop(): Promise<void> {
    this.unsubscribe();
    clearTimeout(this.soon);
    this.beats.stopAll();
    for (const watch of this.watches.values()) watch.close();
    await this.samples.stop();
  }

  /** The watch over this very process. */
  get(agentId: string, generation: number): ProcessWatch | undefined {
    const watch = this.watches.get(agentId);
    return watch?.generation === generation ? watch : undefined;
  }

  /** Of the process that lives; undefined if none does, or it was not noted yet. */
  generationOf(agentId: string): number | undefined {
    return this.watches.get(agentId)?.generation;
  }

  /** A process that lives, new or seen again. */
  add(agentId: string, incarnation: Incarnation, known: { checks?: Checks; wasReady?: boolean } = {}): void {
    const before = this.get(agentId, incarnation.generation);
    if (before) before.update(incarnation);
    else {
      this.watches.get(agentId)?.close();
      this.watches.set(agentId, this.watchOf(agentId, incarnation, known));
    }
    this.beats.start(agentId);
  }

  /** Its end was seen, or that of a later one. */
  remove(agentId: string, generation: number): void {
    const watch = this.watches.get(agentId);
    if (!watch || watch.generation > generation) return;
    watch.close();
    this.watches.delete(agentId);
    this.beats.stop(agentId);
  }

  async record(agentId: string): Promise<void> {
    this.changed.delete(agentId);
    const watch = this.watches.get(agentId);
    if (watch) await this.options.roster.recordProcess(agentId, watch.facts);
  }

  /** The host goes on telling the server of it. */
  restartBeat(agentId: string): void {
    this.beats.start(agentId);
  }

  /** An agent has said that it lives. @returns undefined if this generation, or any, does not live here */
  heartbeat(
    agentId: string,
    said: Omit<Heartbeat, 'at'>,
    generation?: number,
  ): { generation: number; period_ms: number | null } | undefined {
    const watch = this.watches.get(agentId);
    if (!watch || (generation !== undefined && watch.generation !== generation)) return undefined;
    watch.beat({ at: new Date().toISOString(), ...said });
    return { generation: watch.generation, period_ms: watch.heartbeatMs };
  }

  private follow({ agent_id: agentId, decision }: RosterRow): void {
    const { checks, generation } = decision;
    if (checks) this.get(agentId, generation)?.follow(checks);
  }

  private watchOf(
    agentId: string,
    incarnation: Incarnation,
    { checks = NO_CHECKS, wasReady = false }: { checks?: Checks; wasReady?: boolean },
  ): ProcessWatch {
    const { generation } = incarnation;
    return new ProcessWatch({
      incarnation,
      checks,
      wasReady,
      ask: this.asker(agentId, generation),
      onChange: (urgent) => this.note(agentId, generation, urgent),
      onVerdict: (verdict) => void this.ring(agentId, generation, verdict),
      onNotice: (summary) => void this.options.doorbell.notify(agentId, { generation, summary }),
    });
  }

  /** Asks as the policy says; null if nothing could be found out. */
  private asker(agentId: string, generation: number): (probe: ProbePolicy) => Promise<ProbeResult | null> {
    let context: ExecContext | undefined;
    return async ({ check, timeoutMs }) => {
      try {
        return await runCheck(check, timeoutMs, async () => {
          context ??= await this.options.execContext(agentId, generation);
          return context;
        });
      } catch (error) {
        // A template that has become unusable says nothing about a process that runs.
        this.options.onTrouble(`Cannot run a check of ${agentId}`, error);
        return null;
      }
    };
  }

  private note(agentId: string, generation: number, urgent: boolean): void {
    if (!this.get(agentId, generation)) return;
    if (urgent) return this.recordNow(agentId);
    this.changed.add(agentId);
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      for (const changed of this.changed) this.recordNow(changed);
    }, SOON_MS).unref();
  }

  private recordNow(agentId: string): void {
    this.record(agentId).catch((error: unknown) => this.options.onTrouble(`Cannot record ${agentId}`, error));
  }

  /** One delivery per agent at a time; a verdict skipped now is found again by the next check. */
  private async ring(agentId: string, generation: number, verdict: Verdict): Promise<void> {
    if (this.ringing.has(agentId)) return;
    this.ringing.add(agentId);
    const isTrue = (): boolean => this.get(agentId, generation)?.isCondemned(verdict.kind) ?? false;
    try {
      await this.options.doorbell.ringRun(agentId, generation, verdict, isTrue);
    } finally {
      this.ringing.delete(agentId);
    }
  }

  private targets(): SampleTarget[] {
    return [...this.watches].map(([agentId, { generation, isLimited }]) => ({ agentId, generation, isLimited }));
  }

  private beatOf(agentId: string): void {
    const watch = this.watches.get(agentId);
    if (!watch) return this.beats.stop(agentId);
    const { pid, started_at, ready, paused, health, resources } = watch.facts;
    const details = { pid, started_at, ready, paused, health, resources };
    void this.options.doorbell.beat(agentId, watch.generation, details);
  }
}
