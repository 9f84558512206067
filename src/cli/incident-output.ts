import type { IncidentView } from '../contract/incident-view.ts';
import type { Shown } from '../contract/shown.ts';
import { describeAction, type IncidentStatus, type Severity } from '../domain/incidents/incident-words.ts';
import { describeTrouble } from '../domain/incidents/notice.ts';
import { colors } from './colors.ts';
import { shorten, since, staleNote, table } from './output.ts';

const COLOR_OF_SEVERITY: Record<Severity, (text: string) => string> = {
  info: colors.cyan,
  warning: colors.yellow,
  critical: colors.red,
};
const COLOR_OF_STATE: Record<IncidentStatus, (text: string) => string> = {
  open: colors.red,
  acknowledged: colors.yellow,
  resolved: colors.dim,
};
const SUMMARY_CHARACTERS = 70;

export function incidentTable(incidents: Shown<IncidentView>[]): string {
  if (incidents.length === 0) return 'No incidents';
  const rows = incidents.map((incident) => [
    incident.incident_id,
    COLOR_OF_STATE[incident.state](stateText(incident)),
    COLOR_OF_SEVERITY[incident.severity](incident.severity),
    incident.agent_id ?? '-',
    String(incident.count),
    since(incident.opened_at),
    shorten(incident.summary, SUMMARY_CHARACTERS),
  ]);
  return table(['INCIDENT', 'STATE', 'SEVERITY', 'AGENT', 'COUNT', 'AGE', 'SUMMARY'], rows) + staleNote(incidents);
}

/** `disk-full is open (warning): the disk is nearly full` */
export function incidentLine(incident: IncidentView): string {
  const { incident_id, severity, state, summary } = incident;
  const is = COLOR_OF_STATE[state](stateText(incident));
  const lines = [`${colors.bold(incident_id)} is ${is} (${severity}): ${summary}`];
  if (incident.decision !== null) lines.push(`  ${decisionText(incident.decision)}`);
  if (incident.execution !== null)
    lines.push(`  carried out: ${incident.execution.state}, ${incident.execution.message}`);
  return lines.join('\n');
}

export function incidentText(incident: IncidentView): string {
  const { agent_id, opened_by, opened_at, count, acknowledged, resolved, proposal, decision, deliveries } = incident;
  const trouble = describeTrouble(incident);
  const lines = [
    incidentLine(incident),
    ...(trouble === '' ? [] : [`  ${trouble}`]),
    `  opened by ${opened_by} at ${opened_at}${count > 1 ? `, reported ${count} times` : ''}`,
    ...(agent_id === null ? [] : [`  about ${agent_id}`]),
    ...(acknowledged === null ? [] : [`  acknowledged by ${acknowledged.by} at ${acknowledged.at}`]),
    ...(resolved === null ? [] : [`  resolved by ${resolved.by} at ${resolved.at}${because(resolved.reason)}`]),
  ];
  if (proposal !== null) {
    lines.push(`  proposed: ${describeAction(proposal.action)} (risk ${proposal.risk}): ${proposal.reason}`);
    if (decision === null && proposal.expires_at !== null)
      lines.push(`  to be decided by ${proposal.expires_at}; then: ${proposal.on_expiry}`);
  }
  if (incident.details !== null) lines.push(`  details: ${JSON.stringify(incident.details)}`);
  for (const { at, channel, about, state, attempts, reason } of deliveries) {
    const tries = attempts > 1 ? ` at attempt ${attempts}` : '';
    lines.push(`  ${colors.dim(at)} ${about} → ${channel}: ${state}${tries}${because(reason)}`);
  }
  return [...lines, ...incident.history.map(({ at, says }) => `  ${colors.dim(at)} ${says}`)].join('\n');
}

const stateText = ({ state, proposal, decision }: IncidentView): string =>
  proposal !== null && decision === null && state !== 'resolved' ? `${state}, undecided` : state;

const decisionText = ({ verdict, by, at, note }: NonNullable<IncidentView['decision']>): string =>
  `${verdict} by ${by} at ${at}${because(note)}`;

const because = (text: string | null): string => (text === null || text === '' ? '' : `: ${text}`);
