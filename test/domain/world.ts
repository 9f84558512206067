import { birth, resume, snapshot, step } from '../../src/domain/agent-reducer.ts';
import type { AgentEffect, AgentEvent, AgentState, Rules } from '../../src/domain/agent-state.ts';
import type { Custody, ExitCause, ExitRecord } from '../../src/domain/custody.ts';
import type { Trouble } from '../../src/domain/incidents/agent-trouble.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import type { Dependencies } from '../../src/domain/dependencies.ts';
import type { RestartPolicy } from '../../src/domain/restart-policy.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';

type WithoutGeneration<Event> = Event extends unknown ? Omit<Event, 'generation'> : never;
/** What a host may find of a process. */
type Finding = WithoutGeneration<Extract<AgentEvent, { kind: 'unhealthy' | 'over-limit' }>>;

/**
 * A small model of everything around the reducer: a custodian with its fence, activities that run late, twice or never,
 * messages that wait in a queue. Tests drive it at random and look whether the promises hold.
 */
export class World {
  nowMs = 1_000_000;
  state: AgentState;
  queue: AgentEvent[] = [];
  fence = 0;
  live: { generation: number; startedMs: number; paused?: true } | undefined;
  lastExit: ExitRecord | undefined;
  runs = new Set<number>();
  stops = new Set<number>();
  /** Causes of stops that were asked for; the first one of a generation counts. */
  causes = new Map<number, ExitCause>();
  /** The latest pause or resume that was asked for and not carried out yet: they go one after the other. */
  hold: { generation: number; paused: boolean } | undefined;
  admissions = new Set<number>();
  wakeAtMs: number | undefined;
  /** What it depends on, and the wait for it that is open. */
  dependencies: Dependencies = {};
  wait: number | undefined;
  /** Every generation that was ever spawned, and the times. */
  spawned: { generation: number; atMs: number }[] = [];
  exits: ExitRecord[] = [];
  incidents: AgentEffect[] = [];
  /** Fail-stops that were decided, that are asked for now, and that were carried out; by their names. */
  failStops = { decided: new Set<number>(), asked: new Set<number>(), done: new Set<number>() };
  /** Questions to the custodian that are under way, each with what had been dealt with then. */
  lookUps: number[] = [];
  notices: string[] = [];
  troubles: Trouble[] = [];
  noticesOver: string[] = [];
  policy: RestartPolicy;
  /** What must never happen, in words; see `perform` and `repeatOldNews`. */
  violations: string[] = [];
  private readonly seen: Custody[] = [];

  constructor(policy: RestartPolicy = BUILT_IN_FAULT_DOMAINS.default, keepOnFailure = true, depends = false) {
    this.policy = policy;
    if (depends) this.dependencies = { store: 'ready' };
    const born = birth({ keepOnFailure });
    this.state = born.state;
    this.perform(born.effects);
  }

  get rules(): Rules {
    return { launchDigest: 'v1', restart: this.policy, stop: DEFAULT_STOP, dependencies: this.dependencies };
  }

  custody(): Custody {
    return {
      fence: this.fence,
      ...(this.live
        ? { live: { generation: this.live.generation, pid: 4711, ...(this.live.paused && { paused: true }) } }
        : {}),
      ...(this.lastExit ? { last_exit: this.lastExit } : {}),
    };
  }

  /** Puts an event in and takes all out. */
  send(...events: AgentEvent[]): void {
    this.queue.push(...events);
    for (let event = this.queue.shift(); event; event = this.queue.shift()) {
      const next = step(this.state, event, { nowMs: this.nowMs, random01: 0.5 });
      this.state = JSON.parse(JSON.stringify(next.state)) as AgentState;
      this.perform(next.effects);
      const { handled, generation } = this.state;
      if (handled > generation) this.violations.push(`${handled} handled, but only ${generation} asked for`);
    }
  }

  perform(effects: AgentEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'admit') this.admissions.add(effect.admission);
      if (effect.kind === 'run') {
        const { generation } = effect;
        if (this.live && this.live.generation !== generation)
          this.violations.push(`run ${generation} while ${this.live.generation} lives`);
        if (generation <= this.state.handled)
          this.violations.push(`run ${generation} although its end has been dealt with`);
        this.runs.add(effect.generation);
      }
      // What is below the fence is only asked after: its end may not have been told yet.
      if (effect.kind === 'run' && this.state.desired === 'paused' && effect.generation > this.fence)
        this.violations.push(`run ${effect.generation} although it is to be paused`);
      if (effect.kind === 'stop') {
        this.stops.add(effect.generation);
        if (!this.causes.has(effect.generation)) this.causes.set(effect.generation, effect.cause);
      }
      if (effect.kind === 'pause' || effect.kind === 'resume')
        this.hold = { generation: effect.generation, paused: effect.kind === 'pause' };
      if (effect.kind === 'look-up') this.lookUps.push(this.state.handled);
      if (effect.kind === 'notice') {
        this.notices.push(effect.summary);
        this.troubles.push(effect.trouble);
      }
      if (effect.kind === 'notice-over') this.noticesOver.push(effect.summary);
      if (effect.kind === 'sleep') this.wakeAtMs = this.nowMs + effect.delayMs;
      if (effect.kind === 'cancel-sleep') this.wakeAtMs = undefined;
      if (effect.kind === 'await') this.wait = effect.wait;
      if (effect.kind === 'cancel-await') this.wait = undefined;
      if (effect.kind === 'fail-stop') {
        this.failStops.decided.add(effect.decidedAtMs);
        this.failStops.asked.add(effect.decidedAtMs);
      }
      if (effect.kind.endsWith('-incident')) this.incidents.push(effect);
    }
  }

  admit(): void {
    for (const admission of this.admissions) {
      this.admissions.delete(admission);
      this.send({ kind: 'admitted', admission, rules: this.rules, custody: this.custody() });
    }
  }

  /** The input or its template turns out to be unusable. */
  refuse(): void {
    for (const admission of this.admissions) {
      this.admissions.delete(admission);
      const refusal = { code: 'TEMPLATE_NOT_FOUND', message: 'no such template' };
      this.send({ kind: 'refused', admission, ...refusal, custody: this.custody() });
    }
  }

  /** The host gets a `runProcess`; it may get one for the same generation again later. */
  execute(generation: number, again = false): void {
    if (!again) this.runs.delete(generation);
    if (this.live?.generation === generation) return void this.runs.add(generation);
    if (this.lastExit?.generation === generation) return this.send({ kind: 'ended', exit: this.lastExit });
    if (this.live || this.fence >= generation) {
      return this.send({ kind: 'superseded', generation, custody: this.custody() });
    }
    this.fence = generation;
    this.live = { generation, startedMs: this.nowMs };
    this.spawned.push({ generation, atMs: this.nowMs });
    this.seen.push(this.custody());
    this.runs.add(generation);
  }

  /** The process ends. The doorbell may be lost: then only a reconciliation brings the news. */
  exit(code: number | null, options: { cause?: ExitCause; doorbell?: boolean; why?: string } = {}): void {
    if (!this.live) return;
    const { generation, startedMs } = this.live;
    this.lastExit = {
      generation,
      code,
      signal: null,
      cause: options.cause ?? 'self',
      at: new Date(this.nowMs).toISOString(),
      ran_ms: this.nowMs - startedMs,
      ...(options.why === undefined ? {} : { why: options.why }),
    };
    this.exits.push(this.lastExit);
    this.live = undefined;
    if (options.doorbell !== false && this.runs.delete(generation)) this.send({ kind: 'ended', exit: this.lastExit });
  }

  /** The custodian carries out a stop: the tombstone raises the fence, what lives below ends. Its answer may be lost. */
  carryOutStop(generation: number, { answered = true } = {}): void {
    this.stops.delete(generation);
    this.fence = Math.max(this.fence, generation);
    if (this.live && this.live.generation <= generation) {
      this.exit(0, { cause: this.causes.get(generation) ?? 'operator' });
    }
    if (answered) this.send({ kind: 'stop-settled', generation, custody: this.custody() });
  }

  /** The custodian carries out a pause or resume; a pause of what has not started forbids its start. */
  carryOutHold(): void {
    const { hold } = this;
    if (!hold) return;
    this.hold = undefined;
    if (this.live?.generation === hold.generation) {
      if (hold.paused) this.live.paused = true;
      else delete this.live.paused;
    } else if (hold.paused && !this.live) this.fence = Math.max(this.fence, hold.generation);
    this.send({ kind: 'held', generation: hold.generation, custody: this.custody() });
  }

  /** The host finds a process unhealthy: that is the end of its watch. What stands still is not looked at. */
  findUnhealthy(event: Finding): void {
    if (!this.live || this.live.paused || !this.runs.delete(this.live.generation)) return;
    this.send({ ...event, generation: this.live.generation } as AgentEvent);
  }

  /** Tells again what has been dealt with: it must change nothing. */
  repeatOldNews(): void {
    const before = JSON.stringify(this.state);
    for (const exit of this.exits) if (exit.generation <= this.state.handled) this.send({ kind: 'ended', exit });
    for (const custody of this.seen) {
      if (custody.live && custody.live.generation <= this.state.handled)
        this.send({ kind: 'custody-answered', custody });
    }
    if (JSON.stringify(this.state) !== before) this.violations.push(`old news changed ${before}`);
  }

  /** All that it depends on is there. */
  meet(): void {
    const { wait } = this;
    this.wait = undefined;
    if (wait !== undefined) this.send({ kind: 'dependencies-met', wait });
  }

  /** The host carries a fail-stop out once, however often it is asked for. */
  carryOutFailStops(): void {
    for (const decidedAtMs of this.failStops.asked) {
      this.failStops.asked.delete(decidedAtMs);
      this.failStops.done.add(decidedAtMs);
      this.send({ kind: 'fail-stopped', decidedAtMs });
    }
  }

  /** Somebody compares, and tells what he has seen; or what he has not. */
  tell(custody = this.custody()): void {
    this.send({ kind: 'custody-hinted', custody, isLater: false });
  }

  answerLookUps(): void {
    for (const handledBefore of this.lookUps.splice(0))
      this.send({ kind: 'custody-answered', custody: this.custody(), handledBefore });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    if (this.wakeAtMs !== undefined && this.nowMs >= this.wakeAtMs) {
      this.wakeAtMs = undefined;
      this.send({ kind: 'backoff-elapsed' });
    }
  }

  /** Not while a pause or resume is under way. */
  continueAsNew(): void {
    if (this.hold) return;
    this.runs.clear();
    this.stops.clear();
    this.admissions.clear();
    this.lookUps = [];
    this.failStops.asked.clear();
    this.wakeAtMs = undefined;
    this.wait = undefined;
    this.perform(resume(this.state, this.nowMs));
  }

  /** The workflow is lost, and made anew from what the roster had. */
  rebirth(saved = snapshot(this.state)): void {
    this.runs.clear();
    this.stops.clear();
    this.admissions.clear();
    this.hold = undefined;
    this.lookUps = [];
    this.failStops.asked.clear();
    this.wakeAtMs = undefined;
    this.wait = undefined;
    const born = birth({ keepOnFailure: true, restore: saved });
    this.state = born.state;
    this.perform(born.effects);
  }

  /** Lets everything that is under way come to its end. Processes run on. */
  drain(): void {
    for (let round = 0; round < 50; round += 1) {
      this.admit();
      for (const generation of [...this.runs]) if (this.live?.generation !== generation) this.execute(generation);
      for (const generation of [...this.stops]) this.carryOutStop(generation);
      this.carryOutHold();
      this.carryOutFailStops();
      this.tell();
      this.answerLookUps();
      const busy =
        this.admissions.size +
        this.stops.size +
        this.failStops.asked.size +
        (this.hold ? 1 : 0) +
        [...this.runs].filter((g) => g !== this.live?.generation).length;
      if (busy > 0) continue;
      if (this.wait !== undefined) {
        this.meet();
        continue;
      }
      if (this.wakeAtMs === undefined) return;
      this.advance(this.wakeAtMs - this.nowMs);
    }
    throw new Error(`Does not come to rest: ${JSON.stringify(this.state)}`);
  }
}
