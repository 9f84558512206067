import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/config.ts';
import type { AgentInput } from '../../contract/agent-input.ts';
import { codeOf } from '../../contract/errors.ts';
import type { ChangedSchedule } from '../../contract/reload-view.ts';
import { parseMoment } from '../../domain/schedules/moment.ts';
import { canonicalJson } from '../../trust/canonical-json.ts';
import { scheduleViewOf } from '../../service/schedules/schedule-views.ts';
import type { FoundSchedule, TemporalSchedules } from '../../service/schedules/temporal-schedules.ts';
import { tickOf } from '../../service/schedules/ticks.ts';
import { originOf } from './config-plan.ts';
import type { Definitions } from './definitions.ts';

type Tick = FoundSchedule['tick'];

/** What has to be done so that the schedules are those of the file. */
export interface SchedulePlan {
  added: Tick[];
  changed: (ChangedSchedule & { before: Tick; after: Tick })[];
  /** Of this file, or of the one that it takes over from, and not in it any more. */
  removed: string[];
  skipped: { schedule_id: string; reason: string }[];
}

export interface ScheduleChangesOptions {
  temporal: Pick<TemporalSchedules, 'list' | 'create' | 'update' | 'delete' | 'find'>;
  sign: (input: AgentInput) => AgentInput;
  log: Logger;
}

/** Makes the schedules what the configuration file says. A pause that somebody has asked for stays. */
export class ScheduleChanges {
  private readonly options: ScheduleChangesOptions;

  constructor(options: ScheduleChangesOptions) {
    this.options = options;
  }

  /** @param takenOver the file whose schedules become those of this one */
  async plan(config: LoadedConfig, definitions: Pick<Definitions, 'admit'>, takenOver?: string): Promise<SchedulePlan> {
    const { wanted, unknown } = await this.wanted(config, definitions);
    const found = await this.options.temporal.list();
    return planSchedules({
      file: config.file,
      wanted,
      unknown,
      found,
      ...(takenOver === undefined ? {} : { takenOver }),
    });
  }

  /** A start removes nothing, a reload does. */
  async apply(plan: SchedulePlan, { removes }: { removes: boolean }): Promise<void> {
    const { temporal, log } = this.options;
    await Promise.all([
      ...plan.added.map((tick) => this.add(tick)),
      ...plan.changed.map(async ({ schedule_id, fields, before, after }) => {
        await temporal.update(after, stateOf(before, after));
        log.info({ schedule_id, fields }, 'a schedule in the file has changed');
      }),
      ...(removes ? plan.removed : []).map(async (scheduleId) => {
        await temporal.delete(scheduleId).catch(unless('SCHEDULE_NOT_FOUND'));
        log.info({ schedule_id: scheduleId }, 'a schedule stands in the file no more');
      }),
    ]);
    for (const { schedule_id, reason } of plan.skipped)
      log.warn({ schedule_id, reason }, 'the file does not touch a schedule');
    for (const tick of [...plan.added, ...plan.changed.map(({ after }) => after)]) await this.warn(tick);
  }

  private async add(tick: Tick): Promise<void> {
    // Temporal's list may be a moment behind.
    await this.options.temporal.create(tick).catch(unless('SCHEDULE_EXISTS'));
  }

  /** What was most likely meant otherwise is reported, not guessed. */
  private async warn({ schedule }: Tick): Promise<void> {
    const { temporal, log } = this.options;
    const found = await temporal.find(schedule.schedule_id).catch(() => undefined);
    for (const warning of found ? scheduleViewOf(found).warnings : [])
      log.warn({ schedule_id: schedule.schedule_id }, `schedule ${schedule.schedule_id}: ${warning}`);
  }

  private async wanted(
    config: LoadedConfig,
    definitions: Pick<Definitions, 'admit'>,
  ): Promise<{ wanted: Tick[]; unknown: Set<string> }> {
    const origin = originOf(config.file);
    const { sign } = this.options;
    const agents = new Map(config.agents.map((agent) => [agent.agent_id, agent]));
    const schedules = [...config.schedules];
    const unknown = new Set<string>();
    const own = new Set(schedules.map(({ agent_id }) => agent_id));
    for (const agent of config.agents) {
      if (agent.template_id === undefined || own.has(agent.agent_id)) continue;
      try {
        const { schedule } = await definitions.admit(agent);
        if (schedule !== undefined)
          schedules.push({ ...schedule, agent_id: agent.agent_id, schedule_id: agent.agent_id });
      } catch {
        // Its template cannot be read now: what there is stays as it is.
        unknown.add(agent.agent_id);
      }
    }
    const nowMs = Date.now();
    const wanted = schedules.map((schedule) =>
      tickOf(schedule, { origin, agent: agents.get(schedule.agent_id), sign, nowMs }),
    );
    return { wanted, unknown };
  }
}

/** @param unknown agents of which it is not known whether they have one */
export function planSchedules(given: {
  file: string;
  wanted: readonly Tick[];
  unknown: ReadonlySet<string>;
  found: readonly FoundSchedule[];
  takenOver?: string;
}): SchedulePlan {
  const { file, wanted, unknown, takenOver } = given;
  const plan: SchedulePlan = { added: [], changed: [], removed: [], skipped: [] };
  const ours = new Set([originOf(file), ...(takenOver === undefined ? [] : [originOf(takenOver)])]);
  const known = new Map(given.found.map(({ tick }) => [tick.schedule.schedule_id, tick]));
  for (const after of wanted) {
    const { schedule_id } = after.schedule;
    const before = known.get(schedule_id);
    if (before === undefined) {
      if (!isOver(after)) plan.added.push(after);
    } else if (!ours.has(before.origin)) {
      const reason = `a schedule of this name exists from elsewhere (origin: ${before.origin}); delete it, or rename the agent in the file`;
      plan.skipped.push({ schedule_id, reason });
    } else {
      const fields = differences(before, after);
      if (fields.length > 0) plan.changed.push({ schedule_id, fields, before, after });
    }
  }
  const named = new Set(wanted.map(({ schedule }) => schedule.schedule_id));
  plan.removed = [...known.values()]
    .filter(
      ({ schedule, origin }) => ours.has(origin) && !named.has(schedule.schedule_id) && !unknown.has(schedule.agent_id),
    )
    .map(({ schedule }) => schedule.schedule_id);
  return plan;
}

/** A schedule of the file for one time only, which is over: it would never call. */
const isOver = ({ schedule }: Tick): boolean => {
  const moment = schedule.at === undefined ? undefined : parseMoment(schedule.at);
  return moment?.kind === 'absolute' && moment.ms < Date.now();
};

function differences(before: Tick, after: Tick): string[] {
  const [known, given] = [before.schedule, after.schedule] as unknown as Record<string, unknown>[];
  const names = [...new Set([...Object.keys(known ?? {}), ...Object.keys(given ?? {})])].toSorted();
  const fields = names.filter((name) => !isSame(known?.[name], given?.[name]));
  const isOther = !isSame(before.work, after.work) || !isSame(before.definition, after.definition);
  if (fields.length === 0 && isOther) fields.push('agent');
  if (fields.length === 0 && before.origin !== after.origin) fields.push('origin');
  return fields;
}

const isSame = (a: unknown, b: unknown): boolean =>
  a === undefined || b === undefined ? a === b : canonicalJson(a) === canonicalJson(b);

/** What the file says of a pause counts when it says something else than before. */
function stateOf({ schedule: before }: Tick, { schedule: after }: Tick): { paused?: boolean; note?: string } {
  return {
    ...(before.paused === after.paused ? {} : { paused: after.paused ?? false }),
    ...(before.note === after.note || after.note === undefined ? {} : { note: after.note }),
  };
}

const unless =
  (code: string) =>
  (error: unknown): void => {
    if (codeOf(error) !== code) throw error;
  };
