import type { ErrorCode } from '../../contract/errors.ts';
import { incidentPage, incidentView, noticeTest } from '../../schema/incident-views.ts';
import { json, type Operation, type Operations } from './operation.ts';

const ACT: ErrorCode[] = ['INCIDENT_NOT_FOUND', 'FORBIDDEN', 'SHUTTING_DOWN', 'TEMPORAL_UNAVAILABLE'];

const act = (verb: string, summary: string, description: string, errors: ErrorCode[] = []): Operation => ({
  id: `${verb}Incident`,
  tag: 'incidents',
  summary,
  description,
  answers: { 200: json('The incident as it is now', incidentView) },
  errors: [...ACT, ...errors],
});

const DECIDE: ErrorCode[] = ['ALREADY_DECIDED', 'NOT_AN_APPROVAL'];

/** What someone must know, and what waits for a person's decision. */
export const INCIDENT_OPERATIONS: Operations = {
  'POST /incidents': {
    id: 'reportIncident',
    tag: 'incidents',
    summary: 'Report an incident, or ask for an approval',
    description:
      'The same `incident_id` is the same incident while it is open: it is counted, and told anew only if it is worse. ' +
      'With a `proposal` it waits for a decision. An agent reports in its own name.',
    answers: {
      200: json('It was open already', incidentView),
      201: json('It is open now', incidentView),
      202: json('Accepted; it will be open in a moment', incidentView),
    },
    errors: ['FORBIDDEN', 'PAYLOAD_TOO_LARGE', 'RATE_LIMITED', 'SHUTTING_DOWN', 'TEMPORAL_UNAVAILABLE'],
  },
  'GET /incidents': {
    id: 'listIncidents',
    tag: 'incidents',
    summary: 'List incidents, the latest first',
    description: 'Those that are resolved are kept for 30 days.',
    answers: { 200: json('A page of them', incidentPage) },
  },
  'GET /incidents/:incident_id': {
    id: 'getIncident',
    tag: 'incidents',
    summary: 'Show an incident',
    answers: { 200: json('The incident', incidentView) },
    errors: ['INCIDENT_NOT_FOUND'],
  },
  'POST /incidents/:incident_id/acknowledge': act(
    'acknowledge',
    'Take note of an incident: nobody is reminded any more',
    'For the admin and the chief.',
  ),
  'POST /incidents/:incident_id/resolve': act(
    'resolve',
    'Say that an incident is over',
    'For the admin, the chief and the agent that has opened it. A proposal is withdrawn by it, undecided.',
  ),
  'POST /incidents/:incident_id/reopen': act('reopen', 'Say that it is not over', 'For the admin. It is told anew.'),
  'POST /incidents/:incident_id/approve': act(
    'approve',
    'Approve what is proposed',
    'For the admin. Decided once: whoever comes later is told who has decided, and when (`details.decision`). A command ' +
      'of the daemon is then carried out, once; what came of it stands in `execution`.',
    DECIDE,
  ),
  'POST /incidents/:incident_id/reject': act(
    'reject',
    'Reject what is proposed',
    'For the admin. See `approve`.',
    DECIDE,
  ),
  'POST /notify/test': {
    id: 'testNotice',
    tag: 'incidents',
    summary: 'Send a notice to find out whether the channels work',
    description: 'On one channel, or on each of the configuration; at once, also in quiet hours.',
    answers: { 200: json('What came of it, by channel', noticeTest) },
    errors: ['FORBIDDEN', 'SHUTTING_DOWN'],
  },
};
