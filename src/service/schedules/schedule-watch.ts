import { setTimeout as delay } from 'node:timers/promises';
import type { IncidentReport } from '../../contract/incident-view.ts';
import { isDeletionByRun } from '../../contract/run-workflow.ts';
import { lookAtCounts, QUIET_MS, type SeenCounts } from '../../domain/schedules/counts.ts';
import type { Decision, Roster } from '../../ports/roster.ts';
import { countsOf } from './schedule-views.ts';
import type { Gone, Schedules } from './schedules.ts';
import type { FoundSchedule, TemporalSchedules } from './temporal-schedules.ts';

export interface ScheduleWatchDeps {
  temporal: Pick<TemporalSchedules, 'list'>;
  schedules: Pick<Schedules, 'removeOf' | 'isBackfilled'>;
  roster: Pick<Roster, 'subscribe' | 'get' | 'closing' | 'history' | 'getFact' | 'setFact'>;
  /** Whether the agent's workflow is open. */
  isOpen: (agentId: string) => Promise<boolean>;
  report: (report: IncidentReport) => Promise<void>;
  warn: (message: string, fields: Record<string, unknown>) => void;
  /** Between two looks at all schedules. @default 30000 */
  periodMs?: number;
  /** @default Date.now */
  now?: () => number;
}

const PERIOD_MS = 30_000;
const RETRY_MS = 5_000;
const FACT = 'schedule_counts';

/** Tells of calls that were left out, and takes away the schedules of agents that are gone. */
export class ScheduleWatch {
  readonly #deps: ScheduleWatchDeps;
  readonly #ending = new AbortController();
  /** Deleted agents whose schedules are still to be looked for. */
  readonly #gone = new Map<string, Gone>();
  #clearing: Promise<void> | undefined;
  #loop: Promise<void> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;

  constructor(deps: ScheduleWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#unsubscribe = this.#deps.roster.subscribe((change) => {
      if (change.kind !== 'removed') return;
      const { agent_id, closing } = change;
      if (closing?.phase.kind === 'closed' && closing.phase.outcome.kind === 'failed') return; // it never was
      this.#clear(agent_id, { atMs: Date.now(), isForGood: isForGood(closing) });
    });
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#ending.abort();
    await Promise.all([this.#loop, this.#clearing]);
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let isFirst = true;
    while (!signal.aborted) {
      try {
        const found = await this.#deps.temporal.list();
        if (isFirst) await this.#sweep(found);
        isFirst = false;
        await this.#look(found);
      } catch (error) {
        if (!isAway(error)) this.#deps.warn('cannot look at the schedules', { error: String(error) });
      }
      await delay(this.#deps.periodMs ?? PERIOD_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** An earlier daemon may have died before it had taken the schedules of a deleted agent away. */
  async #sweep(found: readonly FoundSchedule[]): Promise<void> {
    const { roster } = this.#deps;
    for (const agentId of new Set(found.map(({ tick }) => tick.schedule.agent_id))) {
      if ((await roster.get(agentId)) !== undefined) continue;
      // Of whom nothing at all is known may be an agent of a roster that was lost, which is filled again in a moment; and
      // one that has just been recreated may not have published itself yet.
      const closing = await roster.closing(agentId);
      const wasThere = closing !== undefined || (await roster.history(agentId, { limit: 1 })).length > 0;
      // What was made since its deletion is for the next agent of that name.
      const gone = { atMs: closing?.at_ms ?? Date.now(), isForGood: isForGood(closing) };
      if (wasThere && !(await this.#deps.isOpen(agentId))) this.#clear(agentId, gone);
    }
  }

  async #look(found: readonly FoundSchedule[]): Promise<void> {
    const { roster, report, schedules, now = Date.now } = this.#deps;
    const before = JSON.parse((await roster.getFact(FACT)) ?? '{}') as Record<string, SeenCounts>;
    const after: Record<string, SeenCounts> = {};
    for (const { tick, description } of found) {
      const { schedule_id, agent_id } = tick.schedule;
      const counts = countsOf(description);
      const isBackfilled = schedules.isBackfilled(schedule_id, QUIET_MS);
      const { seen, report: trouble } = lookAtCounts(schedule_id, before[schedule_id], counts, now(), isBackfilled);
      if (trouble !== undefined) {
        const { severity, summary, value } = trouble;
        await report({
          incident_id: `schedule.${schedule_id}.skipped`,
          kind: 'schedule',
          severity,
          summary,
          agent_id,
          value,
          tried: 'The calls to come are made as usual',
          needed: 'See `schedules show`; make it call less often, or choose another overlap or a longer catch_up',
        });
      }
      after[schedule_id] = seen;
    }
    const [known, text] = [JSON.stringify(before), JSON.stringify(after)];
    if (known !== text) await roster.setFact(FACT, text);
  }

  #clear(agentId: string, gone: Gone): void {
    const known = this.#gone.get(agentId);
    const isEitherForGood = gone.isForGood || (known?.isForGood ?? false);
    this.#gone.set(agentId, { atMs: Math.max(gone.atMs, known?.atMs ?? 0), isForGood: isEitherForGood });
    this.#clearing ??= this.#clearAll().finally(() => (this.#clearing = undefined));
  }

  async #clearAll(): Promise<void> {
    const { schedules, warn } = this.#deps;
    const { signal } = this.#ending;
    while (this.#gone.size > 0 && !signal.aborted) {
      const all = [...this.#gone];
      this.#gone.clear();
      try {
        await schedules.removeOf(new Map(all));
      } catch (error) {
        for (const [agentId, how] of all) if (!this.#gone.has(agentId)) this.#gone.set(agentId, how);
        if (!isAway(error)) warn('cannot take away the schedules of deleted agents', { error: String(error) });
        await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }
}

/** What a run deletes after it is recreated by the next one; and that a row is not there any more, alone, is no deletion. */
function isForGood(closing: Decision | undefined): boolean {
  if (closing?.phase.kind !== 'closed' || closing.phase.outcome.kind !== 'deleted') return false;
  const { request_id: requestId } = closing;
  // One of a daemon before does not say it.
  return requestId === null || (requestId !== undefined && !isDeletionByRun(requestId));
}

const isAway = (error: unknown): boolean => (error as { code?: unknown }).code === 'TEMPORAL_UNAVAILABLE';
