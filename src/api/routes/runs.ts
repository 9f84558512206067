import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { agentId } from '../../schema/fields.ts';
import { strict } from '../../schema/problem.ts';
import { parseRunRequest, runId } from '../../schema/run-request.ts';
import { runState } from '../../schema/run-views.ts';
import { cursorOf, numberCursor } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { showing } from '../show.ts';
import { durationMs, noBody, noQuery, whole } from '../request-schema.ts';

const MAX_WAIT_MS = 600_000;
const untilItEnds = durationMs(0, MAX_WAIT_MS, 'a duration up to 10m, such as "30s"');

const params = strict({ run_id: runId });
const startQuery = strict({ wait: untilItEnds.default(0).meta({ default: '0s', examples: ['30s'] }) });
const cancelQuery = strict({ wait: untilItEnds.default(10_000).meta({ default: '10s' }) });
const listQuery = strict({
  agent_id: agentId.optional(),
  state: runState.optional(),
  limit: whole(1, 1000).default(100).meta({ default: '100' }),
  cursor: numberCursor.optional(),
});

/** A session is a run: both names lead to the same. */
export const RUN_PATHS = ['/runs', '/sessions'] as const;

export function runRoutes({ runs, temporal }: Pick<ApiDeps, 'runs' | 'temporal'>): FastifyPluginCallbackZod {
  const shown = showing(temporal);
  return (app, _options, done) => {
    for (const path of RUN_PATHS) {
      app.post(path, { schema: { querystring: startQuery } }, async (request, reply) => {
        const input = parseRunRequest(request.body);
        const run = await runs.create(callOf(request), input, { waitMs: request.query.wait });
        reply.header('location', `${path}/${run.run_id}`);
        return reply.code(201).send(shown(run));
      });

      app.get(path, { schema: { querystring: listQuery } }, async (request) => {
        const { agent_id, state, limit, cursor: before } = request.query;
        const page = await runs.list(callOf(request), {
          limit,
          ...(agent_id === undefined ? {} : { agent_id }),
          ...(state === undefined ? {} : { state }),
          ...(before === undefined ? {} : { before }),
        });
        return { runs: page.runs.map(shown), next_cursor: page.next === null ? null : cursorOf(page.next) };
      });

      app.get(`${path}/:run_id`, { schema: { params, querystring: noQuery } }, async (request) =>
        shown(await runs.get(callOf(request), request.params.run_id)),
      );

      const cancel = { schema: { params, querystring: cancelQuery, body: noBody } };
      app.post(`${path}/:run_id/cancel`, cancel, async (request, reply) => {
        const run = await runs.cancel(callOf(request), request.params.run_id, { waitMs: request.query.wait });
        return reply.code(run.ended_at === null ? 202 : 200).send(shown(run));
      });
    }
    done();
  };
}
