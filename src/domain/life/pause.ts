/**
 * Pause and resume. A pause is a wish like a stop: it holds until it is taken back, also when the process is lost
 * meanwhile. So nothing of a paused agent runs, whatever happens to daemon, machine or process.
 */
import type { AgentState, Step } from '../agent-state.ts';
import type { Custody, ExitRecord } from '../custody.ts';
import { describeExit } from '../reasons.ts';
import { cancelWait, mayLive, replaceProcess, startWhenReady, stay } from './steps.ts';

/** Where nothing is to run, there is nothing to pause. */
export function pauseCommand(state: AgentState): Step {
  if (state.desired !== 'running') return stay(state);
  const next: AgentState = { ...state, desired: 'paused' };
  switch (state.phase.kind) {
    case 'live':
      return {
        state: { ...next, phase: { kind: 'paused' }, reason: 'paused by an operator' },
        effects: [{ kind: 'pause', generation: state.generation }],
      };
    case 'waiting':
    case 'backoff':
      return {
        state: { ...next, phase: { kind: 'paused' }, reason: `${PAUSED_EMPTY}; ${state.reason}` },
        effects: cancelWait(state),
      };
    case 'admitting':
    case 'stopping': // paused once the stop, of a restart, is complete
      return stay(next);
    default:
      return stay(state);
  }
}

export const PAUSED_EMPTY = 'paused by an operator; its process is started when it is resumed';

export function resumeCommand(state: AgentState): Step {
  if (state.desired !== 'paused') return stay(state);
  const next: AgentState = { ...state, desired: 'running' };
  if (state.phase.kind !== 'paused') return stay(next);
  if (!mayLive(state)) return startWhenReady(next, 'resumed by an operator');
  if (state.phase.outdated) return replaceProcess(next);
  return {
    state: { ...next, phase: { kind: 'live' }, reason: 'resumed by an operator' },
    effects: [{ kind: 'resume', generation: state.generation }],
  };
}

/** A paused agent that would be started again now: it is when it is resumed. */
export function startWhenResumed(state: AgentState, exit: ExitRecord): Step {
  const reason = `${describeExit(exit)}; paused, its process is started again when it is resumed`;
  return stay({ ...state, phase: { kind: 'paused' }, reason });
}

/** Takes over a living incarnation of an agent that is to be paused. */
export function adoptPaused(before: AgentState, state: AgentState, live: NonNullable<Custody['live']>): Step {
  const { generation } = live;
  const pause = live.paused ? [] : [{ kind: 'pause', generation } as const];
  if (state.phase.kind === 'paused' && generation === before.generation && mayLive(before))
    return { state, effects: pause };
  return {
    state: { ...state, phase: { kind: 'paused' }, reason: `paused; adopted generation ${generation}` },
    effects: [...cancelWait(before), { kind: 'run', generation }, ...pause],
  };
}
