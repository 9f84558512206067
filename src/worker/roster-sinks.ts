import type { InjectedSinks } from '@temporalio/worker';
import type { Decision } from '../contract/decision.ts';
import type { Roster } from '../ports/roster.ts';
import type { RosterSinks } from '../workflows/agent/publisher.ts';
import { timely, type OnTrouble } from './timely.ts';

/**
 * Where decisions leave the workflow: no history event, awaited before the workflow task completes, never failing it.
 * One that gets lost comes with the next, or by reconciliation.
 * @param unpublished by agent, the last decision that is not written (yet), on a full disk for instance
 */
export function rosterSinks(
  roster: Roster,
  unpublished: Map<string, number>,
  onTrouble: OnTrouble,
): InjectedSinks<RosterSinks> {
  const publish = async (decision: Decision): Promise<void> => {
    const { agent_id, sequence } = decision;
    unpublished.set(agent_id, sequence);
    await roster.publish(decision);
    // A later one may have failed while this one was late.
    if (unpublished.get(agent_id) === sequence) unpublished.delete(agent_id);
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
