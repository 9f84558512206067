import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { agentId } from '../../schema/fields.ts';
import { incidentId, incidentReportSchema, incidentWord } from '../../schema/incident-report.ts';
import { incidentState, severity } from '../../schema/incident-views.ts';
import { strict } from '../../schema/problem.ts';
import type { CommandLimit } from '../command-limit.ts';
import { cursorOf, numberCursor } from '../cursor.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { showing } from '../show.ts';
import { noQuery, whole } from '../request-schema.ts';

const params = strict({ incident_id: incidentId });
const listQuery = strict({
  state: incidentState.optional(),
  severity: severity.optional(),
  agent_id: agentId.optional(),
  limit: whole(1, 1000).default(100).meta({ default: '100' }),
  cursor: numberCursor.optional(),
});
const testBody = strict({ channel: z.string().min(1).max(64).exactOptional() }).nullish();

export const INCIDENT_VERBS = ['acknowledge', 'resolve', 'reopen', 'approve', 'reject'] as const;

/** Incidents and approvals, and a test of the channels to people. */
export function incidentRoutes(
  { incidents, temporal }: Pick<ApiDeps, 'incidents' | 'temporal'>,
  limit: CommandLimit,
): FastifyPluginCallbackZod {
  const shown = showing(temporal);
  return (app, _options, done) => {
    const report = { schema: { querystring: noQuery, body: incidentReportSchema } };
    app.post('/incidents', report, async (request, reply) => {
      const call = callOf(request);
      // Each report is an entry in a history, and may be a notice to somebody.
      if (call.caller.kind === 'agent') limit.take(call.caller.agent_id);
      const { created, settled, incident } = await incidents.report(call, request.body);
      reply.header('location', `/incidents/${incident.incident_id}`);
      return reply.code(settled ? (created ? 201 : 200) : 202).send(shown(incident));
    });

    app.get('/incidents', { schema: { querystring: listQuery } }, async (request) => {
      const { state, severity: wanted, agent_id, limit: count, cursor: before } = request.query;
      const page = await incidents.list(callOf(request), {
        limit: count,
        ...(state === undefined ? {} : { state }),
        ...(wanted === undefined ? {} : { severity: wanted }),
        ...(agent_id === undefined ? {} : { agent_id }),
        ...(before === undefined ? {} : { before }),
      });
      return { incidents: page.incidents.map(shown), next_cursor: page.next === null ? null : cursorOf(page.next) };
    });

    app.get('/incidents/:incident_id', { schema: { params, querystring: noQuery } }, async (request) =>
      shown(await incidents.get(callOf(request), request.params.incident_id)),
    );

    for (const verb of INCIDENT_VERBS) {
      const schema = { params, querystring: noQuery, body: incidentWord };
      app.post(`/incidents/:incident_id/${verb}`, { schema }, async (request) => {
        const id = (request.params as { incident_id: string }).incident_id;
        return shown(await incidents.act(callOf(request), verb, id, request.body ?? {}));
      });
    }

    app.post('/notify/test', { schema: { querystring: noQuery, body: testBody } }, async (request) => ({
      results: await incidents.testNotice(callOf(request), request.body?.channel),
    }));
    done();
  };
}
