/** Who is told, in which order: the chief, then people, then people again until somebody acknowledges. */
import { decided } from './decisions.ts';
import { isPending } from './endings.ts';
import type { IncidentEvent, IncidentState, IncidentStep } from './incident-state.ts';
import { noted, stay, tellChief, tellPeople, andThen, withDelivery } from './steps.ts';

type Event<Kind extends IncidentEvent['kind']> = Extract<IncidentEvent, { kind: Kind }>;

/** How soon people are told again after no channel has worked. */
const AGAIN_MS = 15 * 60_000;

export function planned(before: IncidentState, { round, plan }: Event<'planned'>, nowMs: number): IncidentStep {
  const { escalation } = before;
  if (round !== escalation.round || escalation.stage !== 'planning') return stay(before);
  if (plan.rule !== null && isPending(before)) {
    const by = `rule ${plan.rule}`;
    const id = `rule/${before.life}/${round}`;
    return decided(before, { verdict: 'approved', by, via: 'rule', atMs: nowMs, note: null, id }, nowMs);
  }
  const { chief, why } = plan;
  const { about } = escalation;
  if (chief !== null && why === null) {
    const dueMs = Math.min(escalation.dueMs ?? Number.MAX_SAFE_INTEGER, nowMs + chief.ackMs);
    const state: IncidentState = { ...before, escalation: { ...escalation, stage: 'chief', dueMs } };
    const first = tellChief(state, chief.agentId, about);
    // Who has heard of it hears of worse news, too.
    return state.told.people ? andThen(first, (next) => tellPeople(next, about)) : first;
  }
  const first = chief === null ? stay(before) : tellChief(before, chief.agentId, about);
  return andThen(first, (next) => turnToPeople(next, why, about, nowMs));
}

function turnToPeople(
  before: IncidentState,
  why: string | null,
  about: IncidentState['escalation']['about'],
  nowMs: number,
): IncidentStep {
  const escalation = { ...before.escalation, stage: 'people' as const, dueMs: null, why };
  const state: IncidentState = { ...before, escalation };
  return tellPeople(why === null ? state : noted(state, `people are told: ${why}`, nowMs), about);
}

export function chiefTold(before: IncidentState, event: Event<'chief-told'>, nowMs: number): IncidentStep {
  const { round, id, chief, about, failure } = event;
  const row = {
    id,
    channel: 'chief',
    about,
    state: failure === null ? ('sent' as const) : ('failed' as const),
    attempts: 1,
    atMs: nowMs,
    reason: failure,
  };
  let state = withDelivery(before, row);
  if (failure === null) state = { ...state, told: { ...state.told, chief } };
  // The incident was over before the chief had heard of it.
  const { status, resolved } = state;
  if (status === 'resolved' && failure === null && before.told.chief === null && resolved?.by !== chief)
    return tellChief(state, chief, endOf(state));
  const isAwaited = round === state.escalation.round && state.escalation.stage === 'chief' && state.status === 'open';
  if (failure === null || !isAwaited) return stay(state);
  return turnToPeople(state, `the chief ${chief} could not be told: ${failure}`, about, nowMs);
}

/** The chief has let its time pass, or people have to be reminded. */
export function somebodyIsDue(state: IncidentState, nowMs: number): IncidentStep {
  const { status, escalation, told } = state;
  const { stage, dueMs, about } = escalation;
  if (status !== 'open' || dueMs === null || dueMs > nowMs) return stay(state);
  if (stage === 'chief') {
    const who = told.chief === null ? 'the chief' : `the chief ${told.chief}`;
    return turnToPeople(state, `${who} has not acknowledged it in time`, told.people ? 'reminder' : about, nowMs);
  }
  if (stage !== 'people') return stay(state);
  return tellPeople({ ...state, escalation: { ...escalation, dueMs: null } }, told.people ? 'reminder' : about);
}

const endOf = ({ decision, execution }: IncidentState): 'decided' | 'resolved' =>
  decision === null || execution?.state === 'failed' ? 'resolved' : 'decided';

export function delivery(state: IncidentState, event: Event<'delivery'>, nowMs: number): IncidentStep {
  const { kind: _kind, about, ...row } = event;
  const known = state.deliveries.find((each) => each.id === row.id && each.channel === row.channel);
  // Once a notice was deferred to a digest, only the digest has news of it.
  if (known?.state === 'sent') return stay(state);
  return stay(withDelivery(state, { ...row, about: known?.about ?? about, atMs: nowMs }));
}

/** Stands in the history of an incident when all channels have failed. */
export const NOBODY_TOLD = 'no channel has taken the notice to people';

export function peopleTold(before: IncidentState, event: Event<'people-told'>, nowMs: number): IncidentStep {
  const { id, about, outcome, remindMs } = event;
  let state = before;
  if (outcome === 'sent' || outcome === 'deferred') state = { ...state, told: { ...state.told, people: true } };
  if (outcome === 'no-channel' && !state.deliveries.some(({ state: is }) => is === 'skipped')) {
    const reason = 'no channel is configured (escalation.channels)';
    const row = { id, channel: 'people', about, state: 'skipped' as const, attempts: 0, atMs: nowMs, reason };
    state = noted(withDelivery(state, row), `nobody could be told: ${reason}`, nowMs);
  }
  if (outcome === 'failed') state = noted(state, NOBODY_TOLD, nowMs);
  const { escalation, status } = state;
  // The incident was over before people had heard of it.
  if (status === 'resolved' && state.told.people && !before.told.people) return tellPeople(state, endOf(state));
  if (status !== 'open' || escalation.stage !== 'people') return stay(state);
  const isDone = outcome === 'sent' || outcome === 'deferred';
  const inMs = isDone ? remindMs : Math.min(AGAIN_MS, remindMs ?? AGAIN_MS);
  return stay({ ...state, escalation: { ...escalation, dueMs: inMs === null ? null : nowMs + inMs } });
}
