/**
 * The workflow `incident`: something that someone must know, from its first report until it is over. With a proposal it is
 * an approval.
 *
 * Like `agent`, it only interprets a reducer (`src/domain/incidents`): handlers and finished activities put events into a
 * queue, one loop takes them out in order. It ends when the incident is resolved and all who are to hear of that have; a
 * report or a reopening after that starts it again, with what its record knows.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import type { IncidentStart } from '../../contract/incident-messages.ts';
import { INCIDENT_ID_PATTERN, incidentWorkflowIdOf } from '../../contract/incident-view.ts';
import {
  birth,
  dueAtMs,
  overtakesExpiry,
  restored,
  step,
  stepAfterExpiry,
} from '../../domain/incidents/incident-reducer.ts';
import type { IncidentState, IncidentStep } from '../../domain/incidents/incident-state.ts';
import { Alarm } from '../alarm.ts';
import { IncidentEffects } from './effects.ts';
import { registerIncidentHandlers, reportEvent } from './handlers.ts';
import { newIncident, type Entry, type IncidentLife } from './life.ts';
import { IncidentPublisher } from './publisher.ts';

/** How long a workflow without a report waits for one. */
const FIRST_REPORT = '1 minute';
/** The server suggests a new run at 4096 events. */
const MAX_EVENTS = 3_800;

/**
 * @param start see `IncidentStart`
 * @param given only counts in a run that continues another one: the incident as it stood
 */
export async function incident(start?: IncidentStart, given?: IncidentLife): Promise<void> {
  const info = workflowInfo();
  const id = idOf(info.workflowId);
  const carried = info.continuedFromExecutionRunId === undefined ? undefined : given;
  const life = carried ?? newIncident(id, restoreOf(start, id));
  registerIncidentHandlers(life);
  const effects = new IncidentEffects(life);
  const publisher = new IncidentPublisher(life);
  const alarm = new Alarm(() => life.queue.push({ event: { kind: 'time' } }));
  // Somebody cancelled it with Temporal's tools: he does not want to hear of it any more.
  CancellationScope.current().cancelRequested.catch(() =>
    life.queue.push({ event: { kind: 'resolve', by: 'temporal', note: 'its workflow was cancelled' } }),
  );

  await CancellationScope.nonCancellable(async () => {
    if (carried === undefined) begin(life, start, effects);
    if (life.state === null && life.queue.length === 0) await condition(() => life.queue.length > 0, FIRST_REPORT);
    if (life.state === null && life.queue.length === 0) {
      throw ApplicationFailure.nonRetryable(`There is no report of ${id}, and no record`, 'INVALID_REQUEST');
    }
    for (;;) {
      for (let entry = life.queue.shift(); entry; entry = life.queue.shift()) take(life, entry, effects);
      const { state } = life;
      if (state !== null) publisher.publish(state);
      alarm.set(state === null ? null : dueAtMs(state), 'somebody is to be told, or a proposal runs out');
      if (mayEnd(life, effects)) return;
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      if ((continueAsNewSuggested || historyLength > MAX_EVENTS) && isIdle(life, effects)) {
        await continueAsNew<typeof incident>({}, { ...life, queue: [], published: '' });
      }
      const wasIdle = isIdle(life, effects);
      await condition(() => life.queue.length > 0 || (!wasIdle && isIdle(life, effects)));
    }
  });
}

function begin(life: IncidentLife, start: IncidentStart | undefined, effects: IncidentEffects): void {
  if (life.state !== null) {
    const known = restored(life.state, life.name, Date.now());
    life.state = known.state;
    effects.perform(known.effects);
  }
  if (start?.summary === undefined) return;
  try {
    life.queue.push({ event: reportEvent(start) });
  } catch (error) {
    throw ApplicationFailure.nonRetryable((error as Error).message, 'INVALID_REQUEST');
  }
}

function take(life: IncidentLife, { event, answer }: Entry, effects: IncidentEffects): void {
  const next = stepOf(life, event);
  if (next === undefined) {
    const message = `There is no incident ${life.id}: nobody has reported it`;
    return answer?.({ kind: 'refused', code: 'INCIDENT_NOT_FOUND', message });
  }
  life.state = next.state;
  effects.perform(next.effects);
  answer?.(next.answer);
}

function stepOf(life: IncidentLife, event: Entry['event']): IncidentStep | undefined {
  if (life.state !== null) {
    const nowMs = Date.now();
    // Asked for only where it makes a difference: it is an event.
    const isAsBefore = overtakesExpiry(life.state, event, nowMs) && !patched('rejected-before-expiry');
    return (isAsBefore ? stepAfterExpiry : step)(life.state, event, nowMs);
  }
  return event.kind === 'report' ? birth(life.id, life.name, event, Date.now()) : undefined;
}

const isIdle = (life: IncidentLife, effects: IncidentEffects): boolean =>
  effects.isIdle && life.queue.length === 0 && allHandlersFinished();

/** What quiet hours hold back is told by a digest, and its word is waited for. */
function mayEnd(life: IncidentLife, effects: IncidentEffects): boolean {
  const { state } = life;
  if (state !== null && state.status !== 'resolved') return false;
  return isIdle(life, effects) && !state?.deliveries.some((delivery) => delivery.state === 'deferred');
}

function idOf(workflowId: string): string {
  const id = workflowId.replace(/^incident\//, '');
  if (workflowId === incidentWorkflowIdOf(id) && INCIDENT_ID_PATTERN.test(id)) return id;
  const message = `The workflow id must be incident/<incident_id>, got ${workflowId}`;
  throw ApplicationFailure.nonRetryable(message, 'ID_MISMATCH');
}

/** Who starts a workflow may give it anything, and what it trips over would fail its tasks for ever. */
function restoreOf(start: IncidentStart | undefined, id: string): IncidentState | null {
  const restore = start?.restore;
  if (restore === undefined) return null;
  const { incidentId, status, deliveries, history, reports, escalation, told } = restore;
  const isWhole =
    incidentId === id &&
    typeof status === 'string' &&
    [deliveries, history, reports].every(Array.isArray) &&
    typeof escalation?.round === 'number' &&
    typeof told?.people === 'boolean';
  if (isWhole) return restore;
  throw ApplicationFailure.nonRetryable(`restore is not what the records have of ${id}`, 'INVALID_REQUEST');
}
