import type {
  DaemonAction,
  IncidentKind,
  IncidentStatus,
  NoticeAbout,
  OnExpiry,
  Risk,
  Severity,
} from '../domain/incidents/incident-words.ts';
import type { Json } from '../domain/messages/message.ts';

/** An agent's failing episode; see `src/domain/incidents`. */
export const incidentIdOfAgent = (agentId: string, episode: number): string => `agent.${agentId}.${episode}`;
/** An agent that is over a limit without failing for it. */
export const incidentIdOfLimit = (agentId: string): string => `agent.${agentId}.limit`;
/** An agent whose process survives SIGKILL. */
export const incidentIdOfStall = (agentId: string): string => `agent.${agentId}.stall`;
export const INCIDENT_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,159}$/;
export const incidentWorkflowIdOf = (incidentId: string): string => `incident/${incidentId}`;

/** What somebody says of an incident: the body of `POST /incidents`, and what the daemon itself reports. */
export interface IncidentReport {
  /** The same key is the same incident. @default a new one */
  incident_id?: string;
  kind?: IncidentKind;
  /** @default warning */
  severity?: Severity;
  /** A sentence: what is wrong. */
  summary: string;
  agent_id?: string;
  /** What was seen, such as `CPU 95 %`. */
  value?: string;
  /** Which limit it passed, such as `90 %`. */
  threshold?: string;
  /** What was tried, and what came of it. */
  tried?: string;
  /** What is needed now. */
  needed?: string;
  details?: Json;
  /** Makes it an approval. */
  proposal?: ProposalInput;
}

export interface ProposalInput {
  /** A command of the daemon, executed once it is approved; or a text: then whoever asks does it himself. */
  action: DaemonAction | string;
  reason: string;
  risk: Risk;
  /** A duration. @default it never expires */
  expires?: string;
  /** @default keep: it stays undecided */
  on_expiry?: OnExpiry;
}

/** An incident, as the API shows it. Times are ISO 8601. */
export interface IncidentView {
  incident_id: string;
  kind: IncidentKind;
  severity: Severity;
  state: IncidentStatus;
  summary: string;
  agent_id: string | null;
  value: string | null;
  threshold: string | null;
  tried: string | null;
  needed: string | null;
  details: Json;
  /** How often it was reported. */
  count: number;
  opened_at: string;
  updated_at: string;
  /** Who opened it: an agent id, `admin` or `_daemon`. */
  opened_by: string;
  acknowledged: { by: string; at: string } | null;
  resolved: { by: string; at: string; reason: string | null } | null;
  /** Null unless it is an approval. */
  proposal: ProposalView | null;
  decision: DecisionView | null;
  /** Of an approved daemon command. */
  execution: { state: 'pending' | 'done' | 'failed'; message: string; at: string | null } | null;
  /** Who was told, and what came of it; the latest 50. */
  deliveries: DeliveryView[];
  /** What happened, as sentences; the latest 50. */
  history: { at: string; says: string }[];
  workflow_id: string;
}

export interface ProposalView {
  action: DaemonAction | string;
  reason: string;
  risk: Risk;
  expires_at: string | null;
  on_expiry: OnExpiry;
}

export interface DecisionView {
  verdict: 'approved' | 'rejected';
  /** A name, an agent id, `rule <n>` or `expiry`. */
  by: string;
  /** How it came: `api`, `temporal`, `rule` or `expiry`. */
  via: 'api' | 'temporal' | 'rule' | 'expiry';
  at: string;
  note: string | null;
}

export interface DeliveryView {
  id: string;
  /** The name of a channel, or `chief`. */
  channel: string;
  about: NoticeAbout;
  state: 'under_way' | 'sent' | 'deferred' | 'failed' | 'skipped';
  attempts: number;
  at: string;
  /** Why it was deferred, skipped or failed. */
  reason: string | null;
}
