/**
 * An incident: a pure reducer. Events go in, one at a time; the next state, what is to be done, and an answer for the
 * caller come out.
 *
 * Rules that hold whatever happens (see the property tests):
 * - a proposal is decided at most once, and never by itself unless it says so (`onExpiry`) or a rule of the configuration does;
 * - what is approved is asked for once;
 * - people are not told while the chief has time, and nobody is reminded of what is acknowledged or over;
 * - a report that comes twice counts once.
 */
import { decide, executed, expired } from './decisions.ts';
import { acknowledge, reopen, resolve } from './endings.ts';
import { chiefTold, delivery, peopleTold, planned, somebodyIsDue } from './escalation.ts';
import type { Delivery, IncidentEvent, IncidentState, IncidentStep } from './incident-state.ts';
import { recoveryChecked, recoveryDue } from './recovery.ts';
import { open, reportAgain } from './reports.ts';
import { escalate, noted, stay, andThen } from './steps.ts';

/**
 * @param life unique to this life of the id, see `IncidentState.life`
 * @param nowMs epoch milliseconds
 */
export function birth(
  incidentId: string,
  life: string,
  event: Extract<IncidentEvent, { kind: 'report' }>,
  nowMs: number,
): IncidentStep {
  return open(incidentId, life, event, nowMs);
}

export function step(before: IncidentState, event: IncidentEvent, nowMs: number): IncidentStep {
  if (overtakesExpiry(before, event, nowMs)) return handle(before, event, nowMs);
  return stepAfterExpiry(before, event, nowMs);
}

/**
 * Who has rejected a proposal, or withdrawn it, may have done so in time, while nobody was there to hear it: nothing is
 * carried out against that because time has run out meanwhile.
 */
export function overtakesExpiry(state: IncidentState, event: IncidentEvent, nowMs: number): boolean {
  const isAgainst = event.kind === 'resolve' || (event.kind === 'decide' && event.verdict === 'rejected');
  return isAgainst && state.decision === null && expired(state, nowMs).state.decision?.verdict === 'approved';
}

/** What had run out before the news came has run out, whichever of the two is heard first. */
export function stepAfterExpiry(before: IncidentState, event: IncidentEvent, nowMs: number): IncidentStep {
  return andThen(expired(before, nowMs), (state) => handle(state, event, nowMs));
}

function handle(state: IncidentState, event: IncidentEvent, nowMs: number): IncidentStep {
  switch (event.kind) {
    case 'report':
      return reportAgain(state, event, nowMs);
    case 'acknowledge':
      return acknowledge(state, event.by, event.note, nowMs);
    case 'resolve':
      return resolve(state, event.by, event.note, nowMs);
    case 'reopen':
      return reopen(state, event.by, event.note, nowMs);
    case 'decide':
      return decide(state, event, nowMs);
    case 'planned':
      return planned(state, event, nowMs);
    case 'chief-told':
      return chiefTold(state, event, nowMs);
    case 'delivery':
      return delivery(state, event, nowMs);
    case 'people-told':
      return peopleTold(state, event, nowMs);
    case 'executed':
      return executed(state, event, nowMs);
    case 'recovery-checked':
      return recoveryChecked(state, event, nowMs);
    case 'time':
      return andThen(somebodyIsDue(state, nowMs), (next) => recoveryDue(next, nowMs));
  }
}

/** When something is due if nothing happens before; epoch milliseconds. */
export function dueAtMs(state: IncidentState): number | null {
  const { status, escalation, proposal, decision, recovery } = state;
  if (status === 'resolved') return null;
  const isWaiting = status === 'open' && (escalation.stage === 'chief' || escalation.stage === 'people');
  const times = [
    isWaiting ? escalation.dueMs : null,
    decision === null && proposal?.over === false ? proposal.expiresAtMs : null,
    recovery?.nextMs ?? null,
  ].filter((time) => time !== null);
  return times.length === 0 ? null : Math.min(...times);
}

/**
 * An incident whose workflow was lost, as its record has it. What was under way is not restarted: nobody can tell whether
 * it has taken effect.
 */
export function restored(before: IncidentState, life: string, nowMs: number): IncidentStep {
  const unknown = 'its workflow was lost meanwhile, so nobody knows what came of it';
  // A digest that held one back may be lost as well.
  const isOpen = (each: Delivery): boolean => each.state === 'under_way' || each.state === 'deferred';
  const deliveries = before.deliveries.map((each) =>
    isOpen(each) ? { ...each, state: 'failed' as const, reason: unknown } : each,
  );
  const known: IncidentState = { ...before, life, deliveries };
  if (known.status === 'resolved') return stay(known);
  const state = noted(known, 'its workflow was lost, and is made again from its record', nowMs);
  if (state.execution?.state === 'pending') return executed(state, { ok: false, message: unknown }, nowMs);
  const { stage, dueMs, about } = state.escalation;
  const wasTelling = stage === 'planning' || (stage === 'people' && dueMs === null) || before.deliveries.some(isOpen);
  return state.status === 'open' && wasTelling ? escalate(state, about) : stay(state);
}
