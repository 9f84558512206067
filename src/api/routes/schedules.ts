import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { OVERLAPS } from '../../contract/schedule-view.ts';
import { agentId } from '../../schema/fields.ts';
import { strict } from '../../schema/problem.ts';
import { parseScheduleInput } from '../../schema/schedule-input.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { noBody, noQuery } from '../request-schema.ts';

/** Schedules are named like agents. */
const path = { params: strict({ schedule_id: agentId }), querystring: noQuery };
const moment = z
  .string()
  .max(40)
  .meta({ examples: ['2026-01-31T09:00:00Z'] });
const noteBody = strict({ note: z.string().min(1).max(1000).exactOptional() }).nullish();
const backfillBody = strict({ from: moment, to: moment, overlap: z.enum(OVERLAPS).exactOptional() });

export function scheduleRoutes({ schedules }: Pick<ApiDeps, 'schedules'>): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.post('/schedules', { schema: { querystring: noQuery } }, async (request, reply) => {
      const schedule = await schedules.create(callOf(request), parseScheduleInput(request.body));
      reply.header('location', `/schedules/${schedule.schedule_id}`);
      return reply.code(201).send(schedule);
    });

    app.get('/schedules', { schema: { querystring: noQuery } }, async (request) => ({
      schedules: await schedules.list(callOf(request)),
    }));

    app.get('/schedules/:schedule_id', { schema: path }, (request) =>
      schedules.get(callOf(request), request.params.schedule_id),
    );

    app.put('/schedules/:schedule_id', { schema: path }, (request) =>
      schedules.replace(callOf(request), request.params.schedule_id, parseScheduleInput(request.body)),
    );

    app.delete('/schedules/:schedule_id', { schema: { ...path, body: noBody } }, async (request) => {
      const { schedule_id } = request.params;
      await schedules.remove(callOf(request), schedule_id);
      return { schedule_id, deleted: true };
    });

    for (const verb of ['pause', 'resume'] as const) {
      app.post(`/schedules/:schedule_id/${verb}`, { schema: { ...path, body: noteBody } }, (request) =>
        schedules[verb](callOf(request), request.params.schedule_id, request.body?.note),
      );
    }

    app.post('/schedules/:schedule_id/trigger', { schema: { ...path, body: noBody } }, (request) =>
      schedules.trigger(callOf(request), request.params.schedule_id),
    );

    app.post('/schedules/:schedule_id/backfill', { schema: { ...path, body: backfillBody } }, (request) =>
      schedules.backfill(callOf(request), request.params.schedule_id, request.body),
    );
    done();
  };
}
