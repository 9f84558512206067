/**
 * The workflow `tick`: one call of a schedule, started by its Temporal Schedule. In mode `message` it is short; in mode `run`
 * it stays open until the run ends, so that what the schedule says of overlaps means what it says.
 */
import {
  ApplicationFailure,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ORCHESTRATOR_QUEUE } from '../contract/names.ts';
import { runWorkflowIdOf } from '../contract/run-view.ts';
import type { RunInput } from '../contract/run-workflow.ts';
import type { TickActivities, TickInput } from '../contract/tick.ts';
import { isAgentId } from '../domain/ids.ts';
import type { run, RunResult } from './runs/run.ts';

export interface TickResult {
  scheduled_at: string;
  /** Of mode `run`. */
  run_id: string | null;
  /** A sentence. */
  reason: string;
}

export async function tick(input: TickInput): Promise<TickResult> {
  const { schedule_id, agent_id, mode } = checked(input);
  const scheduledAt = scheduledTime();
  if (mode === 'run') return runOnce(input, scheduledAt);
  const { deliverTick } = proxyActivities<TickActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    startToCloseTimeout: '10s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' },
    summary: `CRON to ${agent_id}`,
  });
  try {
    const payload = input.schedule.payload ?? null;
    const { reason } = await deliverTick({ schedule_id, agent_id, scheduled_at: scheduledAt, payload });
    setCurrentDetails(`${scheduledAt}: ${reason}`);
    return { scheduled_at: scheduledAt, run_id: null, reason };
  } catch (error) {
    throw failure(error);
  }
}

async function runOnce(input: TickInput, scheduledAt: string): Promise<TickResult> {
  const { schedule, work, definition } = input;
  const { schedule_id, agent_id, task, template_id, variables, labels, cleanup, timeout } = schedule;
  const runId = `${schedule_id}.${scheduledAt.replaceAll(/[-:]|\.\d+/g, '')}`;
  // Without a signature only those fields count that an unsigned agent may have.
  const agent = work ?? {
    agent_id,
    ...(task === undefined ? {} : { task }),
    ...(template_id === undefined ? {} : { template_id }),
    ...(variables === undefined ? {} : { variables }),
    ...(labels === undefined ? {} : { labels }),
  };
  const runInput: RunInput = {
    ...agent,
    run_id: runId,
    schedule_id,
    scheduled_at: scheduledAt,
    ...(cleanup === undefined ? {} : { cleanup }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(definition === undefined ? {} : { definition }),
  };
  setCurrentDetails(`${scheduledAt}: run ${runId}`);
  try {
    const result: RunResult = await executeChild<typeof run>('run', {
      workflowId: runWorkflowIdOf(runId),
      args: [runInput],
      // The run ends in order: it stops its agent, and deletes it if that is wanted.
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: `schedule ${schedule_id}`,
    });
    return { scheduled_at: scheduledAt, run_id: runId, reason: `${result.state}: ${result.reason}` };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return { scheduled_at: scheduledAt, run_id: runId, reason: 'it has been run for this time already' };
    throw failure(error);
  }
}

/** The time that was meant, also if it is made up for later; whole seconds. Started by hand: now. */
function scheduledTime(): string {
  const { searchAttributes, startTime } = workflowInfo();
  const [known] = searchAttributes['TemporalScheduledStartTime'] ?? [];
  const time = known === undefined ? startTime : new Date(known as string | number | Date);
  return new Date(Math.floor(time.getTime() / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function checked(input: TickInput): TickInput['schedule'] {
  const schedule: unknown = input?.schedule;
  const { schedule_id: scheduleId, agent_id: agentId } = (schedule ?? {}) as Record<string, unknown>;
  if (isAgentId(scheduleId) && isAgentId(agentId)) return input.schedule;
  const message = `The input must have a schedule with schedule_id and agent_id, got ${JSON.stringify(input)?.slice(0, 200)}`;
  throw ApplicationFailure.nonRetryable(message, 'INVALID_REQUEST');
}

function failure(error: unknown): unknown {
  if (isCancellation(error) || error instanceof ApplicationFailure) return error;
  return ApplicationFailure.nonRetryable(error instanceof Error ? error.message : String(error), 'INTERNAL');
}
