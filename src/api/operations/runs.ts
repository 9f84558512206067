import type { ErrorCode } from '../../contract/errors.ts';
import { runRequestSchema } from '../../schema/run-request.ts';
import { runPage, runView } from '../../schema/run-views.ts';
import { json, type Operations } from './operation.ts';

const START: ErrorCode[] = [
  'AGENT_NOT_FOUND',
  'AGENT_EXISTS',
  'AGENT_BUSY',
  'FORBIDDEN',
  'PAYLOAD_TOO_LARGE',
  'TEMPLATE_NOT_FOUND',
  'TEMPLATE_INVALID',
  'UNSUPPORTED_FIELD',
  'SHUTTING_DOWN',
  'TEMPORAL_UNAVAILABLE',
];

const operationsOf = (path: string, one: string, many: string): Operations => ({
  [`POST ${path}`]: {
    id: `start${one}`,
    tag: 'runs',
    summary: 'Run an agent once',
    description:
      'One that is at rest is started for it, one that does not exist is made for it, and one that runs finds the task in ' +
      'its mailbox. With `wait` the answer comes when the run has ended, or the time is up. The same `run_id` is the same run.',
    body: runRequestSchema,
    answers: { 201: json('The run', runView) },
    errors: START,
  },
  [`GET ${path}`]: {
    id: `list${many}`,
    tag: 'runs',
    summary: 'List runs, the latest first',
    answers: { 200: json('A page of them', runPage) },
  },
  [`GET ${path}/:run_id`]: {
    id: `get${one}`,
    tag: 'runs',
    summary: 'Show a run',
    answers: { 200: json('The run', runView) },
    errors: ['RUN_NOT_FOUND'],
  },
  [`POST ${path}/:run_id/cancel`]: {
    id: `cancel${one}`,
    tag: 'runs',
    summary: 'End a run',
    description: 'A process that was started for it is stopped; an agent that runs anyway is told to forget the task.',
    answers: { 200: json('It has ended', runView), 202: json('It is about to end', runView) },
    errors: ['RUN_NOT_FOUND', 'AGENT_NOT_FOUND', 'FORBIDDEN', 'SHUTTING_DOWN', 'TEMPORAL_UNAVAILABLE'],
  },
});

/** Finite executions of agents; a session is one. */
export const RUN_OPERATIONS: Operations = {
  ...operationsOf('/runs', 'Run', 'Runs'),
  ...operationsOf('/sessions', 'Session', 'Sessions'),
};
