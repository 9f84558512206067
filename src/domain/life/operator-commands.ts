/** What people and other programs ask of an agent. */
import type { AgentEvent, AgentState, Step } from '../agent-state.ts';
import { resumeCommand } from './pause.ts';
import {
  cancelWait,
  clearNotices,
  followDesired,
  mayLive,
  ordered,
  readmit,
  resetCounters,
  resolveNotices,
  stay,
  stopProcess,
} from './steps.ts';

export function startCommand(before: AgentState): Step {
  const { unasked: _, ...state } = before;
  // Who starts a paused agent wants it to run.
  if (state.desired === 'paused') return resumeCommand(state);
  const next: AgentState = { ...state, desired: 'running' };
  switch (state.phase.kind) {
    case 'live':
    case 'admitting':
    case 'stopping': // starts again once the stop is complete
      return stay(next);
    default:
      return readmitForStart(state, 'started by an operator');
  }
}

export function restartCommand(before: AgentState): Step {
  const { unasked: _, ...state } = before;
  const why = 'restarted by an operator';
  switch (state.phase.kind) {
    case 'live':
    case 'paused':
      if (state.phase.kind === 'paused' && !mayLive(state)) return readmitForStart(state, why);
      return stopProcess(forgiven(state), why, ordered(state), resolveNotices(state, why));
    case 'admitting':
    case 'stopping':
      return stay({ ...state, desired: 'running' });
    default:
      return readmitForStart(state, why);
  }
}

function readmitForStart(state: AgentState, reason: string): Step {
  const effects = [...cancelWait(state), ...resolveNotices(state, reason)];
  return readmit({ ...forgiven(state), phase: { kind: 'admitting' } }, reason, effects);
}

const forgiven = (state: AgentState): AgentState => ({ ...resetCounters(state), desired: 'running' });

/** `before.desired` is already `stopped` or `deleted`. What is not to run any more is no trouble. */
export function stopCommand(before: AgentState, graceMs: number | undefined): Step {
  const why = before.desired === 'deleted' ? 'deleted by an operator' : 'stopped by an operator';
  const stopped = stopNow(clearNotices(before), why, graceMs);
  return { ...stopped, effects: [...resolveNotices(before, why), ...stopped.effects] };
}

function stopNow(state: AgentState, why: string, graceMs: number | undefined): Step {
  switch (state.phase.kind) {
    case 'live':
      return stopProcess(state, why, ordered(state, graceMs));
    case 'paused':
      if (mayLive(state)) return stopProcess(state, why, ordered(state, graceMs));
      return followDesired({ ...state, reason: why }, []);
    case 'stopping':
      // Only a shorter grace is news to the custodian.
      return graceMs === undefined ? stay(state) : stopProcess(state, why, ordered(state, graceMs));
    case 'admitting':
      return stay({ ...state, reason: why });
    default:
      return followDesired({ ...state, reason: why }, cancelWait(state));
  }
}

const OPERATORS: ReadonlySet<AgentEvent['kind']> = new Set([
  'start',
  'stop',
  'restart',
  'pause',
  'resume',
  'configure',
] as const);

export const isOperators = (event: AgentEvent): boolean => OPERATORS.has(event.kind);
