/** Signals and updates of the workflows `incident` and `digest`. Each of an incident exists as both, under one name. */
import type { IncidentState, Report } from '../domain/incidents/incident-state.ts';
import {
  DAEMON_COMMANDS,
  INCIDENT_KINDS,
  ON_EXPIRY,
  RISKS,
  SEVERITIES,
  type DaemonAction,
} from '../domain/incidents/incident-words.ts';
import { isAgentId } from '../domain/ids.ts';
import { cut } from '../domain/cut.ts';
import { parseDurationMs } from '../domain/duration.ts';
import type { Json } from '../domain/messages/message.ts';
import type { IncidentReport, ProposalInput } from './incident-view.ts';

export const INCIDENT_WORKFLOW = 'incident';
export const DIGEST_WORKFLOW = 'digest';
export const digestWorkflowIdOf = (channel: string): string => `digest/${channel}`;

/** A report as it travels: the body of `POST /incidents`, and what the daemon adds to it. */
export interface ReportMessage extends IncidentReport {
  /** The same report that comes again counts once. @default a new one */
  report_id?: string;
  /** @default temporal */
  by?: string;
  /** See `Report.stableMs`. */
  stable_ms?: number;
}

/** Who says so, and what else there is to say. */
export interface WordMessage {
  /** @default temporal */
  by?: string;
  note?: string;
}

export interface DecideMessage extends WordMessage {
  /** The same decision that comes again is the same one. @default a new one */
  id?: string;
  /** @default temporal */
  via?: 'api';
}

export interface IncidentMessages {
  report: ReportMessage;
  acknowledge: WordMessage;
  resolve: WordMessage;
  reopen: WordMessage;
  approve: DecideMessage;
  reject: DecideMessage;
}
export type IncidentVerb = keyof IncidentMessages;

/** Signals only: what became of a notice that a digest has taken over; and that the record has to be published again. */
export const DELIVERED_SIGNAL = 'delivered';
export const REFRESH_SIGNAL = 'refresh';
/** The record as it was published last, also of an incident that is over. */
export const RECORD_QUERY = 'record';
export const DEFER_SIGNAL = 'defer';
/** The configuration has changed: quiet hours may be others now. */
export const RECONSIDER_SIGNAL = 'reconsider';

/** What an incident's workflow is started with: nothing (a report follows), a report, or what its record knows. */
export type IncidentStart = Partial<ReportMessage> & { restore?: IncidentState };

const MAX_TEXT = 2_000;
const MAX_DETAILS = 16_384;

/**
 * Reads a report, whoever wrote it: what stands there is taken as far as it makes sense, and is cut to what people read.
 * @throws TypeError with a sentence, where it does not
 */
export function readReport(given: unknown): Report {
  if (!isObject(given)) throw new TypeError('a report must be a mapping with a summary');
  const report = given as Partial<Record<keyof ReportMessage, unknown>>;
  const summary = textOf(report.summary);
  if (summary === null)
    throw new TypeError(`summary must be a text that says what is wrong, got ${shown(report.summary)}`);
  const { agent_id, details, stable_ms, proposal } = report;
  if (agent_id != null && !isAgentId(agent_id)) throw new TypeError(`agent_id is no agent id: ${shown(agent_id)}`);
  return {
    kind: oneOf(INCIDENT_KINDS, 'kind', report.kind) ?? 'reported',
    severity: oneOf(SEVERITIES, 'severity', report.severity) ?? 'warning',
    summary,
    agentId: agent_id ?? null,
    value: textOf(report.value),
    threshold: textOf(report.threshold),
    tried: textOf(report.tried),
    needed: textOf(report.needed),
    details: details !== undefined && JSON.stringify(details).length <= MAX_DETAILS ? (details as Json) : null,
    proposal: proposal == null ? null : readProposal(proposal),
    stableMs: typeof stable_ms === 'number' && stable_ms >= 0 ? stable_ms : null,
  };
}

function readProposal(given: unknown): NonNullable<Report['proposal']> {
  if (!isObject(given))
    throw new TypeError(`proposal must be a mapping with action, reason and risk, got ${shown(given)}`);
  const { action, reason, risk, expires, on_expiry } = given as Partial<Record<keyof ProposalInput, unknown>>;
  const why = textOf(reason);
  if (why === null) throw new TypeError(`proposal.reason must be a text, got ${shown(reason)}`);
  return {
    action: readAction(action),
    reason: why,
    risk: oneOf(RISKS, 'proposal.risk', risk) ?? 'high',
    expiresInMs: expires == null ? null : parseDurationMs(expires),
    onExpiry: oneOf(ON_EXPIRY, 'proposal.on_expiry', on_expiry) ?? 'keep',
  };
}

function readAction(given: unknown): DaemonAction | string {
  const text = textOf(given);
  if (text !== null) return text;
  const { command, agent_id } = (isObject(given) ? given : {}) as Partial<Record<keyof DaemonAction, unknown>>;
  const known = oneOf(DAEMON_COMMANDS, 'proposal.action.command', command);
  if (known === undefined || !isAgentId(agent_id))
    throw new TypeError(`proposal.action must be a text or { command, agent_id }, got ${shown(given)}`);
  return { command: known, agent_id };
}

function oneOf<Word extends string>(words: readonly Word[], field: string, given: unknown): Word | undefined {
  if (given == null) return undefined;
  const known = words.find((word) => word === given);
  if (known === undefined) throw new TypeError(`${field} must be one of ${words.join(', ')}, got ${shown(given)}`);
  return known;
}

/** Null for what is no text, or an empty one. */
export function textOf(given: unknown, maxCharacters = MAX_TEXT): string | null {
  return typeof given === 'string' && given.trim() !== '' ? cut(given.trim(), maxCharacters) : null;
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80);
