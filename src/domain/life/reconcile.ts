/** Brings a life in line with what the custodian holds. */
import type { AgentEvent, AgentState, Step } from '../agent-state.ts';
import type { Clock } from '../clock.ts';
import type { Custody } from '../custody.ts';
import { compare } from '../reconciliation.ts';
import { ended } from './ends.ts';
import { adoptPaused } from './pause.ts';
import { cancelWait, followDesired, isToEnd, mayLive, startNow, stay, stopProcess } from './steps.ts';

/** Nothing of what is told is believed. If it is not what is known, the custodian is asked. */
export function custodyHinted(
  state: AgentState,
  { custody, isLater }: Extract<AgentEvent, { kind: 'custody-hinted' }>,
): Step {
  return { state, effects: isLater || isNews(state, custody) ? [{ kind: 'look-up' }] : [] };
}

function isNews({ phase, generation, handled }: AgentState, custody: Custody): boolean {
  if (custody.fence > generation || (custody.last_exit?.generation ?? 0) > handled) return true;
  return compare('open', { phase: phase.kind, generation, handled }, custody, true) !== 'none';
}

/**
 * Brings the life in line with what the custodian holds.
 * live → that incarnation is taken over; an end not consumed yet → it is; nothing → the next goes above the fence.
 *
 * @param handledBefore what had been dealt with when the custodian was asked, if it was asked because of a difference
 */
export function reconcile(state: AgentState, custody: Custody, clock: Clock, handledBefore?: number): Step {
  const { live, last_exit: exit, fence } = custody;
  if (live && live.generation > state.handled) return adopt(state, live);
  // Its end has been dealt with. If that was before the custodian was asked, somebody has made the end up: it lives.
  if (live && live.generation <= (handledBefore ?? 0)) return adopt(state, live);
  if (live) return stay(state); // old news
  if (exit && exit.generation > state.handled) return ended(state, exit, clock);
  if (state.phase.kind === 'live' && fence >= state.generation) {
    // It was asked for, it is not there, and nobody knows of an end: it will never start. Not the agent's fault.
    return startNow(
      { ...state, handled: fence, generation: fence },
      `started again: generation ${fence} is superseded`,
    );
  }
  if (state.phase.kind === 'paused') {
    // The pause was faster than the start, which will never come; the next generation is started when it is resumed.
    return stay(fence >= state.generation ? { ...state, generation: fence, handled: fence } : state);
  }
  if (state.phase.kind === 'live' && handledBefore !== undefined) {
    // It is asked for, and was said to be missing. If it is on its way, to ask for it again changes nothing.
    return { state, effects: [{ kind: 'run', generation: state.generation }] };
  }
  if (state.phase.kind === 'live' || state.phase.kind === 'stopping') return stay(state);
  return stay({ ...state, generation: Math.max(state.generation, fence) });
}

function adopt(state: AgentState, live: NonNullable<Custody['live']>): Step {
  const { generation } = live;
  const same = generation === state.generation && mayLive(state);
  const next: AgentState = { ...state, generation, handled: generation - 1 };
  if (isToEnd(state) || (state.phase.kind === 'stopping' && same)) {
    if (state.phase.kind === 'stopping' && same) return stay(next);
    return stopProcess(next, `stopping generation ${generation}, which should not run`, undefined, cancelWait(state));
  }
  if (state.desired === 'paused') return adoptPaused(state, next, live);
  const resume = live.paused ? [{ kind: 'resume', generation } as const] : [];
  if (state.phase.kind === 'live' && same) return { state: next, effects: resume };
  return {
    state: { ...next, phase: { kind: 'live' }, reason: `adopted generation ${generation}` },
    effects: [...cancelWait(state), { kind: 'run', generation }, ...resume],
  };
}

export function stopSettled(state: AgentState, generation: number, custody: Custody, clock: Clock): Step {
  const known = reconcile(state, custody, clock);
  const waiting = known.state.phase.kind === 'stopping' && known.state.generation === generation;
  if (!waiting || custody.live) return known;
  // Nothing lives and there is no exit to consume: the incarnation had not started, and the fence keeps it so.
  return followDesired({ ...known.state, handled: Math.max(known.state.handled, generation) }, known.effects);
}

/** A pause or resume has been carried out, or there was nothing to carry it out on. Asking again is for reconciliation. */
export function held(state: AgentState, custody: Custody, clock: Clock): Step {
  const known = reconcile(state, custody, clock);
  return { ...known, effects: known.effects.filter(({ kind }) => kind !== 'pause' && kind !== 'resume') };
}
