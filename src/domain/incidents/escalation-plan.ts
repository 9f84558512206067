import { matchesGlob } from './agent-glob.ts';
import type { EscalationPlan, Proposal } from './incident-state.ts';
import { RISKS, type DaemonAction, type IncidentKind, type Risk } from './incident-words.ts';

/** Approves proposals of this command for agents whose ids match, up to this risk. */
export interface ApprovalRule {
  command: DaemonAction['command'];
  /** A pattern, see `matchesGlob`. */
  agentId: string;
  /** The highest that it covers. */
  risk: Risk;
}

/** What an escalation depends on, as it is at this moment. */
export interface EscalationFacts {
  incident: {
    kind: IncidentKind;
    agentId: string | null;
    openedBy: string;
    /** What waits for a decision. */
    proposal: Pick<Proposal, 'action' | 'risk'> | null;
  };
  /** Null if none is configured. */
  chief: { agentId: string; /** Null if there is no such agent. */ state: ChiefState | null } | null;
  ackMs: number;
  /** The agent that the incident is about. */
  faultDomain: string | null;
  rules: readonly ApprovalRule[];
}

export interface ChiefState {
  isUp: boolean;
  /** As the API shows it, such as `backoff`. */
  state: string;
  reason: string;
}

/** Who is told first. Pure. */
export function planOf(facts: EscalationFacts): EscalationPlan {
  const { incident, chief, ackMs, rules } = facts;
  const rule = incident.proposal === null ? null : ruleFor(incident.proposal, rules);
  const why = whyNotChief(facts);
  if (why !== null || chief === null) return { rule, chief: null, why: why ?? 'no chief is configured' };
  const told = { agentId: chief.agentId, ackMs };
  // An acknowledgement by the chief must not keep a proposal from those who can decide it.
  return { rule, chief: told, why: incident.proposal === null ? null : 'only a person can decide' };
}

function whyNotChief({ incident, chief, faultDomain }: EscalationFacts): string | null {
  if (chief === null) return 'no chief is configured';
  const { agentId, state } = chief;
  if (incident.kind === 'fail_stop') return 'the whole daemon stops, and the chief with it';
  if (incident.agentId === agentId) return `the chief ${agentId} is the agent in trouble`;
  if (faultDomain === 'master') return `${incident.agentId ?? 'the agent'} is of the fault domain master`;
  if (incident.openedBy === agentId) return `the chief ${agentId} has reported it itself`;
  if (state === null) return `the chief ${agentId} does not exist`;
  if (state.isUp) return null;
  return `the chief ${agentId} is ${state.state === 'disabled' ? 'disabled' : 'down'} (${state.state}: ${state.reason})`;
}

/** The number of the first rule that covers it, from 1; null if none does. */
export function ruleFor(
  { action, risk }: Pick<Proposal, 'action' | 'risk'>,
  rules: readonly ApprovalRule[],
): number | null {
  if (typeof action === 'string') return null;
  const n = rules.findIndex(
    (rule) =>
      rule.command === action.command &&
      RISKS.indexOf(risk) <= RISKS.indexOf(rule.risk) &&
      matchesGlob(rule.agentId, action.agent_id),
  );
  return n < 0 ? null : n + 1;
}
