import { z } from 'zod';
import type { ErrorCode } from '../../contract/errors.ts';
import { agentRequestSchema } from '../../schema/agent-input.ts';
import {
  agentPage,
  agentView,
  bulkResults,
  deletedAgent,
  heartbeatAnswer,
  historyPage,
  settledAgent,
  signalAnswer,
} from '../../schema/views.ts';
import { json, text, type Operation, type Operations } from './operation.ts';

/** The codes of commands, whichever it is. */
const COMMAND: ErrorCode[] = ['AGENT_NOT_FOUND', 'CUSTODIAN_UNAVAILABLE', 'RATE_LIMITED', 'SHUTTING_DOWN'];
const LATER = 'Accepted; not there yet. The answer tells what holds now and why';

const command = (id: string, summary: string, description: string, errors: ErrorCode[] = []): Operation => ({
  id,
  tag: 'agents',
  summary,
  description,
  answers: { 200: json('It has come about', settledAgent), 202: json(LATER, settledAgent) },
  errors: [...COMMAND, 'TEMPORAL_UNAVAILABLE', ...errors],
});

const bulk = (verb: string): Operation => ({
  id: `${verb}Agents`,
  tag: 'agents',
  summary: `${verb} many agents`,
  description: 'Each agent has its own result: one that cannot be commanded does not keep the others from it.',
  answers: {
    200: json('It has come about for all of them', bulkResults),
    202: json('Accepted by all; some are not there yet', bulkResults),
    207: json('Some have refused: see `error` of each', bulkResults),
  },
  errors: ['SHUTTING_DOWN'],
});

export const AGENT_OPERATIONS: Operations = {
  'POST /agents': {
    id: 'createAgent',
    tag: 'agents',
    summary: 'Create an agent and wait for its process',
    description: 'A request that is refused has created nothing, and its agent_id is free.',
    answers: { 201: json('Its process runs', settledAgent), 202: json(LATER, settledAgent) },
    errors: [
      'AGENT_EXISTS',
      'FORBIDDEN',
      'PAYLOAD_TOO_LARGE',
      'TEMPLATE_NOT_FOUND',
      'TEMPLATE_INVALID',
      'SPAWN_FAILED',
      'UNSUPPORTED_FIELD',
      'RATE_LIMITED',
      'SHUTTING_DOWN',
      'STORAGE_FULL',
      'TEMPORAL_UNAVAILABLE',
    ],
    body: agentRequestSchema,
  },
  'GET /agents': {
    id: 'listAgents',
    tag: 'agents',
    summary: 'List agents, by agent_id',
    answers: { 200: json('The agents', agentPage) },
  },
  'GET /agents/:agent_id': {
    id: 'getAgent',
    tag: 'agents',
    summary: 'Show an agent',
    answers: { 200: json('The agent', agentView) },
    errors: ['AGENT_NOT_FOUND'],
  },
  'DELETE /agents/:agent_id': {
    id: 'deleteAgent',
    tag: 'agents',
    summary: 'Stop and delete an agent',
    description: 'Its logs and history stay, unless `purge`; its agent_id can be used again.',
    answers: {
      200: json('Its processes are gone and its workflow is closed', deletedAgent),
      202: json(LATER, z.union([settledAgent, deletedAgent])),
    },
    errors: [...COMMAND, 'FORBIDDEN'],
  },
  'POST /agents/:agent_id/start': command(
    'startAgent',
    'Start an agent',
    'Nothing happens to one that runs. Its restart counters begin anew.',
  ),
  'POST /agents/:agent_id/stop': command(
    'stopAgent',
    'Stop an agent and all that it has started',
    'Also without Temporal: the custodian then keeps the order.',
  ),
  'POST /agents/:agent_id/restart': command('restartAgent', 'Restart an agent', 'Not counted as a failure.'),
  'POST /agents/:agent_id/pause': command(
    'pauseAgent',
    'Let all processes of an agent stand still (SIGSTOP)',
    'It stays paused, also when the daemon or the machine is started again, until a resume, start, restart or stop. Its ' +
      'checks and limits are suspended meanwhile.',
    ['AGENT_NOT_RUNNING'],
  ),
  'POST /agents/:agent_id/resume': command(
    'resumeAgent',
    'Let a paused agent go on (SIGCONT)',
    'A process that it has lost meanwhile is started again.',
    ['AGENT_NOT_RUNNING'],
  ),
  'POST /agents/:agent_id/heartbeat': {
    id: 'agentHeartbeat',
    tag: 'agents',
    summary: 'An agent says that it lives, and how far it is',
    description:
      'With the token of the agent itself (`OPENSTARRY_TOKEN`), or the admin token. Where `health.liveness.heartbeat` is ' +
      'set, a process that is silent for longer is ended as unhealthy.',
    answers: { 200: json('It was heard', heartbeatAnswer) },
    errors: ['AGENT_NOT_FOUND', 'AGENT_NOT_RUNNING', 'FORBIDDEN', 'STALE_INCARNATION'],
  },
  'POST /agents/:agent_id/signal': {
    id: 'signalAgent',
    tag: 'agents',
    summary: 'Send a signal to the process of an agent',
    answers: { 202: json('It is on its way', signalAnswer) },
    errors: [...COMMAND, 'AGENT_NOT_RUNNING', 'TEMPORAL_UNAVAILABLE'],
  },
  'GET /agents/:agent_id/logs': {
    id: 'agentLogs',
    tag: 'agents',
    summary: 'What an agent has written',
    description:
      'Across incarnations and rotations, also of a deleted agent until it is purged. With `follow` the answer goes on ' +
      'until the client hangs up or the agent is deleted. With `Accept: application/x-ndjson`, one object `{ line }` a line.',
    answers: { 200: text('The lines', 'text/plain', 'application/x-ndjson') },
    errors: ['AGENT_NOT_FOUND'],
  },
  'GET /agents/:agent_id/history': {
    id: 'agentHistory',
    tag: 'agents',
    summary: 'What became of an agent, newest first',
    description: 'Kept for 30 days, also of a deleted agent.',
    answers: { 200: json('A page of it', historyPage) },
    errors: ['AGENT_NOT_FOUND'],
  },
  'POST /agents::start': bulk('start'),
  'POST /agents::stop': bulk('stop'),
  'POST /agents::restart': bulk('restart'),
  'POST /agents::pause': bulk('pause'),
  'POST /agents::resume': bulk('resume'),
  'GET /events': {
    id: 'events',
    tag: 'agents',
    summary: 'Follow what happens to the agents (Server-Sent Events)',
    description:
      '`event: transition` (with an `id`; data: TransitionEvent) for each entry of a history, `event: agent` (data: Agent) ' +
      'when what is shown of an agent changes, `event: removed` when one is deleted. With `Last-Event-ID` all transitions ' +
      'since then come first, and then every agent as it is now. A comment every 15 s shows that the connection lives; ' +
      'a client that does not read for 30 s is dropped and may resume.',
    answers: { 200: text('A stream that does not end', 'text/event-stream') },
    errors: ['RATE_LIMITED'],
  },
};
