/** The life of a run: a pure reducer. Events go in, one at a time; the next state and what is to be done come out. */
import type {
  Rest,
  RunAnswer,
  RunCollected,
  RunEffect,
  RunEvent,
  RunOutcome,
  RunProgress,
  RunStart,
  RunStep,
  RunTerms,
} from './run-state.ts';
import { describeMs } from '../duration.ts';
import { outcomeInTime, outcomeOfAnswer, outcomeOfRest, outcomeOfUndelivered } from './run-outcome.ts';

/** How often a start that fails is tried, in all. */
export const MAX_ATTEMPTS = 3;
/** Before the second and the third try. */
const SPAWN_DELAYS_MS = [1000, 5000];
const BUSY_DELAY_MS = 1000;
const MAX_BUSY_DELAY_MS = 15_000;
/** How long to wait before checking again on a task that waits in a mailbox, or is in somebody's hands. */
const LOOK_AGAIN_MS = 2000;

export function beginRun(): RunStep {
  const run: RunProgress = {
    phase: { kind: 'starting' },
    via: null,
    attempt: 1,
    busyTries: 0,
    generation: null,
    exit: null,
    answer: null,
    output: '',
    rest: null,
    wanted: null,
    reason: 'starting its agent',
  };
  return { run, effects: [{ kind: 'start', attempt: 1 }] };
}

/** What a new workflow run has to ask for again: everything that was open. */
export function resumeRun(run: RunProgress): RunEffect[] {
  switch (run.phase.kind) {
    case 'starting':
      return [{ kind: 'start', attempt: run.attempt }];
    case 'waiting':
      return [{ kind: 'wait', delayMs: BUSY_DELAY_MS }];
    case 'running':
      return [{ kind: 'watch' }];
    case 'ending':
      return end(run, run.phase.outcome).effects;
    case 'collecting':
      return [{ kind: 'collect' }];
    case 'cleaning':
      return [{ kind: 'clean-up' }];
    case 'done':
      return [];
  }
}

export function stepRun(run: RunProgress, event: RunEvent, terms: RunTerms): RunStep {
  if (run.phase.kind === 'done') return stay(run);
  switch (event.kind) {
    case 'started':
      return run.phase.kind === 'starting' && event.attempt === run.attempt
        ? started(run, event.start, terms)
        : stay(run);
    case 'rest':
      return rest(run, event.rest, terms);
    case 'answered':
      return answered(run, event.answer, terms);
    case 'undelivered':
      return undelivered(run, event.reason, terms);
    case 'timeout':
      return wanted(run, { state: 'timed_out', reason: `it took longer than ${describeMs(event.afterMs)}` }, terms);
    case 'cancel':
      return wanted(run, { state: 'cancelled', reason: `cancelled by ${event.by}` }, terms);
    case 'withdrawn':
      return run.phase.kind === 'ending' && run.via === 'mailbox' ? settle(run, run.phase.outcome, terms) : stay(run);
    case 'waited':
      return waited(run);
    case 'collected':
      return run.phase.kind === 'collecting' ? collected(run, run.phase.outcome, event.collected, terms) : stay(run);
    case 'cleaned':
      return run.phase.kind === 'cleaning' ? done(run, run.phase.outcome) : stay(run);
  }
}

const stay = (run: RunProgress): RunStep => ({ run, effects: [] });

function started(run: RunProgress, start: RunStart, terms: RunTerms): RunStep {
  switch (start.kind) {
    case 'busy':
      if (run.wanted) return settle(run, run.wanted, terms);
      if (terms.busy === 'fail') return settle(run, { state: 'failed', reason: start.reason }, terms);
      return {
        run: {
          ...run,
          phase: { kind: 'waiting', why: 'busy' },
          busyTries: run.busyTries + 1,
          rest: null,
          reason: `waiting: ${start.reason}`,
        },
        effects: [{ kind: 'wait', delayMs: Math.min(BUSY_DELAY_MS * 2 ** run.busyTries, MAX_BUSY_DELAY_MS) }],
      };
    case 'failed':
      // The agent was there when the run began to wait for it.
      if (start.code === 'AGENT_NOT_FOUND' && run.busyTries > 0)
        return settle(run, run.wanted ?? { state: 'cancelled', reason: 'its agent was deleted' }, terms);
      return startFailed(run, start, terms);
    case 'process':
    case 'mailbox': {
      const { generation, kind: via } = start;
      const reason = via === 'process' ? `generation ${generation} runs for it` : 'its task is in the mailbox';
      const next: RunProgress = { ...run, phase: { kind: 'running' }, via, generation, reason };
      if (run.wanted) return end(next, run.wanted);
      if (via === 'process') return run.rest ? rest(next, run.rest, terms) : stay(next);
      if (run.answer) return settle(next, outcomeOfAnswer(run.answer), terms);
      if (run.undelivered !== undefined) return settle(next, outcomeOfUndelivered(run.undelivered), terms);
      return { run: next, effects: [{ kind: 'watch' }] };
    }
  }
}

function startFailed(
  run: RunProgress,
  { message, again }: { message: string; again: boolean },
  terms: RunTerms,
): RunStep {
  if (run.wanted) return settle(run, run.wanted, terms);
  const delayMs = again ? SPAWN_DELAYS_MS[run.attempt - 1] : undefined;
  if (delayMs !== undefined) {
    const reason = `try ${run.attempt} of ${MAX_ATTEMPTS} failed: ${message}; again in ${describeMs(delayMs)}`;
    return {
      run: { ...run, phase: { kind: 'waiting', why: 'spawn' }, rest: null, reason },
      effects: [{ kind: 'wait', delayMs }],
    };
  }
  const tried = run.attempt === 1 ? 'once' : `${run.attempt} times, with a pause between`;
  const outcome: RunOutcome = { state: 'failed', reason: `it could not be started: ${message}` };
  const failed = settle(run, outcome, terms, { isTold: true });
  const report: RunEffect = {
    kind: 'report',
    severity: 'warning',
    summary: `The run ${terms.run_id} of ${terms.agent_id} could not be started: ${message}`,
    tried: `started ${tried}: failed`,
    needed: 'Correct the agent or its template, then run it again',
  };
  return { ...failed, effects: [report, ...failed.effects] };
}

function rest(run: RunProgress, told: Rest, terms: RunTerms): RunStep {
  const { phase, via, attempt } = run;
  if (phase.kind === 'starting') return told.attempt === attempt ? stay({ ...run, rest: told }) : stay(run);
  if (phase.kind !== 'running' && phase.kind !== 'ending') return stay(run);
  if (via === 'process' && told.attempt !== attempt) return stay(run);
  const next: RunProgress = { ...run, generation: told.generation, rest: told };
  if (via === 'mailbox') return phase.kind === 'ending' ? stay(run) : collect(next, null, 'its agent has come to rest');
  if (told.ran && told.exit) next.exit = { code: told.exit.code, signal: told.exit.signal };
  if (phase.kind === 'ending') {
    const inTime = phase.outcome.state === 'timed_out' ? outcomeInTime(told, terms.deadlineMs) : undefined;
    const outcome = inTime ?? phase.outcome;
    return collect(next, outcome, outcome.reason);
  }
  const neverRan = told.how === 'failed' || (told.how === 'disabled' && !told.ran);
  if (neverRan) return startFailed(next, { message: told.reason, again: true }, terms);
  return collect(next, outcomeOfRest(told), told.reason);
}

function answered(run: RunProgress, answer: RunAnswer, terms: RunTerms): RunStep {
  // The first answer of the agent whose task it is counts; anybody may write to a queue.
  if (run.answer !== null || answer.from !== terms.agent_id) return stay(run);
  const next: RunProgress = { ...run, answer };
  if (run.phase.kind !== 'running' || run.via !== 'mailbox') return stay(next);
  return settle(next, outcomeOfAnswer(answer), terms);
}

function undelivered(run: RunProgress, reason: string, terms: RunTerms): RunStep {
  // Who refuses a task at once is faster than the news that the task is in its mailbox.
  if (isBeforeStart(run)) return stay({ ...run, undelivered: reason });
  if (run.phase.kind !== 'running' || run.via !== 'mailbox') return stay(run);
  return settle(run, outcomeOfUndelivered(reason), terms);
}

const isBeforeStart = ({ phase, via }: RunProgress): boolean =>
  via === null && (phase.kind === 'starting' || phase.kind === 'waiting');

/** Time is up, or somebody does not want it any more. */
function wanted(run: RunProgress, outcome: RunOutcome, terms: RunTerms): RunStep {
  switch (run.phase.kind) {
    case 'starting':
      return stay({ ...run, wanted: run.wanted ?? outcome });
    case 'waiting':
      return settle(run, outcome, terms);
    case 'running':
      return end(run, outcome);
    case 'collecting':
      return run.phase.outcome === null ? end(run, outcome) : stay(run);
    default:
      return stay(run);
  }
}

/** A process that was started for the run is stopped; an agent that ran anyway is only asked to forget the task. */
function end(run: RunProgress, outcome: RunOutcome): RunStep {
  const { reason } = outcome;
  return {
    run: { ...run, phase: { kind: 'ending', outcome }, reason },
    effects: run.via === 'mailbox' ? [{ kind: 'withdraw', reason }] : [{ kind: 'stop', reason }, { kind: 'watch' }],
  };
}

function waited(run: RunProgress): RunStep {
  const { phase } = run;
  switch (phase.kind) {
    case 'waiting': {
      const attempt = phase.why === 'spawn' ? run.attempt + 1 : run.attempt;
      return {
        run: { ...run, phase: { kind: 'starting' }, attempt, reason: 'starting its agent' },
        effects: [{ kind: 'start', attempt }],
      };
    }
    case 'running':
      return { run, effects: [{ kind: 'watch' }] };
    case 'collecting':
      return { run, effects: [{ kind: 'collect' }] };
    default:
      return stay(run);
  }
}

const collect = (run: RunProgress, outcome: RunOutcome | null, reason: string): RunStep => ({
  run: { ...run, phase: { kind: 'collecting', outcome }, reason },
  effects: [{ kind: 'collect' }],
});

function collected(
  run: RunProgress,
  outcome: RunOutcome | null,
  { output, answer: late, task }: RunCollected,
  terms: RunTerms,
): RunStep {
  const answer = run.answer ?? (late?.from === terms.agent_id ? late : null);
  const next: RunProgress = { ...run, output, answer };
  if (outcome !== null) {
    // That it ended well is not all: it may have said that it did not do what it was to do.
    const isContradicted = outcome.state === 'succeeded' && answer !== null && !answer.ok;
    return settle(next, isContradicted ? outcomeOfAnswer(answer) : outcome, terms);
  }
  if (answer !== null) return settle(next, outcomeOfAnswer(answer), terms);
  switch (task) {
    case 'leased':
      return { run: next, effects: [{ kind: 'wait', delayMs: LOOK_AGAIN_MS }] };
    case 'waiting':
      return {
        run: {
          ...next,
          phase: { kind: 'running' },
          reason: 'its task is in the mailbox, and its agent is to be woken',
        },
        effects: [{ kind: 'wait', delayMs: LOOK_AGAIN_MS }],
      };
    case 'withdrawn':
      return settle(
        next,
        { state: 'failed', reason: `its agent came to rest before it took the task: ${reasonOf(run)}` },
        terms,
      );
    case 'acknowledged':
      return settle(next, run.rest ? outcomeOfRest(run.rest) : { state: 'failed', reason: reasonOf(run) }, terms);
  }
}

const reasonOf = ({ rest: told, reason }: RunProgress): string => told?.reason ?? reason;

/** The outcome is known. `isTold`: people already know of a failure. */
function settle(
  run: RunProgress,
  outcome: RunOutcome,
  terms: RunTerms,
  { isTold = false }: { isTold?: boolean } = {},
): RunStep {
  const report = isTold ? undefined : reportOf(run, outcome, terms);
  const effects: RunEffect[] = report === undefined ? [] : [report];
  if (terms.cleanup === 'keep' || run.via === null) return done(run, outcome, effects);
  return {
    run: { ...run, phase: { kind: 'cleaning', outcome }, reason: `${outcome.reason}; deleting its agent` },
    effects: [...effects, { kind: 'clean-up' }],
  };
}

const done = (run: RunProgress, outcome: RunOutcome, effects: RunEffect[] = []): RunStep => ({
  run: { ...run, phase: { kind: 'done', outcome }, reason: outcome.reason },
  effects,
});

/** Nobody waits for a scheduled run: its failure is reported, unless its agent has been reported as given up. */
function reportOf(run: RunProgress, { state, reason }: RunOutcome, terms: RunTerms): RunEffect | undefined {
  if (terms.schedule_id === null || (state !== 'failed' && state !== 'timed_out')) return undefined;
  const gaveUp = run.rest?.how === 'disabled' && run.rest.ran && state === 'failed';
  if (gaveUp) return undefined;
  const what = state === 'failed' ? 'has failed' : 'was stopped';
  return {
    kind: 'report',
    severity: 'warning',
    summary: `The run ${terms.run_id} of schedule ${terms.schedule_id} ${what}: ${reason}`,
    tried: 'The next call of the schedule runs it again',
    needed: `See \`runs show ${terms.run_id}\` and the logs of ${terms.agent_id}`,
  };
}
