import type { Phase } from './agent-state.ts';

/** The part of a host's facts that the state of an agent depends on. */
export interface Liveness {
  generation: number;
  pid: number | null;
  ready: boolean;
  paused?: boolean;
}

export type PublicState =
  | 'pending'
  | 'starting'
  | 'running'
  | 'unready'
  | 'stopping'
  | 'stopped'
  | 'backoff'
  | 'completed'
  | 'paused'
  | 'disabled';

/** One word for the state of an agent, put together from what was decided and what its host sees. */
export function publicState(phase: Phase, generation: number, process: Liveness | null): PublicState {
  switch (phase.kind) {
    case 'admitting':
    case 'waiting':
      return 'pending';
    case 'live':
      if (process === null || process.generation !== generation || process.pid === null) return 'starting';
      if (process.paused) return 'paused'; // resumed in a moment
      return process.ready ? 'running' : 'unready';
    case 'closed':
      return 'stopped';
    default:
      return phase.kind;
  }
}

/** How a history calls what was decided; `incident` is what people must know. */
export type TransitionState = PublicState | 'deleted' | 'incident';

/** The word that everybody reads for a decision, before its host has seen anything of it. */
export function transitionState(state: Phase['kind'] | 'incident'): TransitionState {
  if (state === 'incident') return state;
  return state === 'closed' ? 'deleted' : publicState({ kind: state } as Phase, 0, null);
}

/** `agent_state{agent}`: 1 while the process lives, stands not still and, where readiness is declared, is ready; else 0. */
export function isUp(process: Liveness | null): boolean {
  return process !== null && process.pid !== null && process.ready && !process.paused;
}
