/** Brings a life in line with what the custodian holds. */
import type { AgentEvent, AgentState, Step } from '../agent-state.ts';
import type { Clock } from '../clock.ts';
import type { Custody, ExitRecord } from '../custody.ts';
import { compare } from '../reconciliation.ts';
import { ended } from './ends.ts';
import { adoptPaused } from './pause.ts';
import { cancelWait, closeGeneration, followDesired, isToEnd, mayLive, startNow, stay, stopProcess } from './steps.ts';

/** A hint is not believed. If it differs from what is known, the custodian is asked. */
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

/** What the custodian's word means to this life. */
type CustodyFinding =
  /** An incarnation lives whose end has not been dealt with, or was made up. */
  | { kind: 'lives'; live: NonNullable<Custody['live']> }
  /** An end that has not been dealt with. */
  | { kind: 'ended'; exit: ExitRecord }
  /** Nothing lives, nobody knows of an end, and the fence forbids the latest generation: it will never start. */
  | { kind: 'used-up'; fence: number }
  /** The custodian has not heard of the latest generation: it may still start. */
  | { kind: 'unheard' }
  /** Something lived whose end has been dealt with since. */
  | { kind: 'stale' };

function readCustody(state: AgentState, custody: Custody, handledBefore: number): CustodyFinding {
  const { live, last_exit: exit, fence } = custody;
  if (live && live.generation > state.handled) return { kind: 'lives', live };
  // If its end had been dealt with before the custodian was asked, somebody has made that end up.
  if (live && live.generation <= handledBefore) return { kind: 'lives', live };
  if (live) return { kind: 'stale' };
  if (exit && exit.generation > state.handled) return { kind: 'ended', exit };
  return fence >= state.generation ? { kind: 'used-up', fence } : { kind: 'unheard' };
}

/**
 * Brings the life in line with what the custodian holds: what lives is adopted, an end is consumed, and what will never
 * start is replaced by the next generation, above the fence.
 *
 * @param handledBefore what had been dealt with when the custodian was asked, if it was asked because of a difference
 */
export function reconcile(state: AgentState, custody: Custody, clock: Clock, handledBefore?: number): Step {
  const finding = readCustody(state, custody, handledBefore ?? 0);
  switch (finding.kind) {
    case 'lives':
      return adopt(state, finding.live);
    case 'ended':
      return ended(state, finding.exit, clock);
    case 'used-up':
      return usedUp(state, finding.fence);
    case 'unheard': {
      const isMissed = state.phase.kind === 'live' && handledBefore !== undefined;
      // It may be on its way: then to ask for it again changes nothing.
      return isMissed ? { state, effects: [{ kind: 'run', generation: state.generation }] } : stay(state);
    }
    case 'stale':
      return stay(state);
  }
}

function usedUp(state: AgentState, fence: number): Step {
  switch (state.phase.kind) {
    case 'live': // not the agent's fault: nothing is counted
      return startNow(closeGeneration(state, fence), `started again: generation ${fence} is superseded`);
    case 'paused': // the pause was faster than the start; the next generation is started on resume
      return stay(closeGeneration(state, fence));
    case 'stopping': // the stop has been carried out; its own answer may have got lost
      return followDesired(closeGeneration(state, fence), []);
    default:
      return stay({ ...state, generation: fence });
  }
}

/** True if the custodian's word ends a stop, also without the answer to it: what was to be stopped will never start. */
export const isStopDone = (state: AgentState, custody: Custody): boolean =>
  state.phase.kind === 'stopping' && readCustody(state, custody, 0).kind === 'used-up';

function adopt(state: AgentState, live: NonNullable<Custody['live']>): Step {
  const { generation } = live;
  const isLatest = generation === state.generation && mayLive(state);
  const next: AgentState = { ...state, generation, handled: generation - 1 };
  if (state.phase.kind === 'stopping' && isLatest) return stay(next);
  if (isToEnd(state)) {
    const reason = `stopping generation ${generation}, which should not run`;
    return stopProcess(next, reason, undefined, cancelWait(state));
  }
  if (state.desired === 'paused') return adoptPaused(state, next, live);
  const resume = live.paused ? [{ kind: 'resume', generation } as const] : [];
  if (state.phase.kind === 'live' && isLatest) return { state: next, effects: resume };
  return {
    state: { ...next, phase: { kind: 'live' }, reason: `adopted generation ${generation}` },
    effects: [...cancelWait(state), { kind: 'run', generation }, ...resume],
  };
}

export function stopSettled(state: AgentState, generation: number, custody: Custody, clock: Clock): Step {
  const reconciled = reconcile(state, custody, clock);
  const isOpen = reconciled.state.phase.kind === 'stopping' && reconciled.state.generation === generation;
  if (!isOpen || custody.live) return reconciled;
  // Nothing lives and there is no exit to consume: the incarnation had not started, and the fence keeps it so.
  return followDesired(closeGeneration(reconciled.state), reconciled.effects);
}

/** A pause or resume has been carried out, or there was nothing to carry it out on. To ask again is up to reconciliation. */
export function held(state: AgentState, custody: Custody, clock: Clock): Step {
  const reconciled = reconcile(state, custody, clock);
  return { ...reconciled, effects: reconciled.effects.filter(({ kind }) => kind !== 'pause' && kind !== 'resume') };
}
