import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { domainName } from '../../schema/fields.ts';
import { strict } from '../../schema/problem.ts';
import type { BulkResult, Selection } from '../../service/bulk.ts';
import type { CommandLimit } from '../command-limit.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { commandOptions, duration, wait } from '../request-schema.ts';

export const BULK_VERBS = ['start', 'stop', 'restart', 'pause', 'resume'] as const;

const startQuery = strict({ wait });
const stopQuery = strict({ wait, grace: duration.optional() });

const label = z.string().min(1).max(400);

/** Which agents; nothing is never all. */
export const selectionBody = strict({
  all: z.literal(true).optional(),
  labels: z
    .union([z.record(z.string(), z.string()), z.array(label)], { error: 'a mapping, or a list of name=value or name' })
    .optional(),
  fault_domain: domainName.optional(),
})
  .refine(
    ({ all, labels, fault_domain }) =>
      all === true ? labels === undefined && fault_domain === undefined : Boolean(labels ?? fault_domain),
    'either all: true, or labels, fault_domain or both',
  )
  .meta({ id: 'Selection', examples: [{ all: true }, { labels: { team: 'research' } }, { fault_domain: 'data' }] });

/** One command for many agents. */
export function bulkRoutes({ orchestrator }: ApiDeps, limit: CommandLimit): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    for (const verb of BULK_VERBS) {
      const schema = { querystring: verb === 'stop' ? stopQuery : startQuery, body: selectionBody };
      // Of fastify: `::` is a colon.
      app.post(`/agents::${verb}`, { schema }, async (request, reply) => {
        const options = { ...commandOptions(request.query), admit: (agentId: string) => limit.take(agentId) };
        const results = await orchestrator.commandMany(callOf(request), verb, selectionOf(request.body), options);
        return reply.code(statusOf(results)).send({
          results,
          total: results.length,
          settled: results.filter(({ settled }) => settled).length,
          failed: results.filter(({ error }) => error !== undefined).length,
        });
      });
    }
    done();
  };
}

function selectionOf({ all, labels = [], fault_domain }: z.output<typeof selectionBody>): Selection {
  if (all === true) return { kind: 'all' };
  const wanted = Array.isArray(labels) ? labels : Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return { kind: 'some', labels: wanted, ...(fault_domain === undefined ? {} : { faultDomain: fault_domain }) };
}

function statusOf(results: BulkResult[]): number {
  if (results.some(({ error }) => error !== undefined)) return 207;
  return results.every(({ settled }) => settled) ? 200 : 202;
}
