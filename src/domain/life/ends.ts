/** An incarnation has ended: was it a failure, and what follows? */
import type { AgentState, Rules, Step } from '../agent-state.ts';
import type { Clock } from '../clock.ts';
import type { ExitRecord } from '../custody.ts';
import { failuresTrouble, givenUpTrouble, isWorthTelling } from '../incidents/agent-trouble.ts';
import { describeBackoff, describeExit, describeRestart } from '../reasons.ts';
import { assess, judge, type Assessment } from '../restart-policy.ts';
import { startWhenResumed } from './pause.ts';
import {
  cancelWait,
  clearNotices,
  closeGeneration,
  failStop,
  followDesired,
  isToEnd,
  readmit,
  resolveIncident,
  resolveNotices,
  restingDesire,
  startNow,
  startWhenReady,
  stay,
  withIncident,
} from './steps.ts';

export function ended(state: AgentState, exit: ExitRecord, clock: Clock): Step {
  if (exit.generation <= state.handled) return stay(state);
  // Without rules nothing can be judged; an admission brings them, and this exit again.
  if (state.rules === null) return state.admission.pending ? stay(state) : readmit(unruled(state), describeExit(exit));
  const next: AgentState = {
    ...closeGeneration(state, exit.generation),
    lastExit: exit,
    reason: describeExit(exit),
  };
  if (isToEnd(next)) return settleRun(followDesired(next, cancelWait(state)), state.rules, exit, clock);
  if (next.overLimit !== 'running') return afterExit(next, state.rules, exit, clock);
  const over = afterExit({ ...next, overLimit: null }, state.rules, exit, clock);
  return { ...over, effects: [{ kind: 'notice-over', summary: describeExit(exit) }, ...over.effects] };
}

/** Whether a run has done its work is decided by its own end, also if a stop was ordered before that. */
function settleRun(settled: Step, rules: Rules, exit: ExitRecord, clock: Clock): Step {
  const { state, effects } = settled;
  if (!rules.finite || exit.cause !== 'self' || state.phase.kind !== 'stopped') return settled;
  const { next } = assess(rules.restart, state.failures, exit, clock);
  if (next.kind === 'restart') return settled;
  const own = next.kind === 'complete' ? 'completed' : 'disabled';
  return { state: { ...state, phase: { kind: 'stopped', own } }, effects };
}

const unruled = (state: AgentState): AgentState => ({ ...state, phase: { kind: 'admitting' } });

/**
 * A restart was ordered, by an operator or a new definition, and the process exited before the stop reached it. The restart
 * holds whatever the exit code, except that a run that succeeded is not repeated.
 */
export function isReplaced({ phase, desired, rules }: AgentState, exit: ExitRecord): boolean {
  if (phase.kind !== 'stopping' || desired !== 'running' || exit.cause !== 'self' || rules === null) return false;
  if ((phase.order?.cause ?? 'operator') !== 'operator') return false;
  return !rules.finite || judge(rules.restart, exit) !== 'success';
}

function afterExit(before: AgentState, rules: Rules, exit: ExitRecord, clock: Clock): Step {
  const policy = rules.restart;
  const assessment = assess(policy, before.failures, exit, clock, isReplaced(before, exit));
  const { judgement, failures, next } = assessment;
  const state: AgentState = { ...before, failures, episode: episodeAfter(before.episode, assessment) };
  const effects = assessment.endsEpisode ? resolveIncident(before, 'the agent has run stably again') : [];
  switch (next.kind) {
    case 'complete':
      return {
        state: { ...clearNotices(state), desired: restingDesire(rules), phase: { kind: 'completed' } },
        effects: [...effects, ...resolveNotices(state, 'it has completed')],
      };
    case 'give-up': {
      const reason = `gave up: ${next.why}; ${describeExit(exit)}`;
      const disabled: AgentState = { ...state, desired: restingDesire(rules), phase: { kind: 'disabled' }, reason };
      const trouble = givenUpTrouble(policy, failures, state.restarts, exit);
      if (next.then === 'fail-stop') return failStop(disabled, reason, trouble, effects, clock);
      return withIncident(disabled, reason, trouble, effects);
    }
    case 'restart': {
      const isPaused = state.desired === 'paused';
      if (judgement === 'excused') {
        if (isPaused) return startWhenResumed(state, exit);
        return startWhenReady(state, `started again: ${describeExit(exit)}`, effects);
      }
      const counted = { ...state, restarts: state.restarts + 1 };
      const waiting = isPaused ? startWhenResumed(counted, exit) : backoff(counted, exit, next.delayMs, clock);
      const all = [...effects, ...waiting.effects];
      const isNews = !state.episode.incident || isWorthTelling(policy, failures);
      if (!assessment.opensIncident || !isNews) return { ...waiting, effects: all };
      const summary = `${failures.consecutive} failures in a row; ${describeExit(exit)}`;
      return withIncident(waiting.state, summary, failuresTrouble(policy, failures, counted.restarts, exit), all);
    }
  }
}

function episodeAfter(
  episode: AgentState['episode'],
  { endsEpisode, beginsEpisode }: Assessment,
): AgentState['episode'] {
  if (beginsEpisode) return { number: episode.number + 1, incident: false };
  return endsEpisode ? { ...episode, incident: false } : episode;
}

function backoff(state: AgentState, exit: ExitRecord, delayMs: number, clock: Clock): Step {
  if (delayMs === 0) return startNow(state, describeRestart(exit, state.restarts));
  const reason = describeBackoff(exit, state.restarts, delayMs);
  return {
    state: { ...state, phase: { kind: 'backoff', untilMs: clock.nowMs + delayMs }, reason },
    effects: [{ kind: 'sleep', delayMs }],
  };
}
