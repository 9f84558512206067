import type { InjectedSinks } from '@temporalio/worker';
import type { Decision } from '../contract/decision.ts';
import type { Roster } from '../ports/roster.ts';
import type { RosterSinks } from '../workflows/agent/publisher.ts';
import { timely, type OnTrouble } from './timely.ts';

/**
 * Where decisions leave the workflow: no history event, awaited before the workflow task completes, never failing it.
 * One that gets lost comes with the next, or by reconciliation.
 * @param unpublished the agents whose last decision could not be written, on a full disk for instance
 */
export function rosterSinks(
  roster: Roster,
  unpublished: Set<string>,
  onTrouble: OnTrouble,
): InjectedSinks<RosterSinks> {
  const publish = async (decision: Decision): Promise<void> => {
    unpublished.add(decision.agent_id);
    await roster.publish(decision);
    unpublished.delete(decision.agent_id);
  };
  return {
    roster: {
      publish: {
        fn: (_info: unknown, decision: Decision) =>
          timely(`a decision of ${decision.agent_id}`, publish(decision), onTrouble),
      },
    },
  };
}
