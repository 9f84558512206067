import type { EscalationSettings } from '../../contract/escalation.ts';
import type { EscalationRequest, NoticePlan, Recovery } from '../../contract/incident-activities.ts';
import type { Severity } from '../../domain/incidents/incident-words.ts';
import { planOf, type ChiefState } from '../../domain/incidents/escalation-plan.ts';
import type { EscalationPlan } from '../../domain/incidents/incident-state.ts';
import { describeQuiet, quietUntil } from '../../domain/incidents/quiet-hours.ts';
import { isUp } from '../../domain/public-state.ts';
import { describeMs } from '../../domain/duration.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import { viewOf } from '../view.ts';

export interface EscalationDeps {
  roster: Pick<Roster, 'get'>;
  /** As they are now: a reload may change them. */
  settings: () => EscalationSettings;
  chief: () => string | null;
  /** Epoch milliseconds. @default Date.now */
  now?: () => number;
}

/** A process that was just checked in vain is checked again after this, at the earliest. */
const MIN_AGAIN_MS = 2_000;

/** Who is to be notified, and when: from the configuration and the state of the fleet at this moment. */
export class Escalation {
  readonly #deps: EscalationDeps;

  constructor(deps: EscalationDeps) {
    this.#deps = deps;
  }

  async plan({ kind, agent_id, opened_by, proposal }: EscalationRequest): Promise<EscalationPlan> {
    const { roster, settings, chief } = this.#deps;
    const { chiefAckMs, autoApprove } = settings();
    const chiefId = chief();
    const chiefRow = chiefId === null ? undefined : await roster.get(chiefId);
    const agentRow = agent_id === null ? undefined : await roster.get(agent_id);
    return planOf({
      incident: { kind, agentId: agent_id, openedBy: opened_by, proposal },
      chief:
        chiefId === null ? null : { agentId: chiefId, state: chiefRow === undefined ? null : chiefStateOf(chiefRow) },
      ackMs: chiefAckMs,
      faultDomain: agentRow?.decision.fault_domain ?? null,
      rules: autoApprove,
    });
  }

  notice(severity: Severity): NoticePlan {
    const { settings, now = Date.now } = this.#deps;
    const { routes, quietHours, remindersMs } = settings();
    const untilMs = quietHours === null ? null : quietUntil(quietHours, now());
    return {
      channels: routes[severity],
      quiet:
        quietHours === null || untilMs === null
          ? null
          : {
              until_ms: untilMs,
              says: `quiet hours (${describeQuiet(quietHours)}) until ${new Date(untilMs).toISOString()}`,
            },
      remind_ms: remindersMs,
    };
  }

  /** Whether the agent's process has lived, and been healthy, for this long. */
  async recovery(agentId: string, stableMs: number): Promise<Recovery> {
    const { roster, now = Date.now } = this.#deps;
    const { process, decision } = (await roster.get(agentId)) ?? {};
    const startedAt = process?.started_at ?? null;
    const isWell = isUp(process ?? null) && process?.generation === decision?.generation && startedAt !== null;
    if (!isWell) return { recovered: false, says: '', again_ms: Math.max(stableMs, MIN_AGAIN_MS) };
    const ranMs = now() - Date.parse(startedAt);
    if (ranMs < stableMs) return { recovered: false, says: '', again_ms: Math.max(stableMs - ranMs, MIN_AGAIN_MS) };
    return { recovered: true, says: `${agentId} has run stably for ${describeMs(stableMs)}`, again_ms: 0 };
  }
}

function chiefStateOf(row: RosterRow): ChiefState {
  const { state, reason } = viewOf(row, false);
  return { isUp: isUp(row.process), state, reason };
}
