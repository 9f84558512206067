/** Acknowledged, resolved, opened again. */
import type { IncidentState, IncidentStep } from './incident-state.ts';
import { escalate, noted, QUIET, stay, tellChief, tellPeople, andThen, withEffects, withNote } from './steps.ts';

export const isPending = ({ proposal, decision }: IncidentState): boolean => proposal !== null && decision === null;

export function acknowledge(state: IncidentState, by: string, note: string | null, nowMs: number): IncidentStep {
  if (state.status !== 'open') return stay(state);
  const says = withNote(`acknowledged by ${by}`, note);
  // The chief cannot decide, so people have to hear of it all the same.
  if (isPending(state) && by === state.told.chief)
    return stay(noted(state, `${says}; only a person can decide, so people go on being told`, nowMs));
  const { escalation } = state;
  return stay(
    noted(
      {
        ...state,
        status: 'acknowledged',
        acknowledged: { by, atMs: nowMs },
        escalation: { ...escalation, ...QUIET },
      },
      says,
      nowMs,
    ),
  );
}

/** @param about what those hear who had heard of it */
export function resolve(
  state: IncidentState,
  by: string,
  note: string | null,
  nowMs: number,
  about: 'resolved' | 'decided' = 'resolved',
): IncidentStep {
  if (state.status === 'resolved') return stay(state);
  const isWithdrawn = isPending(state);
  const ended: IncidentState = {
    ...state,
    status: 'resolved',
    resolved: { by, atMs: nowMs, reason: note },
    escalation: { ...state.escalation, ...QUIET },
    recovery: null,
  };
  const says = withNote(isWithdrawn ? `withdrawn by ${by}, undecided` : `resolved by ${by}`, note);
  const told = tellOfEnd(noted(ended, says, nowMs), about, by);
  if (!isWithdrawn || by === state.openedBy) return told;
  return withEffects(told, { kind: 'tell-asker', asker: state.openedBy, what: 'withdrawn' });
}

/** Who has heard of it hears of its end; not the one who has brought it about. */
function tellOfEnd(state: IncidentState, about: 'resolved' | 'decided', by: string): IncidentStep {
  const { chief, people } = state.told;
  const first = chief !== null && chief !== by ? tellChief(state, chief, about) : stay(state);
  return people ? andThen(first, (next) => tellPeople(next, about)) : first;
}

export function reopen(state: IncidentState, by: string, note: string | null, nowMs: number): IncidentStep {
  if (state.status !== 'resolved') return stay(state);
  const { proposal } = state;
  // A proposal that has expired meanwhile must not be decided behind the back of the person who reopens it.
  const isOver = proposal?.expiresAtMs != null && proposal.expiresAtMs <= nowMs;
  const says = withNote(`reopened by ${by}`, note);
  const opened: IncidentState = {
    ...state,
    status: 'open',
    acknowledged: null,
    resolved: null,
    proposal: proposal === null ? null : { ...proposal, over: proposal.over || isOver },
  };
  const more = isOver && isPending(state) ? `${says}; its time has run out, so it waits without end` : says;
  return escalate(noted(opened, more, nowMs), 'updated');
}
