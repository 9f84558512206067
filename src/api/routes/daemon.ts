import os from 'node:os';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import type { AgentView } from '../../contract/agent-view.ts';
import type { DaemonView, HostView } from '../../contract/daemon-view.ts';
import type { ReloadView } from '../../contract/reload-view.ts';
import { strict } from '../../schema/problem.ts';
import { checkAdmin } from './agents.ts';
import type { ApiDeps } from '../deps.ts';
import { flag, noBody, noQuery } from '../request-schema.ts';
import { callOf } from '../request-context.ts';

/** The daemon itself: what it is and does, and its end. */
export function daemonRoutes({ orchestrator, daemon, fleet, temporal }: ApiDeps): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get('/status', { schema: { querystring: noQuery } }, async (request): Promise<DaemonView> => {
      const facts = daemon.facts();
      return {
        ...facts,
        uptime_s: Math.max(0, Math.round((Date.now() - Date.parse(facts.started_at)) / 1000)),
        temporal: { ...facts.temporal, reachable: temporal.reachable() },
        agents: countAgents(await orchestrator.list(callOf(request))),
        critical_down: fleet.criticalDown(),
      };
    });

    app.get('/hosts', { schema: { querystring: noQuery } }, async (request): Promise<{ hosts: HostView[] }> => {
      const { host, tree } = daemon.facts();
      const agents = await orchestrator.list(callOf(request));
      const here = agents.filter((agent) => agent.host === null || agent.host === host);
      const own: HostView = {
        host,
        name: os.hostname(),
        platform: os.platform(),
        arch: os.arch(),
        cpus: os.availableParallelism(),
        memory_bytes: os.totalmem(),
        tree,
        agents: here.length,
        live: here.filter((agent) => agent.pid !== null).length,
        this: true,
      };
      return { hosts: [own] };
    });

    const reload = { querystring: strict({ dry_run: flag }), body: noBody };
    app.post('/reload', { schema: reload }, async (request): Promise<ReloadView> => {
      checkAdmin(request, 'reload the configuration');
      return daemon.reload({ dryRun: request.query.dry_run });
    });

    const schema = { querystring: strict({ keep_agents: flag }), body: noBody };
    app.post('/shutdown', { schema, config: { untilTheEnd: true } }, async (request, reply) => {
      checkAdmin(request, 'shut the daemon down');
      const keepAgents = request.query.keep_agents;
      const agents = await orchestrator.list(callOf(request));
      // The daemon closes this very server: it may, once the answer is out or its reader gone.
      reply.raw.once('close', () => daemon.shutdown({ keepAgents }));
      return reply.code(202).send({
        pid: daemon.facts().pid,
        keep_agents: keepAgents,
        live_agents: agents.filter((agent) => agent.pid !== null).map((agent) => agent.agent_id),
      });
    });
    done();
  };
}

function countAgents(agents: AgentView[]): DaemonView['agents'] {
  const by_state: DaemonView['agents']['by_state'] = {};
  for (const { state } of agents) by_state[state] = (by_state[state] ?? 0) + 1;
  return { total: agents.length, by_state };
}
