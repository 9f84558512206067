import type { InjectedSinks } from '@temporalio/worker';
import type { Decision } from '../contract/decision.ts';
import type { Roster } from '../ports/roster.ts';
import type { RosterSinks } from '../workflows/agent/publisher.ts';
import { timely, type OnTrouble } from './timely.ts';

/**
 * Where decisions leave the workflow: no history event, awaited before the workflow task completes, never failing it.
 * One that gets lost comes with the next, or by reconciliation.
 */
export function rosterSinks(roster: Roster, onTrouble: OnTrouble): InjectedSinks<RosterSinks> {
  return {
    roster: {
      publish: {
        fn: (_info: unknown, decision: Decision) =>
          timely(`a decision of ${decision.agent_id}`, roster.publish(decision), onTrouble),
      },
    },
  };
}
