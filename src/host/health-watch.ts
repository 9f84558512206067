import {
  findHealth,
  healthStep,
  newHealth,
  probeOf,
  probesToAsk,
  silenceEndsMs,
  type HealthEvent,
  type HealthFinding,
  type HealthPolicy,
  type HealthState,
  type Probe,
  type ProbePolicy,
  type ProbeResult,
} from '../domain/health.ts';

export interface HealthWatchOptions {
  policy: HealthPolicy;
  /** How long the process has been running. */
  ageMs: number;
  /** Whether an earlier daemon has found it ready. */
  wasReady: boolean;
  /** Null if nothing could be found out. */
  ask: (probe: ProbePolicy) => Promise<ProbeResult | null>;
  /** What holds now; called after each look, also when nothing has changed. */
  onFinding: (finding: HealthFinding) => void;
}

/** Readiness is asked more often until it is first there, so that those who wait for it do not wait longer than they must. */
const IMPATIENT_MS = 500;
/** A process that is to be ended is reported again after this, until it has ended. */
const AGAIN_MS = 10_000;
/** A timer that comes later than this tells of a daemon that could not hear. */
const LATE_MS = 500;
/** setTimeout takes at most 2^31 - 1 ms; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Asks one process how it is, as its policy says, until it is closed. */
export class HealthWatch {
  private readonly options: HealthWatchOptions;
  private readonly timers = new Map<Probe | 'silence', NodeJS.Timeout>();
  /** When a probe is to be asked next. */
  private readonly dueMs = new Map<Probe, number>();
  private state: HealthState;
  private readonly startedMs: number;
  /** Answers to what was asked before a suspension are not waited for. */
  private round = 0;
  private isSuspended = true;

  constructor(options: HealthWatchOptions) {
    this.options = options;
    this.startedMs = performance.now() - options.ageMs;
    this.state = newHealth(performance.now(), options.wasReady);
  }

  start(): void {
    this.isSuspended = false;
    this.schedule();
    this.tell();
  }

  /** Nothing is asked and nothing expected, until `resume`. */
  suspend(): void {
    this.isSuspended = true;
    this.round += 1;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.dueMs.clear();
  }

  resume(): void {
    if (!this.isSuspended) return;
    this.isSuspended = false;
    this.take({ kind: 'continued' });
  }

  beat(): void {
    if (!this.isSuspended) this.take({ kind: 'beat' });
  }

  get finding(): HealthFinding {
    return findHealth(this.options.policy, this.state, performance.now());
  }

  private take(event: HealthEvent): void {
    this.state = healthStep(this.options.policy, this.state, event, performance.now());
    this.schedule();
    this.tell();
  }

  private tell(): void {
    this.options.onFinding(this.finding);
  }

  /** Starts what is due and not under way; what is not to be asked any more ends by itself. */
  private schedule(): void {
    const { policy } = this.options;
    for (const name of probesToAsk(policy, this.state)) {
      const probe = probeOf(policy, name);
      if (probe === null || this.timers.has(name)) continue;
      const dueMs = this.dueMs.get(name) ?? this.startedMs + probe.initialDelayMs + this.spreadMs(probe);
      this.after(name, Math.max(0, dueMs - performance.now()), () => this.ask(name, probe));
    }
    const silenceMs = silenceEndsMs(policy, this.state);
    if (silenceMs === null) return;
    const leftMs = silenceMs - performance.now();
    const inMs = leftMs > 0 ? leftMs : AGAIN_MS;
    const dueMs = performance.now() + inMs;
    this.after('silence', inMs, () => {
      this.timers.delete('silence');
      // The daemon itself stood still: beats may have come that it has not read yet.
      if (performance.now() - dueMs > LATE_MS) return this.take({ kind: 'continued' });
      this.schedule();
      this.tell();
    });
  }

  /** A fleet that one daemon takes over from another is not asked all at once. */
  private spreadMs({ periodMs, initialDelayMs }: ProbePolicy): number {
    const isDue = this.options.ageMs > IMPATIENT_MS + initialDelayMs;
    return isDue ? this.options.ageMs - initialDelayMs + Math.random() * Math.min(periodMs, 1000) : 0;
  }

  private async ask(name: Probe, probe: ProbePolicy): Promise<void> {
    const { round } = this;
    const askedMs = performance.now();
    const result = await this.options.ask(probe);
    if (round !== this.round) return;
    const isImpatient = name === 'readiness' && this.state.readiness.passing === null && result?.ok !== true;
    const periodMs = isImpatient ? Math.min(probe.periodMs, IMPATIENT_MS) : probe.periodMs;
    this.timers.delete(name);
    this.dueMs.set(name, askedMs + periodMs);
    if (result === null) this.schedule();
    else this.take({ kind: 'result', probe: name, result });
  }

  private after(name: Probe | 'silence', ms: number, run: () => void | Promise<void>): void {
    clearTimeout(this.timers.get(name));
    const timer = setTimeout(() => void run(), Math.min(ms, LONGEST_MS));
    timer.unref();
    this.timers.set(name, timer);
  }
}
