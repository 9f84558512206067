/** What people and other programs ask of an agent. */
import type { AgentEvent, AgentState, Step } from '../agent-state.ts';
import { cancelSleep, fresh, readmit, resolveIncident, settle, stay, stopProcess } from './steps.ts';

export function startCommand(state: AgentState): Step {
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

export function restartCommand(state: AgentState): Step {
  switch (state.phase.kind) {
    case 'live':
      return stopProcess(
        { ...state, ...fresh(state) },
        'restarted by an operator',
        undefined,
        resolveIncident(state, 'restarted by an operator'),
      );
    case 'admitting':
    case 'stopping':
      return stay({ ...state, desired: 'running' });
    default:
      return readmitForStart(state, 'restarted by an operator');
  }
}

function readmitForStart(state: AgentState, reason: string): Step {
  const commands = [...cancelSleep(state), ...resolveIncident(state, reason)];
  return readmit({ ...state, ...fresh(state), phase: { kind: 'admitting' } }, reason, commands);
}

/** `state.desired` is already `stopped` or `deleted`. */
export function stopCommand(state: AgentState, graceMs: number | undefined): Step {
  const why = state.desired === 'deleted' ? 'deleted by an operator' : 'stopped by an operator';
  switch (state.phase.kind) {
    case 'live':
      return stopProcess(state, why, graceMs);
    case 'stopping':
      // Only a shorter grace is news to the custodian.
      return graceMs === undefined ? stay(state) : stopProcess(state, why, graceMs);
    case 'admitting':
      return stay({ ...state, reason: why });
    default:
      return settle({ ...state, reason: why }, cancelSleep(state));
  }
}

export const isOperators = (event: AgentEvent): boolean =>
  event.kind === 'start' || event.kind === 'stop' || event.kind === 'restart' || event.kind === 'configure';
