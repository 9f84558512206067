/** What people read of an incident: the value that was seen, its limit, what was tried, what is needed. */
import { cut } from '../cut.ts';
import { describeDecision } from './decisions.ts';
import type { IncidentState } from './incident-state.ts';
import { describeAction, type NoticeAbout } from './incident-words.ts';

/** However long the parts are: a chat shows no more, and an argument of a program holds no more. */
const MAX_TITLE = 200;
const MAX_TEXT = 3_500;

export interface NoticeText {
  /** One line. */
  title: string;
  text: string;
}

/** `CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed` */
export function describeTrouble(state: Pick<IncidentState, 'value' | 'threshold' | 'tried' | 'needed'>): string {
  const { value, threshold, tried, needed } = state;
  const limit = threshold === null ? null : `limit ${threshold}`;
  const seen = value === null ? limit : limit === null ? value : `${value} (${limit})`;
  return [seen, tried, needed].filter((part) => part !== null && part !== '').join(', ');
}

export function noticeOf(state: IncidentState, about: NoticeAbout): NoticeText {
  const { severity, incidentId, agentId, summary, count, openedAtMs } = state;
  const trouble = describeTrouble(state);
  const lines = [
    ...(trouble === '' ? [] : [trouble]),
    ...proposalLines(state),
    ...outcomeLines(state),
    ...(state.escalation.why === null || about === 'resolved' ? [] : [`You are told: ${state.escalation.why}`]),
    facts([
      agentId === null ? null : `agent ${agentId}`,
      `incident ${incidentId}`,
      `since ${new Date(openedAtMs).toISOString()}`,
      count > 1 ? `reported ${count} times` : null,
    ]),
    ...whatToDo(state),
  ];
  const head = `[${severity}] ${WORD[about]}${agentId === null ? '' : `${agentId}: `}${summary}`;
  return { title: cut(oneLine(head), MAX_TITLE), text: cut(lines.join('\n'), MAX_TEXT) };
}

const WORD: Record<NoticeAbout, string> = {
  opened: '',
  updated: 'update: ',
  reminder: 'reminder: ',
  decided: 'decided: ',
  resolved: 'resolved: ',
};

function proposalLines({ proposal, decision }: IncidentState): string[] {
  if (proposal === null) return [];
  const lines = [`Proposed: ${describeAction(proposal.action)} (risk ${proposal.risk}): ${proposal.reason}`];
  if (decision !== null || proposal.expiresAtMs === null) return lines;
  const at = new Date(proposal.expiresAtMs).toISOString();
  const then = { keep: 'after that it stays undecided', approve: 'then it is approved', reject: 'then it is rejected' };
  if (proposal.over) return [...lines, `Nobody decided by ${at}; it stays undecided`];
  return [...lines, `To be decided by ${at}; ${then[proposal.onExpiry]}`];
}

function outcomeLines({ decision, execution, resolved }: IncidentState): string[] {
  return [
    ...(decision === null ? [] : [capital(describeDecision(decision))]),
    ...(execution === null ? [] : [`Carried out: ${execution.state}, ${execution.message}`]),
    ...(resolved === null || decision !== null
      ? []
      : [`Resolved by ${resolved.by}${resolved.reason === null ? '' : `: ${resolved.reason}`}`]),
  ];
}

function whatToDo({ status, proposal, decision, incidentId }: IncidentState): string[] {
  if (status === 'resolved') return [];
  const cli = (what: string): string => `openstarry-daemon ${what} ${incidentId}`;
  if (proposal !== null && decision === null) return [`Decide: ${cli('approve')}, or ${cli('reject')}`];
  return [`Acknowledge: ${cli('incidents ack')}`];
}

const facts = (parts: (string | null)[]): string => parts.filter((part) => part !== null).join(' · ');
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
