import type { ScheduleDescription } from '@temporalio/client';
import type { Overlap, ScheduleView } from '../../contract/schedule-view.ts';
import { durationText } from '../../domain/duration.ts';
import type { CallCounts } from '../../domain/schedules/counts.ts';
import { warningsOf } from '../../domain/schedules/warnings.ts';
import { describeWhen } from '../../domain/schedules/when.ts';
import { whenOfTick } from './schedule-options.ts';
import type { FoundSchedule } from './temporal-schedules.ts';

const NEXT = 5;

/** A schedule as the API shows it: what was written, and what Temporal knows of it. */
export function scheduleViewOf({ tick, description }: FoundSchedule): ScheduleView {
  const { schedule, origin, at } = tick;
  const { info, state, policies } = description;
  const next = info.nextActionTimes.slice(0, NEXT).map((time) => time.toISOString());
  const counts = countsOf(description);
  return {
    schedule_id: schedule.schedule_id,
    agent_id: schedule.agent_id,
    when: describeWhen(at === undefined ? schedule : { at }),
    timezone: schedule.timezone ?? 'UTC',
    mode: schedule.mode ?? 'message',
    overlap: (policies.overlap ?? 'SKIP').toLowerCase() as Overlap,
    catch_up: durationText(policies.catchupWindow),
    jitter: schedule.jitter ?? null,
    task: schedule.task ?? null,
    timeout: schedule.timeout ?? null,
    cleanup: schedule.cleanup ?? 'keep',
    payload: schedule.payload ?? null,
    template_id: schedule.template_id ?? null,
    paused: state.paused,
    note: state.note === undefined || state.note === '' ? null : state.note,
    origin,
    next,
    recent: info.recentActions.map(({ scheduledAt, takenAt, action }) => ({
      scheduled_at: scheduledAt.toISOString(),
      started_at: takenAt.toISOString(),
      workflow_id: action.workflow.workflowId,
    })),
    counts: {
      made: info.numActionsTaken,
      skipped_overlap: counts.skipped,
      missed: counts.missed,
      buffered: counts.buffered,
      dropped: counts.dropped,
      running: info.runningActions.length,
    },
    warnings: warningsOf(whenOfTick(tick), next, info.numActionsTaken),
  };
}

export function countsOf({ info, raw }: ScheduleDescription): CallCounts {
  return {
    skipped: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
    dropped: Number(raw.info?.bufferDropped ?? 0),
    buffered: Number(raw.info?.bufferSize ?? 0),
  };
}
