/** An admission brings the rules of an agent (its input and template, resolved), and what the custodian holds. */
import type { AgentState, Clock, Rules, Step } from '../agent-state.ts';
import type { Custody } from '../custody.ts';
import { reconcile } from './reconcile.ts';
import { close, failStop, fresh, settle, stay, stopProcess, withIncident } from './steps.ts';

export function admitted(before: AgentState, rules: Rules, custody: Custody, clock: Clock): Step {
  const changed = before.rules !== null && before.rules.launchDigest !== rules.launchDigest;
  const state: AgentState = { ...before, rules, admission: { ...before.admission, pending: false } };
  switch (state.phase.kind) {
    case 'admitting': {
      const known = reconcile(state, custody, clock);
      return known.state.phase.kind === 'admitting' ? settle(known.state, known.commands) : known;
    }
    case 'live':
      if (!changed) return reconcile(state, custody, clock);
      return stopProcess({ ...state, ...fresh(state) }, 'restarting: its definition has changed');
    case 'completed':
    case 'disabled':
      if (custody.live || changed) {
        const known = reconcile({ ...state, ...fresh(state) }, custody, clock);
        return known.state.phase.kind === state.phase.kind ? settle(known.state, known.commands) : known;
      }
      return stay(state);
    default:
      return reconcile(state, custody, clock);
  }
}

export function refused(state: AgentState, code: string, message: string): Step {
  const next: AgentState = { ...state, admission: { ...state.admission, pending: false } };
  if (state.desired === 'deleted') return close(next, { kind: 'deleted' });
  // A process that runs is not ended by a definition that does not parse.
  if (next.phase.kind === 'live' || next.phase.kind === 'stopping') {
    return stay({ ...next, reason: `keeps its definition: ${message}` });
  }
  return unstartable(next, code, message);
}

export function spawnFailed(state: AgentState, code: string, message: string): Step {
  const next: AgentState = { ...state, handled: state.generation };
  if (state.desired !== 'running') return settle(next, []);
  return unstartable(next, code, message);
}

/** It cannot start, and trying again would change nothing. */
function unstartable(state: AgentState, code: string, message: string): Step {
  if (!state.keepOnFailure && state.lastExit === null) return close(state, { kind: 'failed', code, message });
  const reason = `gave up: ${message}`;
  const next: AgentState = { ...state, phase: { kind: 'disabled' }, reason };
  if (state.rules?.restart.onGiveUp === 'fail-stop') return failStop(next, message);
  return withIncident(next, reason, []);
}
