import type { AgentInput } from '../../contract/agent-input.ts';
import { CodedError } from '../../contract/errors.ts';
import type { AgentSchedule, Overlap, ScheduleInput, ScheduleView } from '../../contract/schedule-view.ts';
import type { TickInput } from '../../contract/tick.ts';
import { countCalls } from '../../domain/schedules/call-count.ts';
import { parseMoment } from '../../domain/schedules/moment.ts';
import type { Roster } from '../../ports/roster.ts';
import { canonicalJson } from '../../trust/canonical-json.ts';
import { agentNotFound } from '../agent-workflows.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import { overlapOf, whenOfTick } from './schedule-options.ts';
import { scheduleViewOf } from './schedule-views.ts';
import { scheduleExists, type FoundSchedule, type TemporalSchedules } from './temporal-schedules.ts';
import { makesItsAgent, tickOf } from './ticks.ts';

export interface SchedulesDeps {
  temporal: TemporalSchedules;
  roster: Pick<Roster, 'get'>;
  liveGeneration: LiveGeneration;
  /** The input with its signature. */
  sign: (input: AgentInput) => AgentInput;
  /** @throws CodedError TEMPLATE_NOT_FOUND, … */
  admit: (input: AgentInput) => unknown;
  /** @default Date.now */
  now?: () => number;
}

/** An agent that is gone. */
export interface Gone {
  /** Since when, epoch milliseconds. */
  atMs: number;
  /** False: schedules that recreate their agents stay. */
  isForGood: boolean;
}

export interface BackfillRange {
  from: string;
  to: string;
  /** @default buffer_all: one after the other */
  overlap?: Overlap;
}

/** Limit per backfill: each call is a workflow, and queued ones delay calls that are due now. */
export const MAX_BACKFILL_CALLS = 10_000;

/**
 * Schedules: each one is a Temporal Schedule, and what was written stands in it. All may read them, the admin changes them.
 */
export class Schedules {
  readonly #deps: SchedulesDeps;
  /** When calls of a time that is over were last asked for. */
  readonly #backfilledAtMs = new Map<string, number>();

  constructor(deps: SchedulesDeps) {
    this.#deps = deps;
  }

  async list(call: Call): Promise<ScheduleView[]> {
    await this.#admitCaller(call);
    return (await this.#deps.temporal.list()).map(scheduleViewOf);
  }

  /** @throws CodedError SCHEDULE_NOT_FOUND */
  async get(call: Call, scheduleId: string): Promise<ScheduleView> {
    await this.#admitCaller(call);
    return this.#view(scheduleId);
  }

  /** @throws CodedError SCHEDULE_EXISTS, AGENT_NOT_FOUND, INVALID_REQUEST */
  async create(call: Call, input: ScheduleInput): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'make schedules');
    const tick = await this.#tick(input, 'api');
    const { schedule_id } = tick.schedule;
    try {
      await this.#deps.temporal.create(tick);
    } catch (error) {
      // An earlier attempt at the same request has made it.
      const isOwn = call.once?.again === true && (error as { code?: unknown }).code === 'SCHEDULE_EXISTS';
      if (!isOwn || !isSame((await this.#deps.temporal.find(schedule_id)).tick, tick)) throw error;
    }
    return this.#view(schedule_id);
  }

  /** Makes it what `input` says; a pause stays, unless the input says otherwise. */
  async replace(call: Call, scheduleId: string, input: ScheduleInput): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'change schedules');
    const { schedule_id: givenId = scheduleId, paused, note } = input;
    if (givenId !== scheduleId) throw refused('schedule_id', givenId, `${scheduleId}, as in the path`);
    const { tick: before } = await this.#deps.temporal.find(scheduleId);
    const { agent_id } = before.schedule;
    if (input.agent_id !== agent_id)
      throw refused('agent_id', input.agent_id, `${agent_id}: for another agent make another schedule`);
    const tick = await this.#tick({ ...input, schedule_id: scheduleId }, before.origin);
    await this.#deps.temporal.update(tick, {
      ...(paused === undefined ? {} : { paused }),
      ...(note === undefined ? {} : { note }),
    });
    return this.#view(scheduleId);
  }

  async remove(call: Call, scheduleId: string): Promise<void> {
    await this.#admitAdmin(call, 'delete schedules');
    await this.#deps.temporal.delete(scheduleId);
    this.#backfilledAtMs.delete(scheduleId);
  }

  async pause(call: Call, scheduleId: string, note: string | undefined): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'pause schedules');
    await this.#deps.temporal.pause(scheduleId, note ?? 'paused');
    return this.#until(scheduleId, ({ paused }) => paused);
  }

  async resume(call: Call, scheduleId: string, note: string | undefined): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'resume schedules');
    await this.#deps.temporal.resume(scheduleId, note ?? 'resumed');
    return this.#until(scheduleId, ({ paused }) => !paused);
  }

  /** Calls at once, as well as by the clock; what it says of overlaps counts. */
  async trigger(call: Call, scheduleId: string): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'trigger schedules');
    const { description } = await this.#deps.temporal.find(scheduleId);
    await this.#deps.temporal.trigger(scheduleId, description.policies.overlap ?? 'SKIP');
    return this.#view(scheduleId);
  }

  /**
   * Makes the calls of a time that is over; one that has been made within a day is not made again.
   * @throws CodedError SCHEDULE_NOT_FOUND, INVALID_REQUEST, also for more than `MAX_BACKFILL_CALLS`
   */
  async backfill(
    call: Call,
    scheduleId: string,
    { from, to, overlap = 'buffer_all' }: BackfillRange,
  ): Promise<ScheduleView> {
    await this.#admitAdmin(call, 'backfill schedules');
    const start = absolute('from', from);
    const end = absolute('to', to);
    if (end < start) throw refused('to', to, `a time after from, which is ${from}`);
    const nowMs = this.#now();
    if (end > nowMs) throw refused('to', to, `a time that is over, such as "${new Date(nowMs).toISOString()}"`);
    const { tick } = await this.#deps.temporal.find(scheduleId);
    const whole = { fromMs: start, toMs: end, timezone: tick.schedule.timezone ?? 'UTC' };
    if (countCalls(whenOfTick(tick), whole, MAX_BACKFILL_CALLS) > MAX_BACKFILL_CALLS)
      throw tooMany(scheduleId, from, to);
    const range = { start: new Date(start), end: new Date(end), overlap: overlapOf(overlap) };
    this.#backfilledAtMs.set(scheduleId, nowMs);
    await this.#deps.temporal.backfill(scheduleId, range);
    return this.#view(scheduleId);
  }

  /** Whether this daemon has been asked for calls of a time that is over within the last `withinMs`. */
  isBackfilled(scheduleId: string, withinMs: number): boolean {
    const atMs = this.#backfilledAtMs.get(scheduleId);
    return atMs !== undefined && this.#now() - atMs < withinMs;
  }

  // ── schedules that come with their agents ─────────────────────────────────────────────────────────────────────

  /** Before an agent with a schedule is made. @throws CodedError SCHEDULE_EXISTS */
  async checkFree(agentId: string): Promise<void> {
    try {
      await this.#deps.temporal.find(agentId);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SCHEDULE_NOT_FOUND') return;
      throw error;
    }
    throw scheduleExists(agentId);
  }

  /** Of an agent that has just been made. */
  async createFor(agent: AgentInput, schedule: AgentSchedule): Promise<void> {
    const { sign } = this.#deps;
    const input = { ...schedule, agent_id: agent.agent_id };
    await this.#deps.temporal.create(tickOf(input, { origin: 'agent', agent, sign, nowMs: this.#now() }));
  }

  /** Takes away what is left of agents that are gone. */
  async removeOf(gone: ReadonlyMap<string, Gone>): Promise<string[]> {
    const found = await this.#deps.temporal.ofAgents(new Set(gone.keys()));
    const ending = found.filter(({ tick, description }) => {
      const { atMs, isForGood } = gone.get(tick.schedule.agent_id) as Gone;
      // A new agent of that name may have one of its own by now.
      return description.info.createdAt.getTime() <= atMs && (isForGood || !makesItsAgent(tick));
    });
    const ids = ending.map(({ tick }) => tick.schedule.schedule_id);
    for (const id of ids) {
      await this.#deps.temporal.delete(id).catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== 'SCHEDULE_NOT_FOUND') throw error;
      });
    }
    return ids;
  }

  async #tick(input: ScheduleInput, origin: string): Promise<TickInput & { origin: string }> {
    const { roster, sign, admit } = this.#deps;
    const nowMs = this.#now();
    checkIsToCome(input, nowMs);
    const row = await roster.get(input.agent_id);
    if (row === undefined) {
      const { agent_id, template_id, variables, labels, task } = input;
      if (template_id === undefined) throw agentNotFound(agent_id);
      // What cannot be created at all is refused now, and not at its first call.
      await admit({
        agent_id,
        template_id,
        ...(variables === undefined ? {} : { variables }),
        ...(labels === undefined ? {} : { labels }),
        ...(task === undefined ? {} : { task }),
      });
    }
    return tickOf(input, { origin, agent: row?.decision.input, sign, nowMs });
  }

  async #view(scheduleId: string): Promise<ScheduleView> {
    return scheduleViewOf(await this.#deps.temporal.find(scheduleId));
  }

  /** Temporal accepts a change before it shows it. */
  async #until(scheduleId: string, isSeen: (view: ScheduleView) => boolean): Promise<ScheduleView> {
    for (let tries = 0; ; tries += 1) {
      const view = await this.#view(scheduleId);
      if (isSeen(view) || tries === 20) return view;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  #now(): number {
    return (this.#deps.now ?? Date.now)();
  }

  #admitCaller(call: Call): Promise<void> {
    return admitCaller(call, this.#deps.liveGeneration);
  }

  async #admitAdmin(call: Call, what: string): Promise<void> {
    await this.#admitCaller(call);
    if (call.caller.kind !== 'admin') throw new CodedError('FORBIDDEN', `Only the admin token may ${what}`);
  }
}

/** Whether two are made from the same words; of `after` the moment does not count. */
export function isSame({ at: _a, ...before }: TickInput, { at: _b, ...after }: TickInput): boolean {
  return canonicalJson(before) === canonicalJson(after);
}

export type { FoundSchedule };

function checkIsToCome({ at }: ScheduleInput, nowMs: number): void {
  if (at === undefined) return;
  const moment = parseMoment(at);
  if (moment.kind === 'absolute' && moment.ms <= nowMs)
    throw refused('at', at, `a time to come, such as "${new Date(nowMs + 3_600_000).toISOString()}"`);
}

function absolute(field: string, text: string): number {
  try {
    const moment = parseMoment(text);
    if (moment.kind === 'absolute') return moment.ms;
  } catch {
    // told below
  }
  throw refused(field, text, 'a time with its offset, such as "2026-12-24T18:00:00Z"');
}

const refused = (field: string, seen: string, expected: string): CodedError =>
  new CodedError('INVALID_REQUEST', `${field} is ${JSON.stringify(seen)}; expected ${expected}`, { field });

const tooMany = (scheduleId: string, from: string, to: string): CodedError =>
  new CodedError(
    'INVALID_REQUEST',
    `from ${from} to ${to} the schedule ${scheduleId} has more than ${MAX_BACKFILL_CALLS} calls, which is the limit of one backfill; ` +
      'backfill smaller ranges, one after the other',
    { field: 'from', limit: MAX_BACKFILL_CALLS },
  );
