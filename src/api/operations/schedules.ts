import type { ErrorCode } from '../../contract/errors.ts';
import { deletedSchedule, scheduleList, scheduleView } from '../../schema/run-views.ts';
import { scheduleInput } from '../../schema/schedule-input.ts';
import { json, type Operation, type Operations } from './operation.ts';

const TEMPORAL: ErrorCode[] = ['TEMPORAL_UNAVAILABLE'];
const ONE: ErrorCode[] = ['SCHEDULE_NOT_FOUND', ...TEMPORAL];
const CHANGE: ErrorCode[] = [...ONE, 'FORBIDDEN', 'SHUTTING_DOWN'];

const change = (id: string, summary: string, description: string): Operation => ({
  id,
  tag: 'schedules',
  summary,
  description,
  answers: { 200: json('The schedule', scheduleView) },
  errors: CHANGE,
});

/** Agents that are called by the clock. */
export const SCHEDULE_OPERATIONS: Operations = {
  'POST /schedules': {
    id: 'createSchedule',
    tag: 'schedules',
    summary: 'Make a schedule',
    description: 'It is a Temporal Schedule, `schedule/<schedule_id>`. With the admin token.',
    body: scheduleInput,
    answers: { 201: json('It is made', scheduleView) },
    errors: ['SCHEDULE_EXISTS', 'AGENT_NOT_FOUND', 'TEMPLATE_NOT_FOUND', 'FORBIDDEN', 'SHUTTING_DOWN', ...TEMPORAL],
  },
  'GET /schedules': {
    id: 'listSchedules',
    tag: 'schedules',
    summary: 'List schedules, by id',
    answers: { 200: json('The schedules', scheduleList) },
    errors: TEMPORAL,
  },
  'GET /schedules/:schedule_id': {
    id: 'getSchedule',
    tag: 'schedules',
    summary: 'Show a schedule: its next five times, and what became of its calls',
    answers: { 200: json('The schedule', scheduleView) },
    errors: ONE,
  },
  'PUT /schedules/:schedule_id': {
    id: 'replaceSchedule',
    tag: 'schedules',
    summary: 'Make a schedule another one',
    description:
      'A pause stays, unless the body says otherwise. One of the file is what the file says after the next start.',
    body: scheduleInput,
    answers: { 200: json('The schedule', scheduleView) },
    errors: CHANGE,
  },
  'DELETE /schedules/:schedule_id': {
    id: 'deleteSchedule',
    tag: 'schedules',
    summary: 'Delete a schedule',
    description: 'Calls that are under way go on.',
    answers: { 200: json('It is deleted', deletedSchedule) },
    errors: CHANGE,
  },
  'POST /schedules/:schedule_id/pause': change(
    'pauseSchedule',
    'Make no calls until it is resumed',
    'Also after a reload or restart. Calls that fall into the pause are not made up for.',
  ),
  'POST /schedules/:schedule_id/resume': change(
    'resumeSchedule',
    'Let a paused schedule go on',
    'From the next time on.',
  ),
  'POST /schedules/:schedule_id/trigger': change(
    'triggerSchedule',
    'Call now',
    'Also while it is paused. What it says of overlaps counts.',
  ),
  'POST /schedules/:schedule_id/backfill': change(
    'backfillSchedule',
    'Make the calls of a time that is over',
    'One after the other, unless `overlap` says otherwise. A call that was made within a day is not made again. ' +
      'At most 10000 calls; more are refused.',
  ),
};
