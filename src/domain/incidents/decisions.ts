/** A proposal is decided once, by a person, a rule or, if it says so itself, its expiry; and is then carried out. */
import { isPending, resolve } from './endings.ts';
import type { IncidentEvent, IncidentState, IncidentStep, ProposalDecision } from './incident-state.ts';
import { describeAction } from './incident-words.ts';
import { escalate, noted, QUIET, refuse, stay, tellPeople, andThen, withEffects, withNote } from './steps.ts';

export function decide(
  state: IncidentState,
  { kind: _kind, ...made }: Extract<IncidentEvent, { kind: 'decide' }>,
  nowMs: number,
): IncidentStep {
  const { proposal, decision, resolved, incidentId } = state;
  if (proposal === null)
    return refuse(state, 'NOT_AN_APPROVAL', `${incidentId} has no proposal that could be ${made.verdict}`);
  if (decision !== null) {
    if (decision.id === made.id) return stay(state);
    return refuse(state, 'ALREADY_DECIDED', `${incidentId} was ${describeDecision(decision)}`);
  }
  if (resolved !== null) {
    const at = new Date(resolved.atMs).toISOString();
    const says = `${incidentId} was withdrawn by ${resolved.by} at ${at}, undecided; reopen it to decide it`;
    return refuse(state, 'ALREADY_DECIDED', says);
  }
  return decided(state, { ...made, atMs: nowMs }, nowMs);
}

/** `approved by kim at 2026-11-20T09:00:00.000Z` */
export const describeDecision = ({ verdict, by, atMs, note }: ProposalDecision): string =>
  withNote(`${verdict} by ${by} at ${new Date(atMs).toISOString()}`, note);

export function decided(before: IncidentState, decision: ProposalDecision, nowMs: number): IncidentStep {
  const { proposal, openedBy } = before;
  const says = withNote(`${decision.verdict} by ${decision.by}`, decision.note);
  const state = noted({ ...before, decision }, says, nowMs);
  const asked: IncidentStep = withEffects(stay(state), { kind: 'tell-asker', asker: openedBy, what: 'decided' });
  const action = proposal?.action;
  if (decision.verdict === 'rejected' || action === undefined || typeof action === 'string')
    return andThen(asked, (next) => resolve(next, decision.by, decision.verdict, nowMs, 'decided'));
  const pending: IncidentState = {
    ...state,
    execution: { state: 'pending', message: `${describeAction(action)} is under way`, atMs: null },
    // Who was told hears what came of it, not that it begins.
    escalation: { ...state.escalation, ...QUIET },
  };
  return withEffects({ ...asked, state: pending }, { kind: 'execute', action });
}

/** Its result goes back into the incident: done ends it, a failure needs a person. */
export function executed(
  before: IncidentState,
  { ok, message }: { ok: boolean; message: string },
  nowMs: number,
): IncidentStep {
  const { execution, proposal, decision, openedBy } = before;
  if (execution?.state !== 'pending' || proposal === null || decision === null) return stay(before);
  const action = describeAction(proposal.action);
  const state: IncidentState = {
    ...before,
    execution: { state: ok ? 'done' : 'failed', message, atMs: nowMs },
  };
  const told = withEffects(stay(state), { kind: 'tell-asker', asker: openedBy, what: 'executed' });
  if (ok) {
    return andThen(told, (next) =>
      resolve(next, decision.by, `${decision.verdict}; ${action}: ${message}`, nowMs, 'decided'),
    );
  }
  const failed: IncidentState = {
    ...state,
    status: 'open',
    acknowledged: null,
    resolved: null,
    tried: `${action}, ${decision.verdict} by ${decision.by}: failed (${message})`,
    needed: 'manual intervention needed',
  };
  return andThen({ ...told, state: noted(failed, `${action} failed: ${message}`, nowMs) }, (next) =>
    escalate(next, 'updated'),
  );
}

/** The proposal's time has run out, if it has. */
export function expired(state: IncidentState, nowMs: number): IncidentStep {
  const { proposal } = state;
  if (proposal === null || !isPending(state) || state.status === 'resolved') return stay(state);
  if (proposal.over || proposal.expiresAtMs === null || proposal.expiresAtMs > nowMs) return stay(state);
  const over: IncidentState = { ...state, proposal: { ...proposal, over: true } };
  if (proposal.onExpiry !== 'keep') {
    const verdict = proposal.onExpiry === 'approve' ? 'approved' : 'rejected';
    const note = 'nobody had decided in time';
    // One life may see several proposals, one after the other.
    const id = `expiry/${state.life}/${proposal.expiresAtMs}`;
    const decision: ProposalDecision = { verdict, by: 'expiry', via: 'expiry', atMs: nowMs, note, id };
    return decided(over, decision, nowMs);
  }
  const kept = noted(over, 'its time has run out, and nobody has decided; it stays undecided', nowMs);
  return kept.told.people && kept.status === 'open' ? tellPeople(kept, 'reminder') : stay(kept);
}
