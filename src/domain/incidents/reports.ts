/** What is said of an incident: it opens it, counts once more, or makes it worse. */
import type { IncidentEvent, IncidentState, IncidentStep, Proposal, Report } from './incident-state.ts';
import { describeAction, isWorse } from './incident-words.ts';
import { escalate, noted, refuse, stay, touched } from './steps.ts';
import { isPending } from './endings.ts';

type Reported = Extract<IncidentEvent, { kind: 'report' }>;

const MAX_REPORTS = 100;
/** A process that has just lived long enough has lived long enough. */
const RECOVERY_SLACK_MS = 500;

export function open(incidentId: string, life: string, event: Reported, nowMs: number): IncidentStep {
  const { proposal: _proposal, stableMs, ...said } = event.report;
  const state: IncidentState = {
    incidentId,
    ...said,
    status: 'open',
    count: 1,
    openedAtMs: nowMs,
    updatedAtMs: nowMs,
    openedBy: event.by,
    acknowledged: null,
    resolved: null,
    proposal: proposalOf(event.report, nowMs),
    decision: null,
    execution: null,
    deliveries: [],
    history: [],
    escalation: { round: 0, stage: 'none', dueMs: null, why: null, about: 'opened' },
    told: { chief: null, people: false },
    recovery: recoveryOf(stableMs, nowMs),
    reports: [event.id],
    openedByReport: event.id,
    life,
    deliveryCount: 0,
  };
  return escalate(noted(state, `opened by ${event.by}: ${said.summary}`, nowMs), 'opened');
}

export function reportAgain(before: IncidentState, event: Reported, nowMs: number): IncidentStep {
  const { id, by, report } = event;
  if (before.reports.includes(id)) return stay(before);
  const reports = [...before.reports, id].slice(-MAX_REPORTS);
  if (before.status === 'resolved') return openAgain({ ...before, reports }, event, nowMs);
  const problem = proposalProblem(before, report);
  if (problem !== undefined) return refuse(before, 'INVALID_REQUEST', problem);
  const counted: IncidentState = { ...touched(before, nowMs), reports, count: before.count + 1 };
  // What somebody is about to decide must not change while they look at it.
  if (isPending(before)) return stay(counted);
  const { value, threshold, tried, needed, details, summary, kind, stableMs } = report;
  const worse = isWorse(report.severity, before.severity);
  const recovery = recoveryOf(stableMs, nowMs);
  const updated: IncidentState = {
    ...counted,
    ...{ summary, value, threshold, tried, needed, details, recovery },
    kind: worse ? kind : before.kind,
  };
  if (!worse) return stay(noted(updated, `reported again by ${by}: ${summary}`, nowMs));
  const raised: IncidentState = { ...updated, severity: report.severity, status: 'open', acknowledged: null };
  return escalate(noted(raised, `now ${report.severity}: ${summary}`, nowMs), 'updated');
}

/** A resolved incident happens again: people are told as of a new one, and its history has what became of it before. */
function openAgain(before: IncidentState, event: Reported, nowMs: number): IncidentStep {
  const { incidentId, life, count, reports, history, deliveries, deliveryCount, escalation } = before;
  const fresh = open(incidentId, life, event, nowMs);
  const state: IncidentState = {
    ...fresh.state,
    count: count + 1,
    updatedAtMs: Math.max(before.updatedAtMs, nowMs),
    reports,
    deliveries,
    deliveryCount,
    history,
    escalation: { ...escalation, stage: 'none', dueMs: null },
  };
  return escalate(noted(state, `opened again by ${event.by}: ${event.report.summary}`, nowMs), 'opened');
}

/** A proposal stands as long as its incident is open. */
function proposalProblem({ incidentId, proposal }: IncidentState, { proposal: given }: Report): string | undefined {
  if (given === null) return undefined;
  if (proposal === null) return `${incidentId} is open without a proposal; use another incident_id for the proposal`;
  const isSame = describeAction(proposal.action) === describeAction(given.action) && proposal.risk === given.risk;
  if (isSame) return undefined;
  return `${incidentId} is open with the proposal "${describeAction(proposal.action)}"; use another incident_id for another one`;
}

function proposalOf({ proposal }: Report, nowMs: number): Proposal | null {
  if (proposal === null) return null;
  const { expiresInMs, ...rest } = proposal;
  return { ...rest, expiresAtMs: expiresInMs === null ? null : nowMs + expiresInMs, over: false };
}

const recoveryOf = (stableMs: number | null, nowMs: number): IncidentState['recovery'] =>
  stableMs === null ? null : { stableMs, nextMs: nowMs + stableMs + RECOVERY_SLACK_MS };
