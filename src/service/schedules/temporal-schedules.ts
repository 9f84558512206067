import { ScheduleAlreadyRunning, ScheduleNotFoundError, type ScheduleDescription } from '@temporalio/client';
import { CodedError } from '../../contract/errors.ts';
import { temporalScheduleIdOf } from '../../contract/schedule-view.ts';
import { TICK_WORKFLOW_TYPE, type TickInput } from '../../contract/tick.ts';
import { isAgentId } from '../../domain/ids.ts';
import type { TemporalClient } from '../agent-workflows.ts';
import { askTemporal, type Asking } from '../temporal-ask.ts';
import { optionsOf, whenOfTick, type TemporalOverlap } from './schedule-options.ts';

/** A schedule as it is in Temporal: what it was made from, and what has become of it. */
export interface FoundSchedule {
  tick: TickInput & { origin: string };
  description: ScheduleDescription;
}

export interface TemporalSchedulesDeps extends Asking {
  client: Pick<TemporalClient, 'schedule' | 'withDeadline'>;
}

/** Described at the same time, for a list. */
const CONCURRENT = 8;
/** Schedules that were just made, and may not be in Temporal's list yet. */
const MAX_RECENT = 200;
const PREFIX = temporalScheduleIdOf('');

/** The schedules in Temporal, which is their home, in words of this code. */
export class TemporalSchedules {
  readonly #deps: TemporalSchedulesDeps;
  readonly #recent = new Set<string>();

  constructor(deps: TemporalSchedulesDeps) {
    this.#deps = deps;
  }

  /** @throws CodedError SCHEDULE_EXISTS, INVALID_REQUEST, TEMPORAL_UNAVAILABLE */
  async create(tick: TickInput): Promise<void> {
    const { schedule } = tick;
    const { schedule_id, paused = false, note } = schedule;
    const options = {
      ...optionsOf(tick),
      scheduleId: temporalScheduleIdOf(schedule_id),
      memo: { agent_id: schedule.agent_id },
      state: { paused, ...(note === undefined ? {} : { note }) },
    };
    try {
      await this.#ask(`make the schedule ${schedule_id}`, () => this.#deps.client.schedule.create(options));
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) throw scheduleExists(schedule_id);
      throw refused(error);
    }
    this.#remember(schedule_id);
  }

  /** Makes it what `tick` says. Whether it is paused stays as it is, unless `state` says otherwise. */
  async update(tick: TickInput, state: { paused?: boolean; note?: string } = {}): Promise<void> {
    const { schedule_id } = tick.schedule;
    await this.#with(schedule_id, `change the schedule ${schedule_id}`, (handle) =>
      handle.update((previous) => {
        const note = state.note ?? previous.state.note;
        return {
          ...optionsOf(tick),
          state: { paused: state.paused ?? previous.state.paused, ...(note === undefined ? {} : { note }) },
        };
      }),
    );
  }

  async find(scheduleId: string): Promise<FoundSchedule> {
    const found = await this.#with(scheduleId, `read the schedule ${scheduleId}`, async (handle) =>
      foundOf(await handle.describe()),
    );
    if (found === undefined) throw scheduleNotFound(scheduleId);
    return found;
  }

  /** All of them, by id. */
  async list(): Promise<FoundSchedule[]> {
    const ids = [...new Set([...(await this.#ids()).map(({ id }) => id), ...this.#recent])];
    const found: FoundSchedule[] = [];
    const work = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const one = await this.find(id).catch((error: unknown) => {
          if (error instanceof CodedError && error.code === 'SCHEDULE_NOT_FOUND') return undefined;
          throw error;
        });
        if (one === undefined) this.#recent.delete(id as string);
        else found.push(one);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT }, work));
    return found.toSorted((a, b) => (a.tick.schedule.schedule_id < b.tick.schedule.schedule_id ? -1 : 1));
  }

  /** Those that call one of these agents. */
  async ofAgents(agentIds: ReadonlySet<string>): Promise<FoundSchedule[]> {
    const known = await this.#ids();
    const isOther = (agentId: string | undefined): boolean => agentId !== undefined && !agentIds.has(agentId);
    const listed = known.filter(({ agentId }) => !isOther(agentId)).map(({ id }) => id);
    const others = new Set(known.filter(({ agentId }) => isOther(agentId)).map(({ id }) => id));
    const candidates = [...new Set([...listed, ...this.#recent])].filter((id) => !others.has(id));
    const found = await Promise.all(candidates.map((id) => this.find(id).catch(() => undefined)));
    return found.filter((one) => one !== undefined).filter(({ tick }) => agentIds.has(tick.schedule.agent_id));
  }

  async delete(scheduleId: string): Promise<void> {
    await this.#with(scheduleId, `delete the schedule ${scheduleId}`, (handle) => handle.delete());
    this.#recent.delete(scheduleId);
  }

  async pause(scheduleId: string, note: string): Promise<void> {
    await this.#with(scheduleId, `pause the schedule ${scheduleId}`, (handle) => handle.pause(note));
  }

  async resume(scheduleId: string, note: string): Promise<void> {
    await this.#with(scheduleId, `resume the schedule ${scheduleId}`, (handle) => handle.unpause(note));
  }

  async trigger(scheduleId: string, overlap: TemporalOverlap): Promise<void> {
    await this.#with(scheduleId, `trigger the schedule ${scheduleId}`, (handle) => handle.trigger(overlap));
  }

  async backfill(scheduleId: string, range: { start: Date; end: Date; overlap: TemporalOverlap }): Promise<void> {
    await this.#with(scheduleId, `backfill the schedule ${scheduleId}`, (handle) => handle.backfill(range));
  }

  async #ids(): Promise<{ id: string; agentId: string | undefined }[]> {
    return this.#ask('list the schedules', async () => {
      const ids: { id: string; agentId: string | undefined }[] = [];
      for await (const { scheduleId, memo } of this.#deps.client.schedule.list()) {
        if (!scheduleId.startsWith(PREFIX)) continue;
        const agentId = memo?.['agent_id'];
        ids.push({ id: scheduleId.slice(PREFIX.length), agentId: typeof agentId === 'string' ? agentId : undefined });
      }
      return ids;
    });
  }

  async #with<T>(
    scheduleId: string,
    what: string,
    call: (handle: ReturnType<TemporalClient['schedule']['getHandle']>) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#ask(what, () => call(this.#deps.client.schedule.getHandle(temporalScheduleIdOf(scheduleId))));
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) throw scheduleNotFound(scheduleId);
      throw refused(error);
    }
  }

  #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    return askTemporal(this.#deps, what, call);
  }

  #remember(scheduleId: string): void {
    this.#recent.add(scheduleId);
    const [oldest] = this.#recent;
    if (this.#recent.size > MAX_RECENT && oldest !== undefined) this.#recent.delete(oldest);
  }
}

/** Undefined if somebody has made another kind of schedule under such a name. */
function foundOf(description: ScheduleDescription): FoundSchedule | undefined {
  const { action } = description;
  const tick = action.args?.[0] as Partial<TickInput> | undefined;
  const { schedule_id: id, agent_id: agentId } = tick?.schedule ?? {};
  if (action.workflowType !== TICK_WORKFLOW_TYPE || !isAgentId(id) || !isAgentId(agentId)) return undefined;
  if (temporalScheduleIdOf(id) !== description.scheduleId) return undefined;
  const whole: FoundSchedule['tick'] = { origin: 'temporal', ...(tick as TickInput) };
  try {
    whenOfTick(whole);
  } catch {
    return undefined;
  }
  return { tick: whole, description };
}

export const scheduleNotFound = (scheduleId: string): CodedError =>
  new CodedError('SCHEDULE_NOT_FOUND', `There is no schedule ${scheduleId}`, { schedule_id: scheduleId });

export const scheduleExists = (scheduleId: string): CodedError =>
  new CodedError('SCHEDULE_EXISTS', `A schedule ${scheduleId} exists already`, { schedule_id: scheduleId });

/** What we have accepted and Temporal does not. The client makes a TypeError of it. */
function refused(error: unknown): unknown {
  if (!(error instanceof TypeError)) return error;
  return new CodedError('INVALID_REQUEST', `Temporal refuses the schedule: ${error.message}`, { field: 'cron' }, error);
}
