import type { InjectedSinks } from '@temporalio/worker';
import { setTimeout as delay } from 'node:timers/promises';
import type { Decision } from '../contract/decision.ts';
import type { Roster } from '../ports/roster.ts';
import type { RosterSinks } from '../workflows/publisher.ts';

/** A workflow task waits for its sinks: a slow disk may hold it up this long, not longer. */
const LIMIT_MS = 2_000;

/**
 * Where decisions leave the workflow: no history event, awaited before the workflow task completes, never failing it.
 * One that gets lost comes with the next, or by reconciliation.
 */
export function rosterSinks(
  roster: Roster,
  onTrouble: (message: string, error: unknown) => void,
): InjectedSinks<RosterSinks> {
  return {
    roster: {
      publish: {
        async fn(_info: unknown, decision: Decision): Promise<void> {
          const abort = new AbortController();
          const late = delay(LIMIT_MS, 'late', { signal: abort.signal, ref: false }).catch(() => 'in time');
          try {
            if ((await Promise.race([roster.publish(decision), late])) === 'late') {
              onTrouble(`The roster takes longer than ${LIMIT_MS} ms for ${decision.agent_id}`, undefined);
            }
          } catch (error) {
            onTrouble(`Cannot record a decision of ${decision.agent_id}`, error);
          } finally {
            abort.abort();
          }
        },
      },
    },
  };
}
