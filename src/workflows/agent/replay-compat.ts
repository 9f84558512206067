/**
 * What the code of today has to do differently for workflows that started before a change: their histories must replay to
 * the same workflow commands, or their agents would be without a workflow after an upgrade.
 *
 * | patch id                  | workflows that started before it                                                     |
 * |---------------------------|--------------------------------------------------------------------------------------|
 * | `incidents`               | only logged an agent's trouble; now it is reported                                   |
 * | `told-is-checked`         | believed the signal `reconcile`; now it is a hint, and the custodian is asked        |
 * | `ordered-restart-holds`   | judged an exit that was faster than an ordered restart; now the restart holds        |
 * | `lost-stop-settles`       | waited for the answer to a stop; now any word of the custodian ends it, if the fence |
 * |                           | says that what was to be stopped will never start                                    |
 * | `configure-keeps-the-run` | let a new definition replace the process of a run, unless that was not admitted yet; |
 * |                           | now the definition is refused                                                        |
 *
 * Each may go (first as `deprecatePatch`) once no workflow that started before it is open. Age is no measure: the workflow of
 * a quiet agent continues as new only after thousands of events. Until then `test/workflows/replay.test.ts` needs it.
 *
 * `patched` writes an event into the history, so it is asked for only where the answer makes a difference.
 */
import { patched } from '@temporalio/workflow';
import type { AgentEvent, AgentState } from '../../domain/agent-state.ts';
import type { Custody, ExitRecord } from '../../domain/custody.ts';
import { isReplaced } from '../../domain/life/ends.ts';
import { custodyHinted, isStopDone } from '../../domain/life/reconcile.ts';
import { stopPolicy } from '../../domain/life/steps.ts';

/** State and event as the reducer has to be given them for this history. */
export function asRecorded(state: AgentState, event: AgentEvent): { state: AgentState; event: AgentEvent } {
  const believed: AgentEvent = isBelieved(state, event) ? { kind: 'custody-answered', custody: event.custody } : event;
  const known = waitsForItsAnswer(state, believed) ? withoutFence(believed) : believed;
  return isJudgedInStop(state, known) ? { state: asShutdown(state), event: known } : { state, event: known };
}

export const reportsIncidents = (): boolean => patched('incidents');

export const definitionKeepsRun = (): boolean => patched('configure-keeps-the-run');

type Hint = Extract<AgentEvent, { kind: 'custody-hinted' }>;

const isBelieved = (state: AgentState, event: AgentEvent): event is Hint =>
  event.kind === 'custody-hinted' && custodyHinted(state, event).effects.length > 0 && !patched('told-is-checked');

type CustodyNews = Extract<AgentEvent, { custody: Custody }>;

/** Whether the custodian's word ends a stop whose own answer has not come; or does so above a fence that it did not raise. */
function waitsForItsAnswer(state: AgentState, event: AgentEvent): event is CustodyNews {
  if (!('custody' in event) || event.kind === 'custody-hinted' || !isStopDone(state, event.custody)) return false;
  const isSettled = event.kind === 'stop-settled' && event.custody.fence <= state.generation;
  return !isSettled && !patched('lost-stop-settles');
}

const withoutFence = <News extends CustodyNews>(news: News): News => ({
  ...news,
  custody: { ...news.custody, fence: 0 },
});

function isJudgedInStop(state: AgentState, event: AgentEvent): boolean {
  const exit = exitIn(event);
  if (exit === undefined || exit.generation <= state.handled || !isReplaced(state, exit)) return false;
  return !patched('ordered-restart-holds');
}

/** The end that an event brings. */
function exitIn(event: AgentEvent): ExitRecord | undefined {
  if (event.kind === 'ended') return event.exit;
  if (event.kind === 'custody-hinted' || !('custody' in event)) return undefined;
  return event.custody.live ? undefined : event.custody.last_exit;
}

/** Only a stop that an operator ordered can stand for a restart: under any other, the end is judged. */
const asShutdown = (state: AgentState): AgentState => ({
  ...state,
  phase: { kind: 'stopping', order: { stop: stopPolicy(state), cause: 'shutdown' } },
});
