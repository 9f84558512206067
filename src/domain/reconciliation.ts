/**
 * Processes, roster and workflows, compared: what is to be done where they differ.
 *
 * | workflow      | roster | custodian                                   | action                                        |
 * |---------------|--------|---------------------------------------------|-----------------------------------------------|
 * | open          | row    | agrees                                      | nothing                                       |
 * | open          | row    | lives although it should not, or another    | tell: the workflow adopts or stops it         |
 * |               |        | generation lives                            |                                               |
 * | open          | row    | nothing lives although it should            | tell: the workflow consumes the end, or goes  |
 * |               |        |                                             | on above the fence                            |
 * | open          | none   | anything                                    | tell: the workflow publishes itself again     |
 * | gone          | row    | anything                                    | re-create the life from the row; it adopts    |
 * | ended itself  | row    | anything                                    | remove the row: its last word got lost        |
 * | gone          | none   | lives                                       | report: a process that nobody describes       |
 */
import type { Phase } from './agent-state.ts';
import type { Custody } from './custody.ts';

export type WorkflowFinding =
  | 'open'
  /** Completed or failed by itself: deleted, or never admitted. */
  | 'ended'
  /** Terminated, timed out, or unknown to the server. */
  | 'gone';

export interface RowFinding {
  phase: Phase['kind'];
  generation: number;
}

export type Action = 'none' | 'tell' | 're-create' | 'remove-row' | 'report-orphan';

export function compare(workflow: WorkflowFinding, row: RowFinding | undefined, custody: Custody | undefined): Action {
  if (workflow === 'gone') return row ? 're-create' : custody?.live ? 'report-orphan' : 'none';
  if (workflow === 'ended') return row ? 'remove-row' : custody?.live ? 'report-orphan' : 'none';
  if (!row) return 'tell';
  return agrees(row, custody) ? 'none' : 'tell';
}

function agrees(row: RowFinding, custody: Custody | undefined): boolean {
  const live = custody?.live;
  const wanted = row.phase === 'live' || row.phase === 'stopping';
  if (live) return wanted && live.generation === row.generation;
  if (!wanted) return true;
  // A start that waits in its queue has not raised the fence yet: nothing is wrong with it.
  return row.phase === 'live' && (custody?.fence ?? 0) < row.generation;
}
