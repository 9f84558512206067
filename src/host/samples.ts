import type { Resources } from '../domain/limits.ts';
import { treeUsage, type ProcessReading, type TreeReading } from '../domain/tree-usage.ts';
import { Periodic } from './periodic.ts';

/** How often trees with limits are sampled, and new ones until their processor time is known. */
const TICK_MS = 2_000;
/** How often all others are: for people and metrics. */
const SLOW_MS = 15_000;
/** Trees that are read at once, so that neither custodian nor daemon is held up. */
const CHUNK = 50;

export interface SampleTarget {
  agentId: string;
  generation: number;
  /** Whether it has limits. */
  isLimited: boolean;
}

export interface SamplesOptions {
  /** What lives now. */
  targets: () => SampleTarget[];
  /** The pids of these trees, by agent; from the custodian's pass, so that processes are looked for only once. */
  trees: (agentIds: string[]) => Promise<Record<string, number[]>>;
  read: (pids: readonly number[]) => Promise<ProcessReading[]>;
  /** `nowMs` of a clock that only goes forward. */
  onSample: (target: SampleTarget, resources: Resources, nowMs: number) => void;
  onTrouble: (message: string, error: unknown) => void;
  tickMs?: number;
}

interface Sampled {
  generation: number;
  reading: TreeReading;
  count: number;
}

/** Processor time and memory of all trees: often where there are limits, seldom elsewhere. */
export class Samples {
  private readonly options: SamplesOptions;
  private readonly periodic: Periodic;
  private last = new Map<string, Sampled>();

  constructor(options: SamplesOptions) {
    this.options = options;
    this.periodic = new Periodic(options.tickMs ?? TICK_MS, () => this.tick());
  }

  start(): void {
    this.periodic.start('now');
  }

  stop(): Promise<void> {
    return this.periodic.stop();
  }

  /** One look at what is due. */
  async pass(): Promise<void> {
    const targets = this.options.targets();
    const alive = new Set(targets.map(({ agentId }) => agentId));
    this.last = new Map([...this.last].filter(([agentId]) => alive.has(agentId)));
    const nowMs = performance.now();
    const due = targets.filter((target) => this.isDue(target, nowMs));
    for (let from = 0; from < due.length; from += CHUNK) await this.sample(due.slice(from, from + CHUNK));
  }

  private isDue({ agentId, generation, isLimited }: SampleTarget, nowMs: number): boolean {
    const last = this.last.get(agentId);
    if (isLimited || last?.generation !== generation || last.count < 2) return true;
    return nowMs - last.reading.atMs >= SLOW_MS;
  }

  private async sample(targets: SampleTarget[]): Promise<void> {
    const trees = await this.options.trees(targets.map(({ agentId }) => agentId));
    const all = await this.options.read(Object.values(trees).flat());
    const byPid = new Map(all.map((process) => [process.pid, process]));
    const atMs = performance.now();
    for (const target of targets) {
      const processes = (trees[target.agentId] ?? []).flatMap((pid) => byPid.get(pid) ?? []);
      if (processes.length === 0) continue; // it ends at this moment
      const reading = { atMs, processes };
      const known = this.last.get(target.agentId);
      const before = known?.generation === target.generation ? known : undefined;
      this.last.set(target.agentId, { generation: target.generation, reading, count: (before?.count ?? 0) + 1 });
      this.options.onSample(target, treeUsage(before?.reading ?? null, reading), atMs);
    }
  }

  private async tick(): Promise<void> {
    await this.pass().catch((error: unknown) => {
      // Without a custodian there is nothing to sample: it is said elsewhere, and another one is on its way.
      if (!isWithoutCustodian(error)) this.options.onTrouble('Cannot sample the agents', error);
    });
  }
}

const isWithoutCustodian = (error: unknown): boolean =>
  (error as { code?: unknown } | null)?.code === 'CUSTODIAN_UNAVAILABLE';
