import { differingFields } from '../../config/config-difference.ts';
import type { LoadedConfig } from '../../config/config.ts';
import type { AgentInput } from '../../contract/agent-input.ts';
import type { RosterRow } from '../../ports/roster.ts';

/** What has to be done so that the agents are those of the file. */
export interface ConfigPlan {
  added: AgentInput[];
  changed: { input: AgentInput; row: RosterRow; fields: string[] }[];
  /** Agents of this file, or of the one that it takes over from, which are not in it. */
  removed: RosterRow[];
  unchanged: RosterRow[];
  skipped: { agent_id: string; reason: string }[];
}

export const originOf = (file: string): string => `file ${file}`;

/** @param takenOver the file whose agents become those of this one */
export function planConfig(
  config: Pick<LoadedConfig, 'file' | 'agents'>,
  rows: RosterRow[],
  takenOver?: string,
): ConfigPlan {
  const plan: ConfigPlan = { added: [], changed: [], removed: [], unchanged: [], skipped: [] };
  const ours = new Set([originOf(config.file), ...(takenOver === undefined ? [] : [originOf(takenOver)])]);
  const known = new Map(rows.map((row) => [row.agent_id, row]));
  for (const input of config.agents) {
    const row = known.get(input.agent_id);
    if (row === undefined) plan.added.push(input);
    else place(plan, ours, input, row);
  }
  const named = new Set(config.agents.map((input) => input.agent_id));
  plan.removed = rows.filter(
    (row) =>
      !named.has(row.agent_id) && ours.has(row.decision.input.origin ?? '') && row.decision.desired !== 'deleted',
  );
  plan.unchanged.sort((a, b) => (a.agent_id < b.agent_id ? -1 : 1));
  return plan;
}

function place(plan: ConfigPlan, ours: ReadonlySet<string>, input: AgentInput, row: RosterRow): void {
  const { agent_id } = row;
  const { input: known, desired } = row.decision;
  if (desired === 'deleted') {
    plan.skipped.push({ agent_id, reason: 'it is being deleted; reload again when it is gone' });
    return;
  }
  if (!ours.has(known.origin ?? '')) {
    const origin = known.origin ?? 'temporal';
    const reason = `an agent of this name exists from elsewhere (origin: ${origin}); delete it, or rename the one in the file`;
    plan.skipped.push({ agent_id, reason });
    return;
  }
  const fields = differingFields(known, input);
  if (fields.length === 0) plan.unchanged.push(row);
  else plan.changed.push({ input, row, fields });
}
