import { isDeepStrictEqual } from 'node:util';
import type { Checks, Verdict } from '../contract/definition.ts';
import { HEALTHY, type HealthFinding, type ProbePolicy, type ProbeResult } from '../domain/health.ts';
import { describeOverrun, sampled, WITHIN_LIMITS, type LimitState, type Resources } from '../domain/limits.ts';
import { differs } from '../domain/tree-usage.ts';
import type { Heartbeat, ProcessFacts } from '../ports/roster.ts';
import { HealthWatch } from './health-watch.ts';

/** One process life, as the custodian tells it. */
export interface Incarnation {
  generation: number;
  pid: number;
  startedAt: string;
  logPath: string;
  paused: boolean;
}

export interface ProcessWatchOptions {
  incarnation: Incarnation;
  checks: Checks;
  /** Whether an earlier daemon has found it ready. */
  wasReady: boolean;
  /** Null if nothing could be found out. */
  ask: (probe: ProbePolicy) => Promise<ProbeResult | null>;
  /** `facts` has changed. What is not urgent may wait for more. */
  onChange: (urgent: boolean) => void;
  /** The process is to be ended; reported again until it has. */
  onVerdict: (verdict: Extract<Verdict, { kind: 'unhealthy' | 'over_limit' }>) => void;
  /** People should know. */
  onNotice: (summary: string) => void;
}

/** How often a beat that says nothing new is reported. */
const BEAT_TOLD_MS = 15_000;

/** All that the host knows of one process, and the checks and limits that it holds it to. */
export class ProcessWatch {
  private readonly options: ProcessWatchOptions;
  private incarnation: Incarnation;
  private checks: Checks;
  private health: HealthWatch | undefined;
  private finding: HealthFinding = HEALTHY;
  private limitState: LimitState = WITHIN_LIMITS;
  private resources: Resources | undefined;
  private heartbeat: Heartbeat | undefined;
  private stuck: ProcessFacts['stuck'];
  private beatToldMs = -Infinity;
  private isStopping = false;
  private isClosed = false;

  constructor(options: ProcessWatchOptions) {
    this.options = options;
    this.incarnation = options.incarnation;
    this.checks = options.checks;
    this.watchHealth(options.wasReady);
  }

  get generation(): number {
    return this.incarnation.generation;
  }

  get isLimited(): boolean {
    return this.checks.limits !== null;
  }

  /** How often it has to say that it lives; null if it need not. */
  get heartbeatMs(): number | null {
    const liveness = this.checks.health?.liveness;
    return liveness?.kind === 'heartbeat' ? liveness.periodMs : null;
  }

  get facts(): ProcessFacts {
    const { generation, pid, startedAt, logPath, paused } = this.incarnation;
    return {
      generation,
      pid,
      started_at: startedAt,
      ready: this.finding.ready,
      paused,
      log_path: logPath,
      last_exit: null,
      ...(this.health ? { health: { state: this.finding.health, reason: this.finding.reason } } : {}),
      ...(this.stuck ? { stuck: this.stuck } : {}),
      ...(this.resources ? { resources: this.resources } : {}),
      ...(this.heartbeat ? { heartbeat: this.heartbeat } : {}),
    };
  }

  /** Its definition may have changed without a new process. */
  follow(checks: Checks): void {
    if (isDeepStrictEqual(checks, this.checks)) return;
    const isOther = !isDeepStrictEqual(checks.health, this.checks.health);
    this.checks = checks;
    this.limitState = WITHIN_LIMITS;
    if (isOther) this.watchHealth(this.finding.ready);
    this.options.onChange(true);
  }

  /** The same process, seen again: by another custodian, after a pause or a resume. */
  update(incarnation: Incarnation): void {
    const { paused } = this.incarnation;
    this.incarnation = incarnation;
    if (incarnation.paused !== paused) this.setActive();
  }

  hold(paused: boolean): void {
    this.update({ ...this.incarnation, paused });
  }

  /** What it does from now on, it does in order to leave. */
  stopping(): void {
    this.isStopping = true;
    this.setActive();
  }

  /** This process of its tree cannot be killed; told again as long as it is so. */
  noteStuck(stuck: NonNullable<ProcessFacts['stuck']>): void {
    if (isDeepStrictEqual(stuck, this.stuck)) return;
    this.stuck = stuck;
    this.options.onChange(true);
  }

  beat(heartbeat: Heartbeat): void {
    const before = this.heartbeat;
    this.heartbeat = heartbeat;
    this.health?.beat();
    const isNews =
      before === undefined ||
      !isDeepStrictEqual([before.progress, before.usage], [heartbeat.progress, heartbeat.usage]) ||
      performance.now() - this.beatToldMs >= BEAT_TOLD_MS;
    if (!isNews) return;
    this.beatToldMs = performance.now();
    this.options.onChange(false);
  }

  sample(resources: Resources, nowMs: number): void {
    if (differs(this.resources, resources)) {
      this.resources = resources;
      this.options.onChange(false);
    }
    const { limits } = this.checks;
    if (limits === null || !this.isActive) return;
    const { state, overrun } = sampled(limits, this.limitState, resources, nowMs);
    this.limitState = state;
    if (overrun === null) return;
    const { action } = limits;
    if (action === 'notify') this.options.onNotice(describeOverrun(overrun));
    else this.options.onVerdict({ kind: 'over_limit', overrun, action });
  }

  /** Whether a verdict of this kind still holds. */
  isCondemned(kind: Verdict['kind']): boolean {
    if (!this.isActive) return false;
    return kind === 'unhealthy' ? this.finding.unhealthy !== null : Object.keys(this.limitState.overSinceMs).length > 0;
  }

  close(): void {
    this.isClosed = true;
    this.health?.suspend();
  }

  private get isActive(): boolean {
    return !this.isClosed && !this.isStopping && !this.incarnation.paused;
  }

  private setActive(): void {
    if (this.isActive) this.health?.resume();
    else this.health?.suspend();
    this.limitState = WITHIN_LIMITS;
  }

  private watchHealth(wasReady: boolean): void {
    this.health?.suspend();
    this.health = undefined;
    this.finding = HEALTHY;
    const { health: policy } = this.checks;
    if (policy === null) return;
    const ageMs = Math.max(0, Date.now() - Date.parse(this.incarnation.startedAt));
    const { ask } = this.options;
    const health = new HealthWatch({ policy, ageMs, wasReady, ask, onFinding: (finding) => this.found(finding) });
    this.health = health;
    this.finding = health.finding;
    if (this.isActive) health.start();
  }

  private found(finding: HealthFinding): void {
    const before = this.finding;
    this.finding = finding;
    if (!isDeepStrictEqual(before, finding)) this.options.onChange(true);
    if (finding.unhealthy !== null && this.isActive)
      this.options.onVerdict({ kind: 'unhealthy', ...finding.unhealthy });
  }
}
