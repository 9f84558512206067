import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { openSqliteRoster } from '../../src/adapters/sqlite/roster.ts';
import type { ServiceActivities } from '../../src/activities/index.ts';
import type { DeliveryNotes } from '../../src/ports/delivery-notes.ts';
import type { Records } from '../../src/ports/records.ts';
import type { Roster } from '../../src/ports/roster.ts';
import type { Call } from '../../src/service/caller.ts';
import type { HostControl } from '../../src/service/host-control.ts';
import { Orchestrator } from '../../src/service/orchestrator.ts';
import { createWorkers } from '../../src/worker/workers.ts';
import { startDevServer, type DevServer } from '../support/dev-server.ts';
import { Lines } from './lines.ts';
import { HOST, PretendHost } from './pretend-host.ts';

export const ADMIN: Call = { caller: { kind: 'admin' }, request_id: 'test' };

/** How calls that must fail have failed; `done` for one that has not. */
export async function codesOf(calls: Promise<unknown>[]): Promise<unknown[]> {
  const ended = await Promise.allSettled(calls);
  return ended.map((one) => (one.status === 'fulfilled' ? 'done' : (one.reason as { code?: unknown }).code));
}

/** A Temporal server of its own, real workers with real workflows, a real roster; only the processes are pretended. */
export interface Lives {
  orchestrator: Orchestrator;
  roster: Roster & Records & DeliveryNotes;
  host: PretendHost;
  logs: Lines;
  client: Client;
  server: DevServer;
  /** What went straight to the custodian. */
  orders: Parameters<HostControl['order']>[];
  /** The agents whose last decision has not reached the roster. */
  unpublished: ReadonlyMap<string, number>;
  /** What the health check of the connection says. */
  link: { up: boolean };
  /** Starts the server again, after it was stopped. */
  restartServer(): Promise<void>;
  end(): Promise<void>;
}

// What the workers say of servers that a test has killed is of no interest.
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter: 'off', forward: {} } },
});

export interface LivesOptions {
  cli: string;
  bundle: string;
  temporalTimeoutMs?: number;
  /** Further arguments of `temporal server start-dev`. */
  serverArgs?: readonly string[];
  /** Activities of incidents, runs, … for tests of those. */
  service?: (parts: Pick<Lives, 'orchestrator' | 'roster' | 'client' | 'link'>) => Partial<ServiceActivities>;
}

export async function startLives(options: LivesOptions): Promise<Lives> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-test-service-'));
  const kept = { cli: options.cli, folder, extraArgs: options.serverArgs ?? [] };
  let server = await startDevServer(kept);
  const roster = await openSqliteRoster(path.join(folder, 'roster.db'));
  const host = new PretendHost(roster);
  const logs = new Lines();
  const connection = Connection.lazy({ address: server.address });
  const client = new Client({ connection });
  const link = { up: true };
  const unpublished = new Map<string, number>();
  const orders: Lives['orders'] = [];
  const orchestrator = new Orchestrator({
    roster,
    logs,
    client,
    temporal: { reachable: () => link.up },
    host: { order: async (...order) => void orders.push(order), handOver: (agentId) => host.handOver(agentId) },
    admit: host.admit,
    sign: (input) => ({ ...input, signature: 'signed' }),
    liveGeneration: host.liveGeneration,
    heartbeat: host.heartbeat,
    schedules: { checkFree: async () => undefined, createFor: async () => undefined, removeOf: async () => undefined },
    cleared: async () => true,
    warn: () => undefined,
    temporalTimeoutMs: options.temporalTimeoutMs ?? 5000,
  });
  const service = (options.service?.({ orchestrator, roster, client, link }) ?? {}) as ServiceActivities;
  const native = await NativeConnection.connect({ address: server.address });
  const workers = await createWorkers({
    connection: native,
    namespace: 'default',
    hostId: HOST,
    startId: 'test',
    workflowBundlePath: options.bundle,
    activities: { ...host.activities, service },
    roster,
    records: roster,
    unpublished,
    onTrouble: () => undefined,
  });
  const all = [workers.workflows, workers.host, workers.control];
  for (const worker of all) worker.start();
  return {
    get server() {
      return server;
    },
    orchestrator,
    roster,
    host,
    logs,
    client,
    orders,
    unpublished,
    link,
    restartServer: async () => {
      server = await startDevServer({ ...kept, port: server.port });
    },
    end: async () => {
      await host.endAll();
      await Promise.all(all.map((worker) => worker.stop()));
      await Promise.all([connection.close(), native.close(), roster.close()]);
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
