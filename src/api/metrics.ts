import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { FleetHealth } from './deps.ts';

export interface Metrics {
  registry: Registry;
  requestSeconds: Histogram<'method' | 'route' | 'status'>;
}

const RESOURCES = [
  ['agent_cpu_percent', 'Processor time of the process tree of the agent; 100 is one processor', 'cpu_percent'],
  ['agent_memory_bytes', 'Resident memory of the process tree of the agent', 'memory_bytes'],
] as const;

/** The daemon's metrics. Series of agents are made at each scrape from the live table, so they come and go with them. */
export function createMetrics(fleet: Pick<FleetHealth, 'states'>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'agent_state',
    help: '1 while the process of the agent lives and, where readiness is declared, is ready; else 0',
    labelNames: ['agent'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { agent_id, up } of fleet.states()) this.set({ agent: agent_id }, up ? 1 : 0);
    },
  });
  for (const [name, help, unit] of RESOURCES) {
    new Gauge({
      name,
      help,
      labelNames: ['agent'],
      registers: [registry],
      collect() {
        this.reset();
        for (const { agent_id, resources } of fleet.states()) {
          if (resources) this.set({ agent: agent_id }, resources[unit]);
        }
      },
    });
  }
  const requestSeconds = new Histogram({
    name: 'openstarry_http_request_duration_seconds',
    help: 'Time to answer a request, waiting included',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.025, 0.1, 0.5, 2, 10, 30],
    registers: [registry],
  });
  return { registry, requestSeconds };
}
