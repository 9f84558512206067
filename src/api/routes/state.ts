import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { agentId } from '../../schema/fields.ts';
import { parsePut, stateKey } from '../../schema/message-fields.ts';
import { strict } from '../../schema/problem.ts';
import type { Scope } from '../../service/messaging/state-entries.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { noBody, noQuery, whole } from '../request-schema.ts';

/** The value and a little around it. */
const PUT_BODY_LIMIT = 512 * 1024;

const listQuery = strict({
  prefix: z.string().max(256).optional(),
  after: z.string().max(256).optional().meta({ description: '`next` of the answer before' }),
  limit: whole(1, 200).default(50).meta({ default: '50' }),
});
const deleteQuery = strict({
  expected_version: whole(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'Only if the entry has this version' }),
});

const PLACES = [
  { path: '/state/shared', params: {} },
  { path: '/state/agents/:agent_id', params: { agent_id: agentId } },
] as const;

/** What agents keep, each for itself and all together. */
export function stateRoutes({ messaging: { entries } }: Pick<ApiDeps, 'messaging'>): FastifyPluginCallbackZod {
  const config = { untilTheEnd: true, exactJson: true };
  return (app, _options, done) => {
    for (const { path, params } of PLACES) {
      const place = strict(params);
      const one = strict({ ...params, key: stateKey });

      app.get(path, { schema: { params: place, querystring: listQuery } }, (request) => {
        const { limit, prefix, after } = request.query;
        return entries.list(callOf(request), scopeOf(request.params), {
          limit,
          ...(prefix === undefined ? {} : { prefix }),
          ...(after === undefined ? {} : { after }),
        });
      });

      const reading = { logLevel: 'warn', schema: { params: one, querystring: noQuery } } as const;
      app.get(`${path}/:key`, reading, (request) =>
        entries.get(callOf(request), scopeOf(request.params), request.params.key),
      );

      const writing = { ...reading, bodyLimit: PUT_BODY_LIMIT, config };
      app.put(`${path}/:key`, writing, (request) => {
        const { value, options } = parsePut(request.body);
        return entries.put(callOf(request), scopeOf(request.params), request.params.key, value, options);
      });

      const removing = { config, schema: { params: one, querystring: deleteQuery, body: noBody } };
      app.delete(`${path}/:key`, removing, (request) => {
        const { expected_version } = request.query;
        const options = expected_version === undefined ? {} : { expectedVersion: expected_version };
        return entries.delete(callOf(request), scopeOf(request.params), request.params.key, options);
      });
    }
    done();
  };
}

function scopeOf(params: unknown): Scope {
  const { agent_id: agentId } = params as { agent_id?: string };
  return agentId === undefined ? { kind: 'shared' } : { kind: 'agent', agentId };
}
