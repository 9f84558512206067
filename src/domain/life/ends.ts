/** An incarnation has ended: was it a failure, and what follows? */
import type { AgentState, Clock, Rules, Step } from '../agent-state.ts';
import type { ExitRecord } from '../custody.ts';
import { failuresTrouble, givenUpTrouble, isWorthTelling } from '../incidents/agent-trouble.ts';
import { describeBackoff, describeExit, describeRestart } from '../reasons.ts';
import {
  afterRun,
  decide,
  judge,
  opensIncident,
  withFailure,
  type Judgement,
  type RestartPolicy,
} from '../restart-policy.ts';
import { startWhenResumed } from './pause.ts';
import {
  begin,
  cancelWait,
  failStop,
  forgiven,
  isToEnd,
  readmit,
  resolveAll,
  resolveIncident,
  restingDesire,
  run,
  settle,
  stay,
  stopPolicy,
  withIncident,
} from './steps.ts';

export function ended(state: AgentState, exit: ExitRecord, clock: Clock): Step {
  if (exit.generation <= state.handled) return stay(state);
  // Without rules nothing can be judged; an admission brings them, and this exit again.
  if (state.rules === null) return state.admission.pending ? stay(state) : readmit(unruled(state), describeExit(exit));
  const next: AgentState = {
    ...state,
    handled: exit.generation,
    generation: Math.max(state.generation, exit.generation),
    lastExit: exit,
    reason: describeExit(exit),
  };
  if (isToEnd(next)) return settleRun(settle(next, cancelWait(state)), state.rules, exit, clock);
  if (next.overLimit !== 'running') return afterExit(next, state.rules, exit, clock);
  const over = afterExit({ ...next, overLimit: null }, state.rules, exit, clock);
  return { ...over, effects: [{ kind: 'notice-over', summary: describeExit(exit) }, ...over.effects] };
}

/** Whether a run has done its work is a matter of its own end, also if that was overtaken by a stop. */
function settleRun(settled: Step, rules: Rules, exit: ExitRecord, clock: Clock): Step {
  const { state, effects } = settled;
  if (!rules.finite || exit.cause !== 'self' || state.phase.kind !== 'stopped') return settled;
  const policy = rules.restart;
  const judgement = judge(policy, exit);
  const before = afterRun(state.failures, policy, exit.ran_ms);
  const failures = judgement.kind === 'failure' ? withFailure(before, policy, clock.nowMs) : before;
  const decision = decide(policy, judgement, failures, clock.random01);
  if (decision.kind === 'restart') return settled;
  const own = decision.kind === 'complete' ? 'completed' : 'disabled';
  return { state: { ...state, phase: { kind: 'stopped', own } }, effects };
}

const unruled = (state: AgentState): AgentState => ({ ...state, phase: { kind: 'admitting' } });

/**
 * An operator, or another definition, has it stopped in order to start it again, and it was faster than the stop: what was
 * ordered holds, however it has ended. Only the task of a run that is done is not done again.
 */
export function isReplaced({ phase, desired, rules }: AgentState, exit: ExitRecord): boolean {
  if (phase.kind !== 'stopping' || desired !== 'running' || exit.cause !== 'self' || rules === null) return false;
  if ((phase.order?.cause ?? 'operator') !== 'operator') return false;
  return !rules.finite || judge(rules.restart, exit).kind !== 'success';
}

/** The end that comes next is judged, whatever was ordered: as it was in lives that began before `isReplaced`. */
export const asJudged = (state: AgentState): AgentState =>
  state.phase.kind === 'stopping'
    ? { ...state, phase: { kind: 'stopping', order: { stop: stopPolicy(state), cause: 'shutdown' } } }
    : state;

function afterExit(before: AgentState, rules: Rules, exit: ExitRecord, clock: Clock): Step {
  const policy = rules.restart;
  const judgement: Judgement = isReplaced(before, exit) ? { kind: 'excused' } : judge(policy, exit);
  const rested = endEpisodeIfStable(before, policy, exit);
  const state = judgement.kind === 'failure' ? charge(rested.state, policy, clock) : rested.state;
  const { effects } = rested;
  const decision = decide(policy, judgement, state.failures, clock.random01);
  switch (decision.kind) {
    case 'complete':
      return {
        state: { ...state, desired: restingDesire(rules), phase: { kind: 'completed' }, ...forgiven(state) },
        effects: [...effects, ...resolveAll(state, 'it has completed')],
      };
    case 'give-up': {
      const reason = `gave up: ${decision.why}; ${describeExit(exit)}`;
      const disabled: AgentState = { ...state, desired: restingDesire(rules), phase: { kind: 'disabled' }, reason };
      const trouble = givenUpTrouble(policy, state.failures, state.restarts, exit);
      if (decision.then === 'fail-stop') return failStop(disabled, reason, trouble, effects, clock);
      return withIncident(disabled, reason, trouble, effects);
    }
    case 'restart': {
      if (judgement.kind === 'excused') {
        if (state.desired === 'paused') return startWhenResumed(state, exit);
        return begin(state, `started again: ${describeExit(exit)}`, effects);
      }
      const counted = { ...state, restarts: state.restarts + 1 };
      const isPaused = state.desired === 'paused';
      const waiting = isPaused ? startWhenResumed(counted, exit) : backoff(counted, exit, decision.delayMs, clock);
      const all = [...effects, ...waiting.effects];
      if (judgement.kind === 'success' || !opensIncident(policy, state.failures)) return { ...waiting, effects: all };
      const isKnown = state.episode.incident && !isWorthTelling(policy, state.failures);
      if (isKnown) return { ...waiting, effects: all };
      const summary = `${state.failures.consecutive} failures in a row; ${describeExit(exit)}`;
      return withIncident(waiting.state, summary, failuresTrouble(policy, state.failures, counted.restarts, exit), all);
    }
  }
}

/** A run that was stable ends the failing episode before it, and its incident. */
function endEpisodeIfStable(state: AgentState, policy: RestartPolicy, exit: ExitRecord): Step {
  const failures = afterRun(state.failures, policy, exit.ran_ms);
  if (failures.consecutive === state.failures.consecutive) return stay(state);
  return {
    state: { ...state, failures, episode: { ...state.episode, incident: false } },
    effects: resolveIncident(state, 'the agent has run stably again'),
  };
}

/** One failure more. The first in a row begins an episode. */
function charge(state: AgentState, policy: RestartPolicy, clock: Clock): AgentState {
  const failures = withFailure(state.failures, policy, clock.nowMs);
  const begins = failures.consecutive === 1;
  const episode = begins ? { number: state.episode.number + 1, incident: false } : state.episode;
  return { ...state, failures, episode };
}

function backoff(state: AgentState, exit: ExitRecord, delayMs: number, clock: Clock): Step {
  if (delayMs === 0) return run(state, describeRestart(exit, state.restarts));
  const reason = describeBackoff(exit, state.restarts, delayMs);
  return {
    state: { ...state, phase: { kind: 'backoff', untilMs: clock.nowMs + delayMs }, reason },
    effects: [{ kind: 'sleep', delayMs }],
  };
}
