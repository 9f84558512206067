/** An admission brings the rules of an agent (its input and template, resolved), and what the custodian holds. */
import type { AgentEffect, AgentState, Rules, Step } from '../agent-state.ts';
import type { Clock } from '../clock.ts';
import type { Custody } from '../custody.ts';
import { unstartableTrouble } from '../incidents/agent-trouble.ts';
import { reconcile } from './reconcile.ts';
import { PAUSED_EMPTY } from './pause.ts';
import {
  cancelWait,
  close,
  closeGeneration,
  failStop,
  followDesired,
  isToEnd,
  mayLive,
  replaceProcess,
  resetCounters,
  resolveNotices,
  restingDesire,
  stay,
  withIncident,
} from './steps.ts';

export function admitted(before: AgentState, rules: Rules, custody: Custody, clock: Clock): Step {
  const isChanged = before.rules !== null && before.rules.launchDigest !== rules.launchDigest;
  const state = withRules(before, rules, custody);
  switch (state.phase.kind) {
    case 'admitting':
    case 'waiting':
      return admittedToStart(state, custody, clock);
    case 'live':
      return isChanged ? replaceProcess(state) : reconcile(state, custody, clock);
    case 'paused':
      // Its process stands still: a stop would let it run. What has changed counts from the resume on.
      return reconcile(isChanged && mayLive(state) ? outdated(state) : state, custody, clock);
    case 'completed':
    case 'disabled':
      return admittedAtRest(state, isChanged, custody, clock);
    default:
      return reconcile(state, custody, clock);
  }
}

/** An agent that nobody has asked to run, and that does not start by itself, is created at rest. */
function withRules({ unasked, ...before }: AgentState, rules: Rules, custody: Custody): AgentState {
  const state: AgentState = { ...before, rules, admission: { ...before.admission, pending: false } };
  const isCreatedAtRest = unasked && rules.autostart === false && before.desired === 'running' && !custody.live;
  if (!isCreatedAtRest) return state;
  const reason = 'created; it runs when somebody, or its schedule, starts it';
  // From now on the agent exists, also if a start of it fails.
  return { ...state, desired: 'stopped', keepOnFailure: true, reason };
}

/** The agent goes to where it is wanted, unless what the custodian holds decides otherwise. */
function admittedToStart(state: AgentState, custody: Custody, clock: Clock): Step {
  const reconciled = reconcile(state, custody, clock);
  if (reconciled.state.phase.kind !== state.phase.kind) return reconciled;
  const reason = reconciled.state.desired === 'paused' ? PAUSED_EMPTY : reconciled.state.reason;
  return followDesired({ ...reconciled.state, reason }, [...reconciled.effects, ...cancelWait(state)]);
}

/** At rest the agent stays at rest, unless its process lives after all, or its definition has changed. */
function admittedAtRest(state: AgentState, isChanged: boolean, custody: Custody, clock: Clock): Step {
  if (!custody.live && (!isChanged || state.desired !== 'running')) return stay(state);
  const reconciled = reconcile(resetCounters(state), custody, clock);
  const isStillAtRest = reconciled.state.phase.kind === state.phase.kind;
  const next = isStillAtRest ? followDesired(reconciled.state, reconciled.effects) : reconciled;
  return { ...next, effects: [...resolveNotices(state, 'its definition has changed'), ...next.effects] };
}

const outdated = (state: AgentState): AgentState => ({
  ...state,
  phase: { kind: 'paused', outdated: true },
  reason: 'paused; its definition has changed, so it is restarted when it is resumed',
});

export function refused(
  before: AgentState,
  refusal: { code: string; message: string },
  custody: Custody,
  clock: Clock,
): Step {
  const state: AgentState = { ...before, admission: { ...before.admission, pending: false } };
  const { kind } = state.phase;
  const isAsked = kind === 'live' || kind === 'stopping' || kind === 'backoff' || (kind === 'paused' && mayLive(state));
  // A definition that cannot be used does not end a process that runs, or is about to: that one has a good definition.
  if (custody.live || (isAsked && state.rules !== null)) {
    const reconciled = reconcile(state, custody, clock);
    return { ...reconciled, state: { ...reconciled.state, reason: `keeps its definition: ${refusal.message}` } };
  }
  const seen = acknowledge(state, custody);
  if (isToEnd(seen)) return followDesired(seen, cancelWait(state));
  return unstartable(seen, refusal, cancelWait(state), clock);
}

/** Takes note of an end that cannot be judged, because there are no rules to judge it by. */
function acknowledge(state: AgentState, { last_exit: exit }: Custody): AgentState {
  if (!exit || exit.generation <= state.handled) return state;
  return { ...closeGeneration(state, exit.generation), lastExit: exit };
}

export function spawnFailed(state: AgentState, failure: { code: string; message: string }, clock: Clock): Step {
  const next = closeGeneration(state);
  if (isToEnd(state)) return followDesired(next, []);
  return unstartable(next, failure, [], clock);
}

/** The agent cannot be started, and trying again would change nothing. */
function unstartable(
  state: AgentState,
  { code, message }: { code: string; message: string },
  before: AgentEffect[],
  clock: Clock,
): Step {
  if (!state.keepOnFailure && state.lastExit === null) return close(state, { kind: 'failed', code, message });
  const reason = `gave up: ${message}`;
  const next: AgentState = { ...state, desired: restingDesire(state.rules), phase: { kind: 'disabled' }, reason };
  const policy = state.rules?.restart;
  const trouble = unstartableTrouble(policy, message);
  if (policy?.onGiveUp === 'fail-stop') return failStop(next, message, trouble, before, clock);
  return withIncident(next, reason, trouble, before);
}
