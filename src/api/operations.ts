/** What the OpenAPI document says of each route, besides the schemas by which its request is checked. */
import { z } from 'zod';
import type { ErrorCode } from '../contract/errors.ts';
import { agentRequestSchema } from '../schema/agent-input.ts';
import { templatesView, templateView } from '../schema/template-views.ts';
import {
  agentPage,
  agentView,
  bulkResults,
  daemonView,
  deletedAgent,
  healthAnswer,
  heartbeatAnswer,
  historyPage,
  hostList,
  reloadView,
  settledAgent,
  shutdownAnswer,
  signalAnswer,
} from '../schema/views.ts';

export interface Operation {
  id: string;
  tag: 'agents' | 'daemon' | 'probes' | 'documentation';
  summary: string;
  description?: string;
  /** By status. Of several types, the first is what is sent unless the request asks for another. */
  answers: Record<number, Answer>;
  /** Besides those that every route may answer with. */
  errors?: ErrorCode[];
  /** Where the route checks its body by itself. */
  body?: z.ZodType;
}

interface Answer {
  description: string;
  content: Record<string, z.ZodType>;
}

const json = (description: string, schema: z.ZodType): Answer => ({
  description,
  content: { 'application/json': schema },
});
const text = (description: string, ...types: string[]): Answer => ({
  description,
  content: Object.fromEntries(types.map((type) => [type, z.string()])),
});

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

/** By method and path, as fastify has them. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
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
    errors: [...COMMAND, 'TEMPORAL_UNAVAILABLE'],
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
  'GET /hosts': {
    id: 'listHosts',
    tag: 'daemon',
    summary: 'The machines that run agents',
    answers: { 200: json('The hosts', hostList) },
  },
  'GET /status': {
    id: 'status',
    tag: 'daemon',
    summary: 'What the daemon is and does',
    answers: { 200: json('Its state', daemonView) },
  },
  'GET /templates': {
    id: 'listTemplates',
    tag: 'daemon',
    summary: 'What agents can be started from',
    answers: { 200: json('All templates of the Agent Design Layer', templatesView) },
    errors: ['DESIGN_LAYER_UNAVAILABLE'],
  },
  'GET /templates/:template_id': {
    id: 'getTemplate',
    tag: 'daemon',
    summary: 'One template: its variables, and which version it is',
    answers: { 200: json('The template', templateView) },
    errors: ['TEMPLATE_NOT_FOUND', 'TEMPLATE_INVALID', 'DESIGN_LAYER_UNAVAILABLE'],
  },
  'POST /reload': {
    id: 'reload',
    tag: 'daemon',
    summary: 'Read the configuration file again',
    description:
      'The file is checked as a whole first: one that is not valid changes nothing. Only what has changed is restarted, ' +
      'only what is gone from the file is deleted. `dry_run=true` only shows the difference.',
    answers: { 200: json('The difference', reloadView) },
    errors: ['CONFIG_INVALID', 'CONFIG_NOT_FOUND', 'TEMPORAL_UNAVAILABLE', 'NOT_READY', 'SHUTTING_DOWN'],
  },
  'POST /shutdown': {
    id: 'shutdown',
    tag: 'daemon',
    summary: 'Stop the daemon and, unless `keep_agents`, all agents in order',
    answers: { 202: json('It is going down', shutdownAnswer) },
    errors: ['FORBIDDEN'],
  },
  'GET /healthz': {
    id: 'health',
    tag: 'probes',
    summary: 'Whether all critical agents are up',
    description: 'Needs no token. `X-OpenStarry-Degraded: temporal` while Temporal is away: the agents run on.',
    answers: {
      200: { description: 'They are', content: { 'text/plain': z.string(), 'application/json': healthAnswer } },
      503: {
        description: 'Those named are not',
        content: { 'text/plain': z.string(), 'application/json': healthAnswer },
      },
    },
  },
  'GET /metrics': {
    id: 'metrics',
    tag: 'probes',
    summary: 'Metrics in the format of Prometheus',
    description: 'Needs no token.',
    answers: { 200: text('The metrics', 'text/plain') },
  },
  'GET /openapi.json': {
    id: 'openapi',
    tag: 'documentation',
    summary: 'This document',
    description: 'Needs no token.',
    answers: { 200: json('OpenAPI 3.1', z.looseObject({ openapi: z.string() })) },
  },
  'GET /docs': {
    id: 'docs',
    tag: 'documentation',
    summary: 'This document, for people',
    description: 'Needs no token.',
    answers: { 200: text('A page', 'text/html') },
  },
};
