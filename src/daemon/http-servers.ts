import type { FastifyInstance } from 'fastify';
import { buildApi, buildHealthApp, buildMetricsApp } from '../api/app.ts';
import type { ApiDeps } from '../api/deps.ts';
import { listen, type Listening } from '../api/listen.ts';
import type { LoadedConfig } from '../config/config.ts';
import type { PortName } from '../contract/daemon-view.ts';

/** Everything that listens: the API, and health and metrics on ports of their own. */
export class HttpServers {
  private readonly apps: Record<'api' | 'health' | 'metrics', FastifyInstance>;
  private readonly listening: Listening[] = [];

  constructor(deps: ApiDeps) {
    this.apps = { api: buildApi(deps), health: buildHealthApp(deps), metrics: buildMetricsApp(deps) };
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
    await Promise.all(this.listening.splice(0).map((each) => each.close()));
  }
}
