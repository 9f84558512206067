import type { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { DependencyWaits } from '../../host/dependency-waits.ts';
import type { Fleet } from '../../host/fleet.ts';
import type { Host } from '../../host/host.ts';
import type { OrderHandover } from '../../host/order-handover.ts';
import type { Reconciler } from '../../host/reconciler.ts';
import type { LogSource } from '../../ports/log-source.ts';
import type { Roster } from '../../ports/roster.ts';
import type { Messaging } from '../../service/messaging/messaging.ts';
import type { Orchestrator } from '../../service/orchestrator.ts';
import type { Workers } from '../../worker/workers.ts';
import type { Configuration } from '../configuration/configuration.ts';
import type { HttpServers } from '../http-servers.ts';
import type { IncidentParts } from './incident-parts.ts';
import type { RunParts } from './run-parts.ts';
import type { Snapshots } from '../snapshots.ts';
import type { OtherDaemons } from '../temporal/other-daemons.ts';
import type { TemporalWatch } from '../temporal/watch.ts';

/** What a started daemon consists of. */
export interface Parts {
  client: Client;
  native: NativeConnection;
  roster: Roster;
  fleet: Fleet;
  logs: LogSource;
  configuration: Configuration;
  host: Host;
  waits: DependencyWaits;
  snapshots: Snapshots;
  orders: OrderHandover;
  reconciler: Reconciler;
  watch: TemporalWatch;
  otherDaemons: OtherDaemons;
  orchestrator: Orchestrator;
  messaging: Messaging;
  runs: RunParts;
  incidents: IncidentParts;
  http: HttpServers;
  workers: Workers;
}
