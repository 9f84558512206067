/** Carries out the effects that the reducer returns. Each runs by itself and reports back with an event in the queue. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  log,
  proxyActivities,
  sleep,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { AdmissionActivities, ControlActivities, HostActivities } from '../../contract/activities.ts';
import type { Verdict } from '../../contract/definition.ts';
import { isErrorCode } from '../../contract/errors.ts';
import {
  ADMISSION_PREFIX,
  controlQueueOf,
  hostQueueOf,
  ORCHESTRATOR_QUEUE,
  runActivityId,
  stopActivityId,
  summaryOf,
  waitActivityId,
} from '../../contract/names.ts';
import type { AgentEffect, AgentEvent, FailStop, StopOrder } from '../../domain/agent-state.ts';
import type { Custody } from '../../domain/custody.ts';
import { IncidentReports } from './incident-reports.ts';
import type { Life } from './life.ts';

/** As long as the server allows, more or less: a process may live for years. */
const RUN_TIMEOUT = '3650 days';
/** The host beats every 4 minutes; a dispatch that got lost between server and daemon is found after this. */
const RUN_HEARTBEAT_TIMEOUT = '10 minutes';
const RETRY = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' } as const;
/** Pause before asking again after an infrastructure failure that no retry policy covers. */
const AGAIN = '5s';

/** How a process over its limit may be ended. */
const END_ACTIONS: readonly string[] = ['restart', 'stop', 'kill'];

type Wait = Extract<AgentEffect, { kind: 'await' }>;
type Hold = Extract<AgentEffect, { kind: 'pause' | 'resume' }>;

export class Effects {
  private readonly life: Life;
  private readonly agentId: string;
  readonly reports: IncidentReports;
  private readonly openRuns = new Set<number>();
  private openStop: { generation: number; graceMs: number; attempt: number } | undefined;
  /** The latest pause or resume; they are carried out one after the other, and only the latest matters. */
  private wantedHold: Hold | undefined;
  private holding = false;
  /** Signals on their way to the process. */
  private deliveries = 0;
  /** Whether the custodian is being asked what it holds, and is to be asked again then. */
  private looking: 'no' | 'once' | 'again' = 'no';
  private sleeping: CancellationScope | undefined;
  private waiting: CancellationScope | undefined;

  constructor(life: Life, agentId: string) {
    this.life = life;
    this.agentId = agentId;
    this.reports = new IncidentReports(life, agentId);
  }

  perform(effects: AgentEffect[]): void {
    for (const effect of effects) this.performOne(effect);
  }

  /** Passes queued signals on to the process. */
  deliverSignals(): void {
    const { generation } = this.life.state;
    for (const signal of this.life.signals.splice(0)) {
      this.deliveries += 1;
      this.detach(async () => {
        const control = this.control({ summary: `${signal} to generation ${generation}` });
        try {
          await control.signalProcess({ agent_id: this.agentId, generation, signal });
        } catch (error) {
          // An operator failed the activity by hand, and does not want the signal any more.
          log.warn('a signal was not delivered', { agent_id: this.agentId, signal, error: String(error) });
        } finally {
          this.deliveries -= 1;
        }
        return undefined;
      });
    }
  }

  private performOne(effect: AgentEffect): void {
    switch (effect.kind) {
      case 'admit':
        return this.detach(() => this.admit(effect.admission));
      case 'run':
        return this.detach(() => this.run(effect.generation));
      case 'stop':
        return this.detach(() => this.stop(effect.generation, effect));
      case 'pause':
      case 'resume':
        return this.detach(() => this.hold(effect));
      case 'look-up':
        return this.detach(() => this.lookUp());
      case 'sleep':
        return this.detach(() => this.sleep(effect.delayMs));
      case 'cancel-sleep':
        return this.sleeping?.cancel();
      case 'await':
        return this.detach(() => this.awaitDependencies(effect));
      case 'cancel-await':
        return this.waiting?.cancel();
      case 'fail-stop':
        return this.detach(() => this.failStop(effect));
      case 'notice':
      case 'notice-over':
      case 'open-incident':
      case 'update-incident':
      case 'resolve-incident':
        return this.reports.take(effect);
    }
  }

  /** Runs an effect beside the loop. An effect that throws is a defect: it fails the workflow task, loudly. */
  private detach(effect: () => Promise<AgentEvent | undefined>): void {
    void effect().then((event) => {
      if (event) this.life.queue.push(event);
    });
  }

  private async admit(admission: number): Promise<AgentEvent> {
    const input = this.life.proposed ?? this.life.input;
    const { resolveTemplate } = proxyActivities<AdmissionActivities>({
      taskQueue: ORCHESTRATOR_QUEUE,
      startToCloseTimeout: '30s',
      retry: RETRY,
      activityId: `${ADMISSION_PREFIX}${admission}`,
      summary: summaryOf(`resolve ${input.template_id ?? 'the command'} for ${this.agentId}`),
    });
    try {
      const answer = await resolveTemplate({ input });
      const { custody } = answer;
      this.life.host = answer.host;
      const isLatest = admission === this.life.state.admission.number;
      if (isLatest && answer.kind === 'admitted') this.life.input = input;
      if (isLatest && this.life.proposed === input) delete this.life.proposed;
      if (answer.kind === 'refused') {
        return { kind: 'refused', admission, code: answer.code, message: answer.message, custody };
      }
      if (isLatest) {
        this.life.definition = answer.definition;
        delete this.life.admittedFor;
      }
      return { kind: 'admitted', admission, rules: answer.definition.rules, custody };
    } catch (error) {
      await this.beforeAskingAgain('an admission', error);
      return this.admit(admission);
    }
  }

  private async run(generation: number): Promise<AgentEvent | undefined> {
    if (this.openRuns.has(generation)) return undefined;
    this.openRuns.add(generation);
    this.life.admittedFor ??= generation;
    const { reason } = this.life.state;
    const { runProcess } = proxyActivities<HostActivities>({
      taskQueue: hostQueueOf(this.requireHost()),
      startToCloseTimeout: RUN_TIMEOUT,
      heartbeatTimeout: RUN_HEARTBEAT_TIMEOUT,
      retry: RETRY,
      activityId: runActivityId(generation),
      summary: summaryOf(`generation ${generation}: ${reason}`),
    });
    try {
      const verdict = await runProcess({
        input: this.life.input,
        generation,
        template_version: this.life.definition?.template_version ?? null,
        reason,
        request_id: this.life.requestId,
      });
      return eventOf(generation, verdict);
    } catch (error) {
      const failure = failureOf(error);
      // Only the host's own word counts. What an operator fails by hand is final for Temporal, too, and says nothing
      // about the process.
      if (isFinal(error) && isErrorCode(failure.code)) return { kind: 'spawn-failed', generation, ...failure };
      // An operator failed or cancelled the activity by hand. The process is as it was.
      await this.beforeAskingAgain('the watch over a process', error, { generation });
      return { kind: 'run-lost', generation };
    } finally {
      this.openRuns.delete(generation);
    }
  }

  private async stop(generation: number, order: StopOrder): Promise<AgentEvent | undefined> {
    const { stop: policy, cause, why } = order;
    const open = this.openStop?.generation === generation ? this.openStop : undefined;
    if (open && open.graceMs <= policy.graceMs) return undefined;
    const attempt = open ? open.attempt + 1 : 0;
    this.openStop = { generation, graceMs: policy.graceMs, attempt };
    for (;;) {
      try {
        const custody = await this.control({
          // A shorter grace is another call: the first one may still be open.
          activityId: attempt === 0 ? stopActivityId(generation) : `${stopActivityId(generation)}/${attempt}`,
          heartbeatTimeout: RUN_HEARTBEAT_TIMEOUT,
          startToCloseTimeout: RUN_TIMEOUT,
          summary: summaryOf(`generation ${generation}: ${this.life.state.reason}`),
        }).stopProcess({
          agent_id: this.agentId,
          generation,
          stop: policy,
          cause,
          ...(why === undefined ? {} : { why }),
          reason: this.life.state.reason,
        });
        checkCustody(custody);
        if (this.openStop?.generation === generation) this.openStop = undefined;
        return { kind: 'stop-settled', generation, custody };
      } catch (error) {
        await this.beforeAskingAgain('a stop', error, { generation });
      }
    }
  }

  /** True while a pause or resume is under way, which a new run of the workflow would not know of. */
  get isHolding(): boolean {
    return this.holding;
  }

  /** True while an accepted signal has not reached the process: it would get lost with this run of the workflow. */
  get isDelivering(): boolean {
    return this.deliveries > 0;
  }

  private async hold(effect: Hold): Promise<AgentEvent | undefined> {
    this.wantedHold = effect;
    if (this.holding) return undefined;
    this.holding = true;
    for (;;) {
      const asked: Hold = this.wantedHold;
      const { generation } = asked;
      const control = this.control({ summary: summaryOf(`generation ${generation}: ${this.life.state.reason}`) });
      try {
        const request = { agent_id: this.agentId, generation };
        const custody = await (asked.kind === 'pause' ? control.pauseProcess(request) : control.resumeProcess(request));
        checkCustody(custody);
        if (asked !== this.wantedHold) continue;
        this.holding = false;
        return { kind: 'held', generation, custody };
      } catch (error) {
        await this.beforeAskingAgain(`a ${asked.kind}`, error, { generation });
      }
    }
  }

  private async failStop({ reason, decidedAtMs }: FailStop): Promise<AgentEvent> {
    // A life that was recreated knows its host only once it is admitted.
    await condition(() => this.life.host !== null);
    const decided = { agent_id: this.agentId, reason, decided_at_ms: decidedAtMs };
    for (;;) {
      try {
        await this.control({ summary: summaryOf(reason) }).failStop(decided);
        return { kind: 'fail-stopped', decidedAtMs };
      } catch (error) {
        await this.beforeAskingAgain('a fail-stop', error);
      }
    }
  }

  /** One at a time, however many hints there are. */
  private async lookUp(): Promise<AgentEvent | undefined> {
    // Before the first admission there is nobody to ask, and the admission brings the same.
    if (this.life.host === null) return undefined;
    if (this.looking !== 'no') {
      this.looking = 'again';
      return undefined;
    }
    this.looking = 'once';
    const { handled } = this.life.state;
    try {
      const known = await this.control({ summary: 'what does the custodian hold?' }).lookUp({ agent_id: this.agentId });
      if (typeof known?.custody?.fence !== 'number' || !Number.isSafeInteger(known.sequence))
        throw new Error(`Not an answer: ${JSON.stringify(known)}`);
      // The roster may hold a decision of a task that was never completed; what is published from now on is later.
      this.life.sequence = Math.max(this.life.sequence, known.sequence);
      return { kind: 'custody-answered', custody: known.custody, handledBefore: handled };
    } catch (error) {
      log.warn('the custodian was not asked', { agent_id: this.agentId, error: String(error) });
      return undefined; // who has seen a difference sees it again
    } finally {
      const isWanted = (this.looking as string) === 'again';
      this.looking = 'no';
      if (isWanted) this.detach(() => this.lookUp());
    }
  }

  private async sleep(delayMs: number): Promise<AgentEvent | undefined> {
    const scope = new CancellationScope();
    this.sleeping = scope;
    try {
      await scope.run(() => sleep(delayMs, { summary: summaryOf(this.life.state.reason) }));
      return { kind: 'backoff-elapsed' };
    } catch (error) {
      if (isCancellation(error)) return undefined;
      throw error;
    }
  }

  /** Not cancelled at once, but left: the host finds out with its next heartbeat. */
  private async awaitDependencies(effect: Wait): Promise<AgentEvent | undefined> {
    const { wait, dependencies } = effect;
    const scope = new CancellationScope();
    this.waiting = scope;
    const { awaitDependencies } = proxyActivities<HostActivities>({
      taskQueue: hostQueueOf(this.requireHost()),
      startToCloseTimeout: RUN_TIMEOUT,
      heartbeatTimeout: RUN_HEARTBEAT_TIMEOUT,
      retry: RETRY,
      activityId: waitActivityId(wait),
      cancellationType: 'TRY_CANCEL',
      summary: summaryOf(this.life.state.reason),
    });
    for (;;) {
      try {
        await scope.run(() => awaitDependencies({ agent_id: this.agentId, wait, dependencies }));
        return { kind: 'dependencies-met', wait };
      } catch (error) {
        if (scope.consideredCancelled || isCancellation(error)) return undefined;
        await this.beforeAskingAgain('a wait', error);
      }
    }
  }

  /** Not an async function: each tick more or less could change the order of commands in histories that were recorded. */
  private beforeAskingAgain(what: string, error: unknown, more: { generation?: number } = {}): Promise<void> {
    log.warn(`${what} broke off; asking again`, { agent_id: this.agentId, ...more, error: String(error) });
    return sleep(AGAIN);
  }

  private control(options: Partial<ActivityOptions>): ReturnType<typeof proxyActivities<ControlActivities>> {
    return proxyActivities<ControlActivities>({
      taskQueue: controlQueueOf(this.requireHost()),
      startToCloseTimeout: '30s',
      retry: RETRY,
      ...options,
    });
  }

  private requireHost(): string {
    if (this.life.host === null) throw new Error('No host is known before the first admission');
    return this.life.host;
  }
}

/** Somebody may have completed the activity by hand with something else: then the process may live. */
function checkCustody(custody: Custody | undefined): void {
  if (typeof custody?.fence !== 'number') throw new Error(`Not a custody: ${JSON.stringify(custody)}`);
}

function eventOf(generation: number, verdict: Verdict): AgentEvent {
  switch (verdict?.kind) {
    case 'exited':
      if (verdict.exit?.generation !== generation) break;
      return { kind: 'ended', exit: verdict.exit };
    case 'superseded':
      if (typeof verdict.custody?.fence !== 'number') break;
      return { kind: 'superseded', generation, custody: verdict.custody };
    case 'unhealthy':
      if (typeof verdict.why !== 'string') break;
      return { kind: 'unhealthy', generation, probe: verdict.probe, why: verdict.why };
    case 'over_limit':
      if (typeof verdict.overrun?.limit !== 'number' || !END_ACTIONS.includes(verdict.action)) break;
      return { kind: 'over-limit', generation, overrun: verdict.overrun, action: verdict.action };
    case 'template_changed':
      return { kind: 'template-changed', generation };
    default:
      break;
  }
  // Completed by hand with something else.
  return { kind: 'run-lost', generation };
}

function isFinal(error: unknown): boolean {
  return (
    error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.nonRetryable === true
  );
}

function failureOf(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'INTERNAL', message: cause.message };
  return { code: 'INTERNAL', message: String(cause) };
}
