/**
 * The workflow `run`: one finite execution of an agent, from its beginning to its outcome. It only interprets the reducer of
 * `src/domain/runs`. That its agent has come to rest it is told by the agent's own workflow.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { STATUS_QUERY } from '../../contract/names.ts';
import { RUN_ID_PATTERN, runWorkflowIdOf, type RunState, type RunView } from '../../contract/run-view.ts';
import {
  ANSWER_SIGNAL,
  CANCEL_SIGNAL,
  partsOf,
  REST_SIGNAL,
  UNDELIVERED_SIGNAL,
  type RunInput,
} from '../../contract/run-workflow.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import { AGENT_ID_PATTERN, isAgentId } from '../../domain/ids.ts';
import { beginRun, resumeRun, stepRun } from '../../domain/runs/run-reducer.ts';
import type { Rest, RunAnswer, RunEvent } from '../../domain/runs/run-state.ts';
import { shapeProblem } from '../agent/input-shape.ts';
import { records } from '../records-sink.ts';
import { RunEffects } from './effects.ts';
import { runDetailsOf, runIdOf, runViewOf, termsOf, type RunLife } from './life.ts';

export interface RunResult {
  run_id: string;
  state: RunState;
  reason: string;
}

/**
 * @param given the body of `POST /runs`; see `RunInput`
 * @param before only counts in a run of the workflow that continues another one
 */
export async function run(given: RunInput, before?: RunLife): Promise<RunResult> {
  const isContinued = workflowInfo().continuedFromExecutionRunId !== undefined;
  const life = isContinued && before !== undefined ? before : newRun(given);
  const terms = termsOf(life);
  const effects = new RunEffects(life);
  registerHandlers(life);
  // Whoever cancels the workflow, a schedule among them, wants the run to end.
  CancellationScope.current().cancelRequested.catch(() => life.queue.push({ kind: 'cancel', by: 'Temporal' }));

  return CancellationScope.nonCancellable(async () => {
    effects.begin(Date.now());
    effects.perform(isContinued ? resumeRun(life.progress) : beginRun().effects);
    publish(life);
    for (;;) {
      await condition(() => life.queue.length > 0);
      for (let event = life.queue.shift(); event; event = life.queue.shift()) {
        if (isAsBefore(life, event)) continue;
        const next = stepRun(life.progress, event, terms);
        life.progress = next.run;
        effects.perform(next.effects);
      }
      if (life.progress.phase.kind === 'done') life.endedAtMs = Date.now();
      publish(life);
      if (life.progress.phase.kind === 'done') {
        await effects.finished();
        const { run_id, state, reason } = runViewOf(life);
        return { run_id, state, reason };
      }
      if (workflowInfo().continueAsNewSuggested && allHandlersFinished() && effects.isIdle)
        await continueAsNew<typeof run>(life.input, { ...life, queue: [] });
    }
  });
}

/** In a run from before that, a task that was given up before its start was known was not noted. */
const isAsBefore = ({ progress }: RunLife, { kind }: RunEvent): boolean =>
  kind === 'undelivered' && progress.via === null && !patched('undelivered-is-kept');

function newRun(given: RunInput): RunLife {
  const input = { ...given, run_id: given?.run_id ?? runIdOf() };
  const problem = inputProblem(input);
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'INVALID_REQUEST');
  return {
    input,
    progress: beginRun().run,
    queue: [],
    startedAtMs: Date.now(),
    endedAtMs: null,
    timeoutMs: input.timeout === undefined ? null : parseDurationMs(input.timeout),
    sequence: 0,
    published: '',
  };
}

/** What the workflow itself reads. Who starts it may have written anything. */
function inputProblem(input: RunInput): string | undefined {
  const { run_id: runId, agent_id: agentId, cleanup, timeout, busy } = input;
  if (typeof runId !== 'string' || !RUN_ID_PATTERN.test(runId))
    return `run_id must be a text of the form ${RUN_ID_PATTERN.source}, got ${JSON.stringify(runId)}`;
  if (workflowInfo().workflowId !== runWorkflowIdOf(runId))
    return `The workflow id is ${workflowInfo().workflowId}, but the run ${runId} has ${runWorkflowIdOf(runId)}`;
  if (!isAgentId(agentId))
    return `agent_id must be a text of the form ${AGENT_ID_PATTERN.source}, got ${JSON.stringify(agentId)}`;
  if (cleanup !== undefined && cleanup !== 'keep' && cleanup !== 'delete')
    return `cleanup must be keep or delete, got ${JSON.stringify(cleanup)}`;
  if (busy !== undefined && busy !== 'wait' && busy !== 'fail')
    return `busy must be wait or fail, got ${JSON.stringify(busy)}`;
  for (const name of ['task', 'schedule_id', 'scheduled_at'] as const) {
    if (input[name] !== undefined && typeof input[name] !== 'string')
      return `${name} must be a text, got ${JSON.stringify(input[name])}`;
  }
  try {
    if (timeout !== undefined) parseDurationMs(timeout);
  } catch (error) {
    return `timeout: ${(error as Error).message}`;
  }
  return shapeProblem(partsOf(input).agent);
}

function registerHandlers(life: RunLife): void {
  setHandler(defineSignal<[Rest]>(REST_SIGNAL), (rest) => {
    if (typeof rest?.how === 'string' && typeof rest.generation === 'number') life.queue.push({ kind: 'rest', rest });
  });
  setHandler(defineSignal<[RunAnswer]>(ANSWER_SIGNAL), (answer) => {
    if (typeof answer?.from === 'string' && typeof answer.ok === 'boolean')
      life.queue.push({ kind: 'answered', answer });
  });
  setHandler(defineSignal<[{ reason?: string }]>(UNDELIVERED_SIGNAL), (told) => {
    life.queue.push({ kind: 'undelivered', reason: String(told?.reason ?? 'it was given up') });
  });
  setHandler(defineSignal<[{ by?: string }]>(CANCEL_SIGNAL), (told) => {
    life.queue.push({ kind: 'cancel', by: String(told?.by ?? 'Temporal') });
  });
  setHandler(defineQuery<RunView>(STATUS_QUERY), () => runViewOf(life));
}

function publish(life: RunLife): void {
  const data = runViewOf(life);
  const seen = JSON.stringify(data);
  if (seen === life.published) return;
  const isNew = life.published === '';
  life.published = seen;
  life.sequence += 1;
  const isDone = life.endedAtMs !== null;
  records.publish({
    kind: 'run',
    id: data.run_id,
    agent_id: data.agent_id,
    state: data.state,
    done: isDone,
    run_id: workflowInfo().runId,
    sequence: life.sequence,
    at_ms: Date.now(),
    data,
  });
  setCurrentDetails(runDetailsOf(life));
  // Each write is a history event: once at the beginning, once at the end.
  if (!isNew && !isDone) return;
  upsertSearchAttributes([
    { key: defineSearchAttributeKey('AgentId', 'KEYWORD'), value: data.agent_id },
    { key: defineSearchAttributeKey('AgentState', 'KEYWORD'), value: data.state },
  ]);
}
