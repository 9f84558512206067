/** The words in which everybody speaks of incidents. An incident is something that someone must know. */

/** From the least to the most serious. `critical` passes quiet hours. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const isWorse = (one: Severity, than: Severity): boolean => SEVERITIES.indexOf(one) > SEVERITIES.indexOf(than);

export const INCIDENT_KINDS = [
  'give_up',
  'failures',
  'fail_stop',
  'limit',
  'stall',
  'schedule',
  'run',
  'reported',
] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

export type IncidentStatus = 'open' | 'acknowledged' | 'resolved';

/** How much harm may come of what is proposed, as the asker says. */
export const RISKS = ['low', 'medium', 'high'] as const;
export type Risk = (typeof RISKS)[number];

export const DAEMON_COMMANDS = ['start', 'stop', 'restart', 'pause', 'resume'] as const;

/** What the daemon itself does once it is approved. */
export interface DaemonAction {
  command: (typeof DAEMON_COMMANDS)[number];
  agent_id: string;
}

/**
 * What becomes of a proposal that nobody has decided in time.
 * - `keep`: it stays undecided
 */
export const ON_EXPIRY = ['keep', 'approve', 'reject'] as const;
export type OnExpiry = (typeof ON_EXPIRY)[number];

/** Why somebody is told. */
export type NoticeAbout = 'opened' | 'updated' | 'reminder' | 'decided' | 'resolved';

/** `restart w1`, or the text that was proposed. */
export const describeAction = (action: DaemonAction | string): string =>
  typeof action === 'string' ? action : `${action.command} ${action.agent_id}`;
