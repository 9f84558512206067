import type { ScheduleOptions, ScheduleOptionsStartWorkflowAction, ScheduleSpec } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { ORCHESTRATOR_QUEUE } from '../../contract/names.ts';
import { DEFAULT_CATCH_UP, tickWorkflowIdOf, type Overlap, type ScheduleInput } from '../../contract/schedule-view.ts';
import { TICK_WORKFLOW_TYPE, type TickInput } from '../../contract/tick.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import { isHourly, type CronFields } from '../../domain/schedules/cron.ts';
import { hasWholeHours } from '../../domain/schedules/time-zone.ts';
import { parseMoment, utcFields, type LocalTime } from '../../domain/schedules/moment.ts';
import { whenOf, type When } from '../../domain/schedules/when.ts';

export type TickAction = ScheduleOptionsStartWorkflowAction<Workflow>;
export type Definable = Pick<ScheduleOptions<TickAction>, 'spec' | 'action' | 'policies'>;
export type TemporalOverlap = NonNullable<NonNullable<ScheduleOptions['policies']>['overlap']>;

/** What Temporal is told of a schedule. The whole of it goes along as the argument of each call, and is read from there. */
export function optionsOf(tick: TickInput): Definable {
  const { schedule } = tick;
  const { schedule_id, agent_id, overlap = 'skip', catch_up = DEFAULT_CATCH_UP, jitter, mode = 'message' } = schedule;
  return {
    spec: { ...specOf(tick), ...(jitter === undefined ? {} : { jitter: parseDurationMs(jitter) }) },
    action: {
      type: 'startWorkflow',
      workflowType: TICK_WORKFLOW_TYPE,
      workflowId: tickWorkflowIdOf(schedule_id),
      taskQueue: ORCHESTRATOR_QUEUE,
      args: [tick],
      staticSummary: `${mode} to ${agent_id}`,
    },
    policies: { overlap: overlapOf(overlap), catchupWindow: parseDurationMs(catch_up) },
  };
}

export const overlapOf = (overlap: Overlap): TemporalOverlap => overlap.toUpperCase() as TemporalOverlap;

/** When it calls; of `after` the moment that was computed when it was made. */
export function whenOfTick({ schedule, at }: TickInput): When {
  return at === undefined ? whenOf(schedule) : { kind: 'once', at: parseMoment(at) };
}

/** `after` is counted from now, in whole seconds. */
export function momentOf(input: ScheduleInput, nowMs: number): string | undefined {
  if (input.after === undefined) return undefined;
  return new Date(Math.ceil((nowMs + parseDurationMs(input.after)) / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function specOf(tick: TickInput): ScheduleSpec {
  const when = whenOfTick(tick);
  const timezone = tick.schedule.timezone ?? 'UTC';
  switch (when.kind) {
    case 'cron':
      return { cronExpressions: [when.cron.text], timezone: zoneFor(when.cron, timezone) };
    case 'every':
      return { intervals: [{ every: when.everyMs, offset: when.offsetMs }] };
    case 'once':
      return when.at.kind === 'absolute'
        ? { cronExpressions: [onceAt(utcFields(when.at.ms))], timezone: 'UTC' }
        : { cronExpressions: [onceAt(when.at.fields)], timezone };
    case 'after':
      throw new TypeError('The moment of `after` is computed when the schedule is made');
  }
}

/**
 * What comes each hour comes each hour: where the clocks go back, Temporal would leave one out (or make one twice, depending
 * on the zone), so it is told to count in UTC.
 */
const zoneFor = (cron: CronFields, timezone: string): string =>
  isHourly(cron) && hasWholeHours(timezone, Date.now()) ? 'UTC' : timezone;

/** With its year it comes once. */
const onceAt = ({ second, minute, hour, day, month, year }: LocalTime): string =>
  `${second} ${minute} ${hour} ${day} ${month} * ${year}`;
