import { describeDecision } from '../domain/incidents/decisions.ts';
import type { IncidentState, ProposalDecision } from '../domain/incidents/incident-state.ts';
import { incidentWorkflowIdOf, type DecisionView, type IncidentView } from './incident-view.ts';

/** What the records keep of an incident: what the API shows, and all that is needed to go on with it. */
export interface IncidentRecord extends IncidentView {
  restore: IncidentState;
}

export function incidentViewOf(state: IncidentState): IncidentView {
  const { acknowledged, resolved, proposal, decision, execution } = state;
  return {
    incident_id: state.incidentId,
    kind: state.kind,
    severity: state.severity,
    state: state.status,
    summary: state.summary,
    agent_id: state.agentId,
    value: state.value,
    threshold: state.threshold,
    tried: state.tried,
    needed: state.needed,
    details: state.details,
    count: state.count,
    opened_at: iso(state.openedAtMs),
    updated_at: iso(state.updatedAtMs),
    opened_by: state.openedBy,
    acknowledged: acknowledged && { by: acknowledged.by, at: iso(acknowledged.atMs) },
    resolved: resolved && { by: resolved.by, at: iso(resolved.atMs), reason: resolved.reason },
    proposal: proposal && {
      action: proposal.action,
      reason: proposal.reason,
      risk: proposal.risk,
      expires_at: proposal.expiresAtMs === null ? null : iso(proposal.expiresAtMs),
      on_expiry: proposal.onExpiry,
    },
    decision: decision && decisionViewOf(decision),
    execution: execution && {
      state: execution.state,
      message: execution.message,
      at: execution.atMs === null ? null : iso(execution.atMs),
    },
    deliveries: state.deliveries.map(({ atMs, ...row }) => ({ ...row, at: iso(atMs) })),
    history: state.history.map(({ atMs, says }) => ({ at: iso(atMs), says })),
    workflow_id: incidentWorkflowIdOf(state.incidentId),
  };
}

export function decisionViewOf({ verdict, by, via, atMs, note }: ProposalDecision): DecisionView {
  return { verdict, by, via, at: iso(atMs), note };
}

/** What people see in Temporal's Web UI, in Markdown. */
export function incidentDetailsOf(state: IncidentState): string {
  const { severity, status, summary, decision, history } = state;
  return [
    `**${status}** (${severity}): ${summary}`,
    '',
    ...(decision === null ? [] : [describeDecision(decision), '']),
    ...history
      .slice(-15)
      .toReversed()
      .map(({ atMs, says }) => `- ${iso(atMs)} ${says}`),
  ].join('\n');
}

const iso = (ms: number): string => new Date(ms).toISOString();
