import type { FastifyPluginCallback } from 'fastify';
import type { ApiDeps } from '../deps.ts';

/** Open to whoever reaches the port, so they tell no more than a probe needs. */
export function healthRoute({ fleet, temporal }: Pick<ApiDeps, 'fleet' | 'temporal'>): FastifyPluginCallback {
  return (app, _options, done) => {
    app.get('/healthz', { config: { open: true }, logLevel: 'warn' }, async (request, reply) => {
      const down = fleet.criticalDown();
      reply.header('cache-control', 'no-store');
      // The agents run on without Temporal: a reason to look, none to restart anything.
      if (!temporal.reachable()) reply.header('x-openstarry-degraded', 'temporal');
      reply.code(down.length === 0 ? 200 : 503);
      const json = request.headers.accept?.includes('application/json') ?? false;
      if (json) return reply.send(down.length === 0 ? { status: 'ok' } : { status: 'down', critical_down: down });
      const text = down.length === 0 ? 'ok' : down.map(({ agent_id, reason }) => `${agent_id}: ${reason}`).join('\n');
      return reply.type('text/plain; charset=utf-8').send(text);
    });
    done();
  };
}

export function metricsRoute({ metrics }: Pick<ApiDeps, 'metrics'>): FastifyPluginCallback {
  return (app, _options, done) => {
    app.get('/metrics', { config: { open: true }, logLevel: 'warn' }, async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    );
    done();
  };
}
