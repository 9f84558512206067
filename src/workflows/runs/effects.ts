/** Carries out the effects that the reducer of runs returns. Each runs by itself and reports back with an event in the queue. */
import {
  ActivityFailure,
  ApplicationFailure,
  getExternalWorkflowHandle,
  log,
  proxyActivities,
  sleep,
} from '@temporalio/workflow';
import { isErrorCode } from '../../contract/errors.ts';
import type { IncidentReport } from '../../contract/incident-view.ts';
import { ORCHESTRATOR_QUEUE, workflowIdOf, summaryOf } from '../../contract/names.ts';
import { partsOf, WATCH_SIGNAL, type RunActivities, type RunTarget, type Watch } from '../../contract/run-workflow.ts';
import type { RunEffect, RunEvent } from '../../domain/runs/run-state.ts';
import type { RunLife } from './life.ts';

const RETRY = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' } as const;
/** Before something is asked for again that somebody has failed by hand. */
const AGAIN = '5s';
/** The life of an agent that was lost is made again within this time. */
const LOST_FOR = '1 minute';
/** How often the agent is asked again to tell of its rest, in case its life was made anew meanwhile. */
const WATCH_AGAIN = '30 minutes';

export class RunEffects {
  private readonly life: RunLife;
  private readonly target: RunTarget;
  private watching = false;
  /** Reports under way: they outlast the run's own end. */
  private readonly reports = new Set<Promise<void>>();

  constructor(life: RunLife) {
    this.life = life;
    this.target = { run_id: life.input.run_id, agent_id: life.input.agent_id };
  }

  /** What goes on whatever the phase. */
  begin(nowMs: number): void {
    const { timeoutMs, startedAtMs } = this.life;
    if (timeoutMs !== null) {
      const left = Math.max(0, startedAtMs + timeoutMs - nowMs);
      this.detach(async () => {
        await sleep(left, { summary: 'the time that the run may take' });
        return { kind: 'timeout', afterMs: timeoutMs };
      });
    }
    this.detach(async () => {
      for (;;) {
        await sleep(WATCH_AGAIN, { summary: 'asking the agent again' });
        if (this.life.progress.phase.kind === 'running') this.life.queue.push({ kind: 'waited' });
      }
    });
  }

  perform(effects: RunEffect[]): void {
    for (const effect of effects) this.performOne(effect);
  }

  private performOne(effect: RunEffect): void {
    switch (effect.kind) {
      case 'start':
        return this.detach(() => this.start(effect.attempt));
      case 'wait':
        return this.detach(async () => {
          await sleep(effect.delayMs, { summary: summaryOf(this.life.progress.reason) });
          return { kind: 'waited' };
        });
      case 'watch':
        return this.detach(() => this.watch());
      case 'stop':
        return this.detach(async () => {
          await this.surely(() =>
            activities(`stop ${this.target.agent_id}`).stopRun({ ...this.target, reason: effect.reason }),
          );
          return undefined;
        });
      case 'withdraw':
        return this.detach(async () => {
          await this.surely(() =>
            activities('take the task back').withdrawTask({ ...this.target, reason: effect.reason }),
          );
          return { kind: 'withdrawn' };
        });
      case 'collect':
        return this.detach(() => this.collect());
      case 'clean-up':
        return this.detach(async () => {
          const { via } = this.life.progress;
          const request = { ...this.target, ...(via === null ? {} : { via }) };
          await this.surely(() => activities(`delete ${this.target.agent_id}`).cleanUpRun(request));
          return { kind: 'cleaned' };
        });
      case 'report':
        return this.report(this.reportOf(effect));
    }
  }

  /** False while something is under way that a new run of the workflow would not ask for again. */
  get isIdle(): boolean {
    return this.reports.size === 0;
  }

  /** Before the workflow ends. */
  async finished(): Promise<void> {
    await Promise.all(this.reports);
  }

  private report(report: IncidentReport): void {
    const told = this.surely(() => activities('tell people').reportRun(report)).finally(() =>
      this.reports.delete(told),
    );
    this.reports.add(told);
  }

  /** Runs an effect beside the loop. An effect that throws is a defect: it fails the workflow task, loudly. */
  private detach(effect: () => Promise<RunEvent | undefined>): void {
    void effect().then((event) => {
      if (event) this.life.queue.push(event);
    });
  }

  private async start(attempt: number): Promise<RunEvent> {
    const { agent, options } = partsOf(this.life.input);
    const { timeoutMs, startedAtMs } = this.life;
    try {
      const start = await activities(`start ${agent.agent_id}, try ${attempt}`).startRun({
        ...this.target,
        attempt,
        agent,
        ...(options.definition === undefined ? {} : { definition: options.definition }),
        deadline_ms: timeoutMs === null ? null : startedAtMs + timeoutMs,
      });
      if (typeof start?.kind !== 'string') throw new Error(`Not a start: ${JSON.stringify(start)}`);
      return { kind: 'started', attempt, start };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) {
        return { kind: 'started', attempt, start: { kind: 'failed', ...refusal, again: false } };
      }
      log.warn('the start of a run broke off; asking again', { ...this.target, error: String(error) });
      await sleep(AGAIN);
      return this.start(attempt);
    }
  }

  private async collect(): Promise<RunEvent> {
    const { startedAtMs, progress } = this.life;
    const collected = await this.surely(async () => {
      const found = await activities('see what has come of it').collectRun({
        ...this.target,
        via: progress.via ?? 'process',
        since_ms: startedAtMs,
      });
      if (typeof found?.output !== 'string') throw new Error(`Not what was found: ${JSON.stringify(found)}`);
      return found;
    });
    return { kind: 'collected', collected };
  }

  /** Asks the agent's workflow to tell when it is at rest; one that is not there has been deleted. */
  private async watch(): Promise<RunEvent | undefined> {
    if (this.watching) return undefined;
    this.watching = true;
    const { progress } = this.life;
    const attempt = progress.via === 'process' ? progress.attempt : null;
    const watch: Watch = { run_id: this.target.run_id, ...(attempt === null ? {} : { attempt }) };
    try {
      for (const isLast of [false, true]) {
        try {
          await getExternalWorkflowHandle(workflowIdOf(this.target.agent_id)).signal(WATCH_SIGNAL, watch);
          return undefined;
        } catch (error) {
          log.info('the agent of a run is not there', { ...this.target, error: String(error) });
          if (!isLast) await sleep(LOST_FOR, { summary: 'its agent is not there' });
        }
      }
    } finally {
      this.watching = false;
    }
    const { generation } = this.life.progress;
    const reason = 'its agent was deleted';
    return {
      kind: 'rest',
      rest: { attempt, how: 'deleted', code: null, generation: generation ?? 0, ran: false, exit: null, reason },
    };
  }

  /** An operator may fail any activity by hand: what has to be done is asked for again. */
  private async surely<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        log.warn('an activity of a run broke off; asking again', { ...this.target, error: String(error) });
        await sleep(AGAIN);
      }
    }
  }

  private reportOf({ severity, summary: says, tried, needed }: Extract<RunEffect, { kind: 'report' }>): IncidentReport {
    const { schedule_id: scheduleId, run_id, agent_id } = this.life.input;
    return {
      incident_id: scheduleId === undefined ? `run.${run_id}` : `schedule.${scheduleId}.run`,
      kind: 'run',
      severity,
      summary: says,
      agent_id,
      tried,
      needed,
      details: { run_id },
    };
  }
}

const activities = (about: string): RunActivities =>
  proxyActivities<RunActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    startToCloseTimeout: '2 minutes',
    // What was lost with a daemon that died is found after this.
    heartbeatTimeout: '10s',
    retry: RETRY,
    summary: summaryOf(about),
  });

function refusalOf(error: unknown): { code: string; message: string } | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure) || cause.nonRetryable !== true || !isErrorCode(cause.type))
    return undefined;
  return { code: cause.type, message: cause.message };
}
