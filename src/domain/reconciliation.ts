/**
 * Processes, roster and workflows, compared: what is to be done where they differ.
 *
 * | workflow      | roster | custodian                                   | action                                        |
 * |---------------|--------|---------------------------------------------|-----------------------------------------------|
 * | open          | row    | agrees                                      | nothing                                       |
 * | open          | row    | lives although it should not, or another    | tell: the workflow adopts or stops it         |
 * |               |        | generation lives                            |                                               |
 * | open          | row    | lives paused although it should run, or the | tell: the workflow pauses or resumes it       |
 * |               |        | other way round                             |                                               |
 * | open          | row    | nothing lives although it should            | tell: the workflow consumes the end, or goes  |
 * |               |        |                                             | on above the fence                            |
 * | open          | row    | knows nothing of a start, or of a stop,     | dispatch again, if Temporal believes that the |
 * |               |        | that the workflow has asked for; or an      | daemon has the call and the daemon does not   |
 * |               |        | admission has no answer                     |                                               |
 * | open          | row    | waits for others, and no daemon looks out   | dispatch again, likewise                      |
 * |               |        | for it                                      |                                               |
 * | open          | row    | the same, and Temporal has no such call     | tell: the roster shows a decision that        |
 * |               |        |                                             | Temporal did not keep                         |
 * | open          | row    | agrees, but its last decision could not be  | tell: the workflow publishes itself again     |
 * |               |        | written to the roster                       |                                               |
 * | open          | none   | anything                                    | tell: the workflow publishes itself again     |
 * | gone          | row    | anything                                    | re-create the life from the row; it adopts    |
 * | ended itself  | row    | anything                                    | remove the row: its last word got lost        |
 * | gone, ended   | none   | lives                                       | report: a process that nobody describes       |
 * | gone, ended   | none   | keeps an exit                               | forget it: a new agent of that name must not  |
 * |               |        |                                             | take it for its own                           |
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
  /** The latest generation whose end has been dealt with. */
  handled: number;
}

export type Action =
  | 'none'
  | 'tell'
  /** Only if the call is really lost: while it waits in its queue, or is being carried out, nothing is wrong. */
  | 'redispatch-admission'
  | 'redispatch-run'
  | 'redispatch-stop'
  | 'redispatch-wait'
  | 're-create'
  | 'remove-row'
  | 'report-orphan'
  | 'forget';

/** `isStopping`: the custodian has a stop of the live process under way. */
export function compare(
  workflow: WorkflowFinding,
  row: RowFinding | undefined,
  custody: Custody | undefined,
  isStopping: boolean,
): Action {
  if (workflow !== 'open') {
    if (row) return workflow === 'gone' ? 're-create' : 'remove-row';
    if (custody?.live) return 'report-orphan';
    return custody?.last_exit ? 'forget' : 'none';
  }
  if (!row) return 'tell';
  return compareLife(row, custody ?? { fence: 0 }, isStopping);
}

function compareLife(row: RowFinding, { live, fence }: Custody, isStopping: boolean): Action {
  const isPaused = row.phase === 'paused';
  const isAsked = row.phase === 'live' || row.phase === 'stopping' || (isPaused && row.generation > row.handled);
  if (live) {
    if (!isAsked || live.generation !== row.generation) return 'tell';
    if (row.phase === 'stopping') return isStopping ? 'none' : 'redispatch-stop';
    return isPaused === (live.paused ?? false) ? 'none' : 'tell';
  }
  if (row.phase === 'admitting') return 'redispatch-admission';
  if (row.phase === 'waiting') return 'redispatch-wait';
  if (!isAsked) return 'none';
  if (fence >= row.generation) return 'tell';
  // The call to pause, which will forbid the start, is tried again by itself.
  if (isPaused) return 'none';
  return row.phase === 'live' ? 'redispatch-run' : 'redispatch-stop';
}
