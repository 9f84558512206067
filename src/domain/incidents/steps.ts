/** What the parts of the reducer share. */
import type { Delivery, IncidentAnswer, IncidentEffect, IncidentState, IncidentStep } from './incident-state.ts';
import type { NoticeAbout } from './incident-words.ts';

const MAX_HISTORY = 50;
const MAX_DELIVERIES = 50;

const TAKEN: IncidentAnswer = { kind: 'taken' };

export const stay = (state: IncidentState): IncidentStep => ({ state, effects: [], answer: TAKEN });

export const refuse = (
  state: IncidentState,
  code: Extract<IncidentAnswer, { kind: 'refused' }>['code'],
  message: string,
): IncidentStep => ({ state, effects: [], answer: { kind: 'refused', code, message } });

export const withEffects = (step: IncidentStep, ...effects: IncidentEffect[]): IncidentStep => ({
  ...step,
  effects: [...step.effects, ...effects],
});

/** One step after the other. */
export function andThen(first: IncidentStep, next: (state: IncidentState) => IncidentStep): IncidentStep {
  const second = next(first.state);
  return { ...second, effects: [...first.effects, ...second.effects] };
}

/** Never earlier, also if the clock was set back: by this it is seen which of two records is the later. */
export const touched = (state: IncidentState, nowMs: number): IncidentState => ({
  ...state,
  updatedAtMs: Math.max(state.updatedAtMs, nowMs),
});

export function noted(state: IncidentState, says: string, nowMs: number): IncidentState {
  return { ...touched(state, nowMs), history: [...state.history, { atMs: nowMs, says }].slice(-MAX_HISTORY) };
}

/** `resolved by kim: done by hand` */
export const withNote = (says: string, note: string | null): string =>
  note === null || note === '' ? says : `${says}: ${note}`;

export function withDelivery(state: IncidentState, row: Delivery): IncidentState {
  const isSame = (each: Delivery): boolean => each.id === row.id && each.channel === row.channel;
  const known = state.deliveries.some(isSame);
  const deliveries = known
    ? state.deliveries.map((each) => (isSame(each) ? row : each))
    : [...state.deliveries, row].slice(-MAX_DELIVERIES);
  return { ...touched(state, row.atMs), deliveries };
}

function withNewId(state: IncidentState): [state: IncidentState, id: string] {
  const deliveryCount = state.deliveryCount + 1;
  return [{ ...state, deliveryCount }, `${state.incidentId}/${state.life}.${deliveryCount}`];
}

export function tellPeople(before: IncidentState, about: NoticeAbout): IncidentStep {
  const [state, id] = withNewId(before);
  return withEffects(stay(state), { kind: 'tell-people', id, about });
}

export function tellChief(before: IncidentState, chief: string, about: NoticeAbout): IncidentStep {
  const [state, id] = withNewId(before);
  return withEffects(stay(state), { kind: 'tell-chief', round: state.escalation.round, id, chief, about });
}

/** Begins to tell somebody: who it is, is to be found out. A time that was promised to people holds. */
export function escalate(state: IncidentState, about: NoticeAbout): IncidentStep {
  const { escalation } = state;
  const round = escalation.round + 1;
  const dueMs = escalation.stage === 'chief' ? escalation.dueMs : null;
  return withEffects(stay({ ...state, escalation: { round, stage: 'planning', dueMs, why: null, about } }), {
    kind: 'plan',
    round,
  });
}

export const QUIET = { stage: 'none', dueMs: null } as const;
