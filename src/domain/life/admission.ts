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
  failStop,
  fresh,
  renew,
  restingDesire,
  resolveAll,
  mayLive,
  isToEnd,
  settle,
  stay,
  withIncident,
} from './steps.ts';

export function admitted(before: AgentState, rules: Rules, custody: Custody, clock: Clock): Step {
  const changed = before.rules !== null && before.rules.launchDigest !== rules.launchDigest;
  const { unasked, ...known } = before;
  const waits = unasked && rules.autostart === false && known.desired === 'running' && !custody.live;
  const state: AgentState = {
    ...known,
    rules,
    admission: { ...before.admission, pending: false },
    // From now on it is there, also if a start of it fails.
    ...(waits ? { desired: 'stopped', keepOnFailure: true, reason: CREATED_AT_REST } : {}),
  };
  switch (state.phase.kind) {
    case 'admitting':
    case 'waiting': {
      const known = reconcile(state, custody, clock);
      if (known.state.phase.kind !== state.phase.kind) return known;
      const reason = known.state.desired === 'paused' ? PAUSED_EMPTY : known.state.reason;
      return settle({ ...known.state, reason }, [...known.effects, ...cancelWait(state)]);
    }
    case 'paused':
      // It stands still: to stop it would let it run. What has changed counts from the resume on.
      return reconcile(changed && mayLive(state) ? outdated(state) : state, custody, clock);
    case 'live':
      if (!changed) return reconcile(state, custody, clock);
      return renew(state);
    case 'completed':
    case 'disabled': {
      // At rest, it stays at rest; unless its process lives after all, or its definition is another now.
      if (!custody.live && (!changed || state.desired !== 'running')) return stay(state);
      const known = reconcile({ ...state, ...fresh(state), desired: state.desired }, custody, clock);
      const next = known.state.phase.kind === state.phase.kind ? settle(known.state, known.effects) : known;
      return { ...next, effects: [...resolveAll(state, 'its definition has changed'), ...next.effects] };
    }
    default:
      return reconcile(state, custody, clock);
  }
}

const CREATED_AT_REST = 'created; it runs when somebody, or its schedule, starts it';

const outdated = (state: AgentState): AgentState => ({
  ...state,
  phase: { kind: 'paused', outdated: true },
  reason: 'paused; its definition has changed, so it is started anew when it is resumed',
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
  // Neither a process that runs nor one that is about to is ended by a definition that cannot be used: it has a good one.
  if (custody.live || (isAsked && state.rules !== null)) {
    const known = reconcile(state, custody, clock);
    return { ...known, state: { ...known.state, reason: `keeps its definition: ${refusal.message}` } };
  }
  const seen = acknowledge(state, custody);
  if (isToEnd(seen)) return settle(seen, cancelWait(state));
  return unstartable(seen, refusal, cancelWait(state), clock);
}

/** Takes note of an end that cannot be judged, because there are no rules to judge it by. */
function acknowledge(state: AgentState, { last_exit: exit }: Custody): AgentState {
  if (!exit || exit.generation <= state.handled) return state;
  const generation = Math.max(state.generation, exit.generation);
  return { ...state, generation, handled: exit.generation, lastExit: exit };
}

export function spawnFailed(state: AgentState, failure: { code: string; message: string }, clock: Clock): Step {
  const next: AgentState = { ...state, handled: state.generation };
  if (isToEnd(state)) return settle(next, []);
  return unstartable(next, failure, [], clock);
}

/** It cannot start, and trying again would change nothing. */
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
