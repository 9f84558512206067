import type { DigestEntry, DeferredNotice } from '../domain/incidents/digest.ts';
import type { EscalationPlan, Proposal } from '../domain/incidents/incident-state.ts';
import type {
  DaemonAction,
  IncidentKind,
  IncidentStatus,
  NoticeAbout,
  Severity,
} from '../domain/incidents/incident-words.ts';
import type { NoticeText } from '../domain/incidents/notice.ts';
import type { Json } from '../domain/messages/message.ts';
import type { ReportMessage } from './incident-messages.ts';

/** Polled on the task queue of the workflows, by every daemon. All are idempotent: their ids are given by the workflow. */
export interface IncidentActivities {
  /** What the life of an agent has to say of an incident. */
  reportIncident(news: IncidentNews): Promise<void>;
  /** Who is told first, as things are now. */
  planEscalation(request: EscalationRequest): Promise<EscalationPlan>;
  /** Puts an ESCALATION into the chief's mailbox. `failure` is why that cannot be done. */
  tellChief(request: ChiefRequest): Promise<{ failure: string | null }>;
  /** Which channels there are for people, and whether they are to be left in peace. */
  planNotice(request: { severity: Severity }): Promise<NoticePlan>;
  /** One notice on one channel. Tried again by Temporal; fails for good with a failure of type `NOTICE_FAILED`. */
  notify(request: NotifyRequest): Promise<Notified>;
  /** Hands a notice over to the digest of a channel. */
  deferNotice(request: DeferRequest): Promise<void>;
  /** How incidents stand. One that is not known is missing. */
  incidentStates(request: { incident_ids: string[] }): Promise<Record<string, IncidentStatus>>;
  /** Tells the digest's incidents what became of their notices. */
  noticesTold(request: { entries: Pick<DigestEntry, 'incidentId' | 'about' | 'deliveryIds'>[] } & Told): Promise<void>;
  /** Carries out what was approved, once. */
  executeAction(request: ExecuteRequest): Promise<Executed>;
  /** `failure` is why the asker cannot be told. */
  tellAsker(request: AskerRequest): Promise<{ failure: string | null }>;
  /** Whether the agent's process has lived long enough. */
  checkRecovery(request: { agent_id: string; stable_ms: number }): Promise<Recovery>;
}

/** The type of the failure of a notice that no further attempt can save. */
export const NOTICE_FAILED = 'NOTICE_FAILED';

export type IncidentNews =
  | { kind: 'report'; incident_id: string; report: ReportMessage & { report_id: string } }
  /** What it was about is over. */
  | { kind: 'over'; incident_id: string; note: string };

export interface EscalationRequest {
  incident_id: string;
  kind: IncidentKind;
  agent_id: string | null;
  opened_by: string;
  /** What waits for a decision. */
  proposal: Pick<Proposal, 'action' | 'risk'> | null;
}

export interface ChiefRequest {
  /** The same in every attempt. */
  delivery_id: string;
  incident_id: string;
  chief: string;
  about: NoticeAbout;
  severity: Severity;
  agent_id: string | null;
  /** Whether it is a proposal that waits for a decision. */
  is_approval: boolean;
  notice: NoticeText;
  /** The incident as it stands, for a program. */
  data: Json;
}

export interface NoticePlan {
  /** Names, in the order in which they are tried. */
  channels: string[];
  /** Until when all but the urgent waits, and how that is said; null if now is the time. */
  quiet: { until_ms: number; says: string } | null;
  /** Milliseconds; null is never. */
  remind_ms: number | null;
}

export interface NotifyRequest extends NoticeText {
  /** The same in every attempt, and on every channel. */
  delivery_id: string;
  channel: string;
  severity: Severity;
  /** For receivers that are programs. */
  data: Json;
}

export interface Notified {
  attempts: number;
}

export interface DeferRequest {
  /** Whose digest it is: the first of `channels`. */
  channel: string;
  channels: string[];
  until_ms: number;
  notice: DeferredNotice;
}

/** What became of the notices of a digest. */
export interface Told {
  channel: string;
  state: 'sent' | 'failed';
  reason: string | null;
}

export interface ExecuteRequest {
  incident_id: string;
  action: DaemonAction;
  by: string;
  /** The same in every attempt at this action, and for no other. */
  once: string;
}

export interface Executed {
  ok: boolean;
  /** A sentence. */
  message: string;
}

export interface AskerRequest {
  incident_id: string;
  /** An agent id; who is none has nobody to tell. */
  asker: string;
  /** Sent once. */
  message: { key: string; type: 'APPROVAL_DECISION' | 'CONTROL'; payload: Json };
}

/** What came of a notice that was sent to find out whether a channel works. */
export interface NoticeTestResult {
  channel: string;
  ok: boolean;
  /** Why not; null if it does. */
  reason: string | null;
}

export interface Recovery {
  recovered: boolean;
  /** A sentence. */
  says: string;
  /** When to look again. */
  again_ms: number;
}
