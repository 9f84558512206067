import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { buildApi, buildHealthApp, buildMetricsApp } from '../api/app.ts';
import type { DaemonControl } from '../api/deps.ts';
import { listen, type Listening } from '../api/listen.ts';
import { measureMessages } from '../api/message-metrics.ts';
import { createMetrics } from '../api/metrics.ts';
import type { LoadedConfig } from '../config/config.ts';
import type { PortName } from '../contract/daemon-view.ts';
import type { Fleet } from '../host/fleet.ts';
import type { AnswerStore } from '../ports/answer-store.ts';
import { parseAgentRequest } from '../schema/agent-input.ts';
import type { IncarnationEnds } from '../service/incarnation-ends.ts';
import type { Incidents } from '../service/incidents/incidents.ts';
import type { Messaging } from '../service/messaging/messaging.ts';
import type { Orchestrator } from '../service/orchestrator.ts';
import type { Runs } from '../service/runs/runs.ts';
import type { Schedules } from '../service/schedules/schedules.ts';
import type { TemplatePlace } from '../service/templates.ts';
import type { TemporalLink } from '../service/temporal-link.ts';
import { readAgentToken } from '../trust/agent-token.ts';
import type { Keys } from '../trust/keys.ts';

export interface FrontOptions {
  orchestrator: Orchestrator;
  messaging: Messaging;
  schedules: Schedules;
  runs: Runs;
  incidents: Incidents;
  keys: Keys;
  ends: IncarnationEnds;
  fleet: Fleet;
  temporal: TemporalLink;
  log: Logger;
  daemon: DaemonControl;
  answers: AnswerStore;
  templates: TemplatePlace;
}

/** Everything that listens: the API, and health and metrics on ports of their own. */
export class Front {
  private readonly apps: Record<'api' | 'health' | 'metrics', FastifyInstance>;
  private readonly listening: Listening[] = [];

  constructor(options: FrontOptions) {
    const { orchestrator, messaging, schedules, runs, incidents, keys, ends, fleet } = options;
    const { temporal, log, daemon, answers, templates } = options;
    const metrics = createMetrics(fleet);
    measureMessages(metrics.registry, messaging.counts);
    const auth = {
      adminToken: keys.token,
      tokenFile: keys.tokenFile,
      verifyAgentToken: (token: string) => readAgentToken(token, keys.key),
    };
    this.apps = {
      api: buildApi({
        orchestrator,
        messaging,
        schedules,
        runs,
        incidents,
        auth,
        ends,
        daemon,
        fleet,
        temporal,
        answers,
        metrics,
        templates,
        parseAgentInput: parseAgentRequest,
        log,
      }),
      health: buildHealthApp({ fleet, temporal, log }),
      metrics: buildMetricsApp({ metrics, log }),
    };
  }

  /** @returns the ports in use @throws CodedError PORT_IN_USE */
  async listen(ports: LoadedConfig['ports']): Promise<Partial<Record<PortName, number>>> {
    const used: Partial<Record<PortName, number>> = {};
    for (const name of ['api', 'health', 'metrics'] as const) {
      const listening = await listen(this.apps[name], { port: ports[name], name });
      this.listening.push(listening);
      used[name] = listening.port;
    }
    return used;
  }

  async close(): Promise<void> {
    await Promise.all(this.listening.map((each) => each.close()));
  }
}
