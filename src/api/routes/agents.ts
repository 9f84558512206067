import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CodedError } from '../../contract/errors.ts';
import { strict } from '../../schema/problem.ts';
import { publicState } from '../../schema/views.ts';
import type { CommandResult } from '../../service/commands.ts';
import type { CommandLimit } from '../command-limit.ts';
import { cursor, cursorOf, numberCursor } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { agentPath, commandOptions, duration, flag, noBody, noQuery, wait, whole } from '../request-schema.ts';
import { callOf } from '../request-context.ts';
import { historyEntry } from '../show.ts';

const grace = { grace: duration.optional() };
const stopQuery = strict({ wait, ...grace });
const deleteQuery = strict({ wait, ...grace, purge: flag });
const startQuery = strict({ wait });
const listQuery = strict({
  state: publicState.optional(),
  template_id: z.string().max(200).optional(),
  label: z
    .union([z.string(), z.array(z.string())], { error: 'name=value or name' })
    .optional()
    .meta({ description: '`name=value`, or `name` with any value; may be repeated, then all must hold' }),
  limit: whole(1, 10_000).optional().meta({ description: 'At most so many; without it, all' }),
  cursor: cursor.optional(),
});
const historyQuery = strict({
  limit: whole(1, 1000).default(100),
  before: whole(1, Number.MAX_SAFE_INTEGER).optional().meta({ description: 'Only entries with a lower `id`' }),
  cursor: numberCursor.optional(),
});
const heartbeatBody = strict({
  progress: z.union([z.string().max(1000), z.number()]).exactOptional(),
  usage: z
    .record(z.string().max(64), z.number())
    .refine((usage) => Object.keys(usage).length <= 32, 'at most 32 entries')
    .exactOptional(),
}).nullish();
const signalBody = strict({ name: z.string().max(32) });

export function agentRoutes(deps: ApiDeps, limit: CommandLimit): FastifyPluginCallbackZod {
  const { orchestrator } = deps;
  const limited = async (request: FastifyRequest): Promise<void> => {
    limit.take((request.params as { agent_id: string }).agent_id);
  };

  return (app, _options, done) => {
    app.post('/agents', { schema: { querystring: startQuery } }, async (request, reply) => {
      const input = deps.parseAgentInput(request.body);
      limit.take(input.agent_id);
      const { until, waitMs } = request.query.wait;
      const { settled, agent } = await orchestrator.create(callOf(request), input, { wait: until, waitMs });
      reply.header('location', `/agents/${input.agent_id}`);
      return reply.code(settled ? 201 : 202).send({ ...agent, settled });
    });

    app.get('/agents', { schema: { querystring: listQuery } }, async (request) => {
      const { state, template_id, label, limit: count, cursor: after } = request.query;
      const filter = {
        ...(state === undefined ? {} : { state }),
        ...(template_id === undefined ? {} : { template_id }),
        labels: label === undefined ? [] : [label].flat(),
      };
      const all = await orchestrator.list(callOf(request), filter);
      const rest = after === undefined ? all : all.filter(({ agent_id }) => agent_id > after);
      const agents = rest.slice(0, count);
      const last = agents.at(-1);
      return { agents, next_cursor: last && agents.length < rest.length ? cursorOf(last.agent_id) : null };
    });

    const path = { params: agentPath };
    app.get('/agents/:agent_id', { schema: { ...path, querystring: noQuery } }, (request) =>
      orchestrator.get(callOf(request), request.params.agent_id),
    );

    const deletion = { schema: { ...path, querystring: deleteQuery, body: noBody }, preHandler: limited };
    app.delete('/agents/:agent_id', deletion, async (request, reply) => {
      const { purge, ...query } = request.query;
      const result = await orchestrator.remove(callOf(request), request.params.agent_id, {
        ...commandOptions(query),
        purge,
      });
      return sendResult(reply, result);
    });

    const stop = { schema: { ...path, querystring: stopQuery, body: noBody }, preHandler: limited };
    app.post('/agents/:agent_id/stop', stop, async (request, reply) =>
      sendResult(
        reply,
        await orchestrator.command(callOf(request), 'stop', request.params.agent_id, commandOptions(request.query)),
      ),
    );

    const start = { schema: { ...path, querystring: startQuery, body: noBody }, preHandler: limited };
    for (const verb of ['start', 'restart', 'pause', 'resume'] as const) {
      app.post(`/agents/:agent_id/${verb}`, start, async (request, reply) =>
        sendResult(
          reply,
          await orchestrator.command(callOf(request), verb, request.params.agent_id, commandOptions(request.query)),
        ),
      );
    }

    // Each beat of each agent would drown the log.
    const heartbeat = { schema: { ...path, querystring: noQuery, body: heartbeatBody }, logLevel: 'warn' } as const;
    app.post('/agents/:agent_id/heartbeat', heartbeat, (request) =>
      orchestrator.heartbeat(callOf(request), request.params.agent_id, request.body ?? {}),
    );

    const signal = { schema: { ...path, querystring: noQuery, body: signalBody }, preHandler: limited };
    app.post('/agents/:agent_id/signal', signal, async (request, reply) => {
      const { agent_id } = request.params;
      const { revision } = await orchestrator.signal(callOf(request), agent_id, request.body.name);
      return reply.code(202).send({ agent_id, revision });
    });

    const history = { schema: { ...path, querystring: historyQuery } };
    app.get('/agents/:agent_id/history', history, async (request) => {
      const { limit: count, cursor: from } = request.query;
      const before = from ?? request.query.before;
      const page = { limit: count, ...(before === undefined ? {} : { before }) };
      const entries = await orchestrator.history(callOf(request), request.params.agent_id, page);
      const oldest = entries.length === count ? entries.at(-1)?.id : undefined;
      // A full page may have been the last one; then the next is empty.
      return {
        entries: entries.map(historyEntry),
        next_cursor: oldest === undefined ? null : cursorOf(oldest),
        next_before: oldest ?? null,
      };
    });
    done();
  };
}

/** 200 when what was asked for has come about, else 202 with what holds now and why. */
function sendResult(reply: FastifyReply, { agent, ...result }: CommandResult): FastifyReply {
  const { agent_id, settled, note } = result;
  const body = agent === null ? { agent_id, settled, deleted: settled } : { ...agent, settled };
  return reply.code(settled ? 200 : 202).send(note === undefined ? body : { ...body, note });
}

export function checkAdmin(request: FastifyRequest, what: string): void {
  if (callOf(request).caller.kind !== 'admin') throw new CodedError('FORBIDDEN', `Only the admin token may ${what}`);
}
