import { CodedError } from '../../contract/errors.ts';
import { decisionViewOf, type IncidentRecord } from '../../contract/incident-record.ts';
import type { IncidentView } from '../../contract/incident-view.ts';
import { step } from '../../domain/incidents/incident-reducer.ts';
import type { IncidentEvent } from '../../domain/incidents/incident-state.ts';
import type { RecordRow } from '../../ports/records.ts';

/** What the records know of an incident. */
export const recordOf = (row: RecordRow | undefined): IncidentRecord | undefined =>
  row?.data as IncidentRecord | undefined;

/** What the API shows of it. */
export function viewOf({ restore: _restore, ...view }: IncidentRecord): IncidentView {
  return view;
}

export const incidentNotFound = (incidentId: string): CodedError =>
  new CodedError('INCIDENT_NOT_FOUND', `There is no incident ${incidentId}`, { incident_id: incidentId });

/**
 * Whether an incident would take this, as far as its record tells. It decides itself; this is for who gets no answer from it.
 * @throws CodedError what it would refuse it with
 */
export function checkTaken({ restore }: IncidentRecord, event: IncidentEvent): void {
  const { answer, state } = step(restore, event, Date.now());
  if (answer.kind === 'taken') return;
  const { decision } = state;
  throw new CodedError(answer.code, answer.message, decision ? { decision: decisionViewOf(decision) } : {});
}
