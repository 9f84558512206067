/**
 * One incident, as plain JSON: what its workflow remembers.
 *
 *            ┌───────────── worse news ────────────┐
 *            ▼                                     │
 *   open ──────────► acknowledged ─────────────────┤
 *    │  ▲                 │                        │
 *    │  └── reopen ── resolved ◄───────────────────┘
 *    │      report        ▲
 *    └────────────────────┘  resolve, recovery, a decision that is carried out
 *
 * While it is open, somebody is being told: the chief, then people, then people again. An acknowledgement ends that.
 */
import type { Json } from '../messages/message.ts';
import type {
  DaemonAction,
  IncidentKind,
  IncidentStatus,
  NoticeAbout,
  OnExpiry,
  Risk,
  Severity,
} from './incident-words.ts';

/** What was said of an incident. */
export interface Report {
  kind: IncidentKind;
  severity: Severity;
  summary: string;
  agentId: string | null;
  value: string | null;
  threshold: string | null;
  tried: string | null;
  needed: string | null;
  details: Json;
  proposal: Proposed | null;
  /** The agent has recovered once its process has lived this long; null if only somebody can say so. Milliseconds. */
  stableMs: number | null;
}

export interface Proposed {
  action: DaemonAction | string;
  reason: string;
  risk: Risk;
  /** From now on, milliseconds; null is never. */
  expiresInMs: number | null;
  onExpiry: OnExpiry;
}

export interface Proposal extends Omit<Proposed, 'expiresInMs'> {
  /** Epoch milliseconds. */
  expiresAtMs: number | null;
  /** That time has passed, and it has stayed undecided. */
  over: boolean;
}

export interface ProposalDecision {
  verdict: 'approved' | 'rejected';
  by: string;
  via: 'api' | 'temporal' | 'rule' | 'expiry';
  atMs: number;
  note: string | null;
  /** Identifies the call that made it: the same call again is the same decision. */
  id: string;
}

export interface Delivery {
  id: string;
  /** Name of a channel, `chief`, or `people` where there is none. */
  channel: string;
  about: NoticeAbout;
  state: 'under_way' | 'sent' | 'deferred' | 'failed' | 'skipped';
  attempts: number;
  atMs: number;
  reason: string | null;
}

/** Who is being told. `round` grows each time it starts, so that a late answer to an earlier round is recognized. */
export interface Escalation {
  round: number;
  stage: 'none' | 'planning' | 'chief' | 'people';
  /** `chief`: by when it has to acknowledge. `people`: when they are reminded. Epoch milliseconds. */
  dueMs: number | null;
  /** Why people were told and not the chief, or no longer only the chief. */
  why: string | null;
  /** What there is to be told. */
  about: NoticeAbout;
}

export interface IncidentState extends Omit<Report, 'proposal' | 'stableMs'> {
  incidentId: string;
  status: IncidentStatus;
  count: number;
  openedAtMs: number;
  updatedAtMs: number;
  openedBy: string;
  acknowledged: { by: string; atMs: number } | null;
  resolved: { by: string; atMs: number; reason: string | null } | null;
  proposal: Proposal | null;
  decision: ProposalDecision | null;
  execution: { state: 'pending' | 'done' | 'failed'; message: string; atMs: number | null } | null;
  deliveries: Delivery[];
  history: { atMs: number; says: string }[];
  escalation: Escalation;
  /** Whether they have heard of it: then they hear of its end as well. */
  told: { chief: string | null; people: boolean };
  /** When to look whether its agent has recovered. */
  recovery: { stableMs: number; nextMs: number } | null;
  /** Ids of the reports that were taken, the latest; and of the one that opened it. */
  reports: string[];
  openedByReport: string;
  /** Makes ids of deliveries: unique over all lives of an incident of this id. */
  life: string;
  deliveryCount: number;
}

export type IncidentEvent =
  | { kind: 'report'; id: string; by: string; report: Report }
  | { kind: 'acknowledge'; by: string; note: string | null }
  | { kind: 'resolve'; by: string; note: string | null }
  | { kind: 'reopen'; by: string; note: string | null }
  | ({ kind: 'decide' } & Omit<ProposalDecision, 'atMs'>)
  | { kind: 'planned'; round: number; plan: EscalationPlan }
  /** `failure` is why it could not be told. */
  | { kind: 'chief-told'; round: number; id: string; chief: string; about: NoticeAbout; failure: string | null }
  /** What becomes of a notice on one channel. */
  | ({ kind: 'delivery' } & Omit<Delivery, 'atMs'>)
  /** All that can be done for a notice to people has been done. */
  | {
      kind: 'people-told';
      id: string;
      about: NoticeAbout;
      outcome: 'sent' | 'deferred' | 'failed' | 'no-channel';
      /** Milliseconds; null is never. */
      remindMs: number | null;
    }
  | { kind: 'executed'; ok: boolean; message: string }
  | { kind: 'recovery-checked'; recovered: boolean; says: string; againMs: number }
  /** Something may be due. */
  | { kind: 'time' };

/** Who is told first, as the configuration and the state of the fleet have it. */
export interface EscalationPlan {
  /** The rule that approves its proposal, 1 is the first; null if none does. */
  rule: number | null;
  /** Null if the chief is not told. */
  chief: { agentId: string; ackMs: number } | null;
  /** Why people are told at once; null if the chief comes first. */
  why: string | null;
}

export type IncidentEffect =
  | { kind: 'plan'; round: number }
  | { kind: 'tell-chief'; round: number; id: string; chief: string; about: NoticeAbout }
  | { kind: 'tell-people'; id: string; about: NoticeAbout }
  | { kind: 'tell-asker'; asker: string; what: 'decided' | 'executed' | 'withdrawn' }
  | { kind: 'execute'; action: DaemonAction }
  | { kind: 'check-recovery'; agentId: string; stableMs: number };

/** What somebody who waits is answered. */
export type IncidentAnswer =
  | { kind: 'taken' }
  | { kind: 'refused'; code: 'NOT_AN_APPROVAL' | 'ALREADY_DECIDED' | 'INVALID_REQUEST'; message: string };

export interface IncidentStep {
  state: IncidentState;
  effects: IncidentEffect[];
  answer: IncidentAnswer;
}
