import { workflowInfo } from '@temporalio/workflow';
import type { RunInput } from '../../contract/run-workflow.ts';
import { runWorkflowIdOf, type RunView } from '../../contract/run-view.ts';
import { stateOfRun } from '../../domain/runs/run-outcome.ts';
import type { RunEvent, RunProgress, RunTerms } from '../../domain/runs/run-state.ts';

/** Everything that one workflow run of a run holds, and hands to the next. Plain JSON. */
export interface RunLife {
  input: RunInput;
  progress: RunProgress;
  queue: RunEvent[];
  startedAtMs: number;
  endedAtMs: number | null;
  timeoutMs: number | null;
  sequence: number;
  /** The view as last published, as a text. */
  published: string;
}

export const termsOf = ({ input, startedAtMs, timeoutMs }: RunLife): RunTerms => ({
  run_id: input.run_id,
  agent_id: input.agent_id,
  schedule_id: input.schedule_id ?? null,
  cleanup: input.cleanup ?? 'keep',
  busy: input.busy ?? 'wait',
  deadlineMs: timeoutMs === null ? null : startedAtMs + timeoutMs,
});

/** The run, as the API and the query `status` show it. */
export function runViewOf({ input, progress, startedAtMs, endedAtMs }: RunLife): RunView {
  return {
    run_id: input.run_id,
    agent_id: input.agent_id,
    state: stateOfRun(progress),
    reason: progress.reason,
    via: progress.via ?? 'process',
    task: input.task ?? null,
    schedule_id: input.schedule_id ?? null,
    started_at: new Date(startedAtMs).toISOString(),
    ended_at: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
    generation: progress.generation,
    exit: progress.exit,
    result: progress.answer?.payload ?? null,
    output: progress.output,
    cleanup: input.cleanup ?? 'keep',
    workflow_id: runWorkflowIdOf(input.run_id),
  };
}

/** What the Web UI shows under "Current details", in Markdown. */
export function runDetailsOf(life: RunLife): string {
  const { state, reason, agent_id, via, generation, ended_at, output } = runViewOf(life);
  return [
    `**${state}**: ${reason}`,
    '',
    `agent ${agent_id} · by ${via} · generation ${generation ?? '-'} · ${ended_at === null ? 'under way' : `ended ${ended_at}`}`,
    ...(output === '' ? [] : ['', '```', output, '```']),
  ].join('\n');
}

export const runIdOf = (): string => workflowInfo().workflowId.replace(/^run\//, '');
