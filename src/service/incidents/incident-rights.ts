import { CodedError } from '../../contract/errors.ts';
import type { IncidentVerb } from '../../contract/incident-messages.ts';
import type { IncidentReport } from '../../contract/incident-view.ts';
import type { Caller } from '../caller.ts';

/** What the daemon itself names so. */
const RESERVED = /^(agent|schedule|run)\./;

/** @throws CodedError INVALID_REQUEST for an id that is the daemon's, FORBIDDEN for a kind that is */
export function checkMayReport(caller: Caller, { incident_id, kind = 'reported' }: IncidentReport): void {
  if (incident_id !== undefined && RESERVED.test(incident_id)) {
    const message = `incident_id is ${JSON.stringify(incident_id)}; ids that begin with agent., schedule. or run. are the daemon's, such as "disk-full" is yours`;
    throw new CodedError('INVALID_REQUEST', message, { field: 'incident_id' });
  }
  if (caller.kind === 'agent' && kind !== 'reported') {
    const message = `The agent ${caller.agent_id} may not report an incident of kind ${kind}: what an agent says is "reported"`;
    throw new CodedError('FORBIDDEN', message, { field: 'kind' });
  }
}

/**
 * Agents resolve what they have opened; the chief acknowledges and resolves anything; decisions are for people.
 * @throws CodedError FORBIDDEN
 */
export function checkMayAct(
  caller: Caller,
  verb: Exclude<IncidentVerb, 'report'>,
  { openedBy, chief, incidentId }: { openedBy: string | undefined; chief: string | null; incidentId: string },
): void {
  if (caller.kind === 'admin') return;
  const isChief = caller.agent_id === chief;
  if (verb === 'acknowledge' && isChief) return;
  if (verb === 'resolve' && (isChief || caller.agent_id === openedBy)) return;
  const who = {
    acknowledge: 'only the chief',
    resolve: 'only the chief, or who has opened it',
    reopen: 'only the admin token',
  };
  const may = verb === 'approve' || verb === 'reject' ? 'only a person, with the admin token' : who[verb];
  throw new CodedError('FORBIDDEN', `The agent ${caller.agent_id} may not ${verb} ${incidentId}: ${may} may`, {
    incident_id: incidentId,
  });
}

/** Who has said it: people may give their name, agents have one. */
export const nameOf = (caller: Caller, by: string | undefined): string =>
  caller.kind === 'agent' ? caller.agent_id : (by ?? 'admin');
