import { ApplicationFailure, defineQuery, defineSignal, defineUpdate, setHandler, uuid4 } from '@temporalio/workflow';
import { decisionViewOf, incidentViewOf } from '../../contract/incident-record.ts';
import {
  DELIVERED_SIGNAL,
  readReport,
  RECORD_QUERY,
  REFRESH_SIGNAL,
  textOf,
  type DecideMessage,
  type IncidentMessages,
  type IncidentVerb,
  type ReportMessage,
  type WordMessage,
} from '../../contract/incident-messages.ts';
import type { IncidentView } from '../../contract/incident-view.ts';
import { STATUS_QUERY } from '../../contract/names.ts';
import type { IncidentEvent } from '../../domain/incidents/incident-state.ts';
import type { EntryAnswer, IncidentLife } from './life.ts';
import { lastRecordOf } from './publisher.ts';

/** Whoever has no name has come through Temporal. */
const SOMEBODY = 'temporal';
const MAX_ID = 256;
const MAX_NAME = 100;

type Delivered = Partial<Extract<IncidentEvent, { kind: 'delivery' }>>;

/**
 * Sets all handlers, before anything is awaited. A handler checks its argument and enqueues. Each verb exists as an update,
 * which answers with what has come of it, and as a signal, whose bad argument is ignored, since it has nobody to tell.
 */
export function registerIncidentHandlers(life: IncidentLife): void {
  verb(life, 'report', reportEvent);
  for (const kind of ['acknowledge', 'resolve', 'reopen'] as const) {
    verb(life, kind, (given) => ({ kind, ...wordOf(given) }));
  }
  verb(life, 'approve', (given) => decisionEvent('approved', given));
  verb(life, 'reject', (given) => decisionEvent('rejected', given));
  setHandler(defineSignal<[Delivered]>(DELIVERED_SIGNAL), (told) => {
    const { id, channel, state, reason } = told ?? {};
    // Only of what it knows of: it is a digest that answers.
    const known = life.state?.deliveries.find((row) => row.id === id);
    if (known === undefined || typeof channel !== 'string' || (state !== 'sent' && state !== 'failed')) return;
    const { about, attempts } = known;
    const row = { id: known.id, channel, about, state, attempts: attempts + 1, reason: textOf(reason) };
    life.queue.push({ event: { kind: 'delivery', ...row } });
  });
  setHandler(defineSignal(REFRESH_SIGNAL), () => {
    life.published = '';
    // Nothing is due, most likely; but the loop goes round.
    life.queue.push({ event: { kind: 'time' } });
  });
  setHandler(defineQuery(RECORD_QUERY), () => lastRecordOf(life));
  setHandler(defineQuery(STATUS_QUERY), () => (life.state === null ? null : incidentViewOf(life.state)));
}

function verb<Verb extends IncidentVerb>(
  life: IncidentLife,
  name: Verb,
  read: (given: IncidentMessages[Verb]) => IncidentEvent,
): void {
  setHandler(defineUpdate<IncidentView, [IncidentMessages[Verb]?]>(name), async (given) => {
    const event = readOrRefuse(() => read(given ?? ({} as IncidentMessages[Verb])));
    const answer = await new Promise<EntryAnswer>((resolve) => life.queue.push({ event, answer: resolve }));
    if (answer.kind === 'refused') throw refusal(life, answer);
    if (life.state === null) throw new Error(`${life.id} has taken ${name} without a state`);
    return incidentViewOf(life.state);
  });
  setHandler(defineSignal<[IncidentMessages[Verb]?]>(name), (given) => {
    try {
      life.queue.push({ event: read(given ?? ({} as IncidentMessages[Verb])) });
    } catch {
      // An exception here would fail the workflow task for ever.
    }
  });
}

/** @throws TypeError with a sentence */
export function reportEvent(given: Partial<ReportMessage>): Extract<IncidentEvent, { kind: 'report' }> {
  return {
    kind: 'report',
    id: textOf(given.report_id, MAX_ID) ?? uuid4(),
    by: textOf(given.by, MAX_NAME) ?? SOMEBODY,
    report: readReport(given),
  };
}

function decisionEvent(verdict: 'approved' | 'rejected', given: DecideMessage): IncidentEvent {
  const via = given.via === 'api' ? 'api' : 'temporal';
  return { kind: 'decide', verdict, via, id: textOf(given.id, MAX_ID) ?? uuid4(), ...wordOf(given) };
}

const wordOf = ({ by, note }: WordMessage): { by: string; note: string | null } => ({
  by: textOf(by, MAX_NAME) ?? SOMEBODY,
  note: textOf(note),
});

function readOrRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw ApplicationFailure.nonRetryable((error as Error).message, 'INVALID_REQUEST');
  }
}

/** Fails the update, not the workflow. Its details are those of the API's error. */
function refusal({ state }: IncidentLife, { code, message }: Extract<EntryAnswer, { kind: 'refused' }>): Error {
  const decision = state?.decision;
  const details = decision ? { decision: decisionViewOf(decision) } : {};
  return ApplicationFailure.nonRetryable(message, code, details);
}
