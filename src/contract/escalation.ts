import type { ApprovalRule } from '../domain/incidents/escalation-plan.ts';
import type { QuietHours } from '../domain/incidents/quiet-hours.ts';
import type { Severity } from '../domain/incidents/incident-words.ts';

/** Who is told of incidents, and how: the section `escalation` of the configuration, with every default filled in. */
export interface EscalationSettings {
  /** How long the chief has to acknowledge, milliseconds. */
  chiefAckMs: number;
  /** How often people are reminded, milliseconds; null is never. */
  remindersMs: number | null;
  /** In the order of the file. */
  channels: ChannelSettings[];
  /** Names of channels, in the order in which they are tried. */
  routes: Record<Severity, string[]>;
  quietHours: QuietHours | null;
  autoApprove: ApprovalRule[];
}

export const DEFAULT_ESCALATION: EscalationSettings = {
  chiefAckMs: 5 * 60_000,
  remindersMs: 3_600_000,
  channels: [],
  routes: { info: [], warning: [], critical: [] },
  quietHours: null,
  autoApprove: [],
};

/** A channel to people. Secrets are resolved: nothing of this may be logged. */
export type ChannelSettings = { name: string } & (
  | { type: 'slack'; url: string }
  | { type: 'webhook'; url: string; /** Signs the body. */ secret: string | null }
  | { type: 'command'; command: string[]; /** Where it runs. @default the daemon's own */ cwd?: string }
  | { type: 'imessage'; /** A phone number or an address. */ to: string }
);
