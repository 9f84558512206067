/** Puts the parts of a daemon together: what each needs of the others is seen here, and nowhere else. */
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Executing } from '../../activities/executing.ts';
import { createActivities } from '../../activities/index.ts';
import { FileLogs } from '../../adapters/logs/file-logs.ts';
import { Doorbell } from '../../host/doorbell.ts';
import { DependencyWaits } from '../../host/dependency-waits.ts';
import { failpoint } from '../../host/failpoint.ts';
import { Fleet } from '../../host/fleet.ts';
import { Host } from '../../host/host.ts';
import type { CustodyLink } from '../../host/custody-link.ts';
import { OrderHandover } from '../../host/order-handover.ts';
import { Reconciler } from '../../host/reconciler.ts';
import type { AnswerStore } from '../../ports/answer-store.ts';
import type { DeliveryNotes } from '../../ports/delivery-notes.ts';
import type { Records } from '../../ports/records.ts';
import type { Roster } from '../../ports/roster.ts';
import { IncarnationEnds } from '../../service/incarnation-ends.ts';
import { Orchestrator } from '../../service/orchestrator.ts';
import { type Keys } from '../../trust/keys.ts';
import { createWorkers } from '../../worker/workers.ts';
import type { FailStopRequest } from '../../contract/activities.ts';
import { measureMessages } from '../../api/message-metrics.ts';
import { createMetrics } from '../../api/metrics.ts';
import { parseAgentRequest } from '../../schema/agent-input.ts';
import { readAgentToken } from '../../trust/agent-token.ts';
import type { Configuration } from '../configuration/configuration.ts';
import { IncidentParts } from './incident-parts.ts';
import { HttpServers } from '../http-servers.ts';
import { custodyRecords, hostOrders, UnansweredOrders } from '../host-orders.ts';
import type { MessageStores } from './message-stores.ts';
import { createMessaging } from './messaging-parts.ts';
import { Snapshots } from '../snapshots.ts';
import { hostPreparation } from '../spawn-preparation.ts';
import type { Parts } from './parts.ts';
import { createRunParts } from './run-parts.ts';
import { type OpenTemporal } from '../temporal/temporal.ts';
import { OtherDaemons } from '../temporal/other-daemons.ts';
import { TemporalWatch } from '../temporal/watch.ts';
import type { Logger } from 'pino';
import type { DaemonControl } from '../../api/deps.ts';
import type { StateDir } from '../state-dir.ts';

/** How long to wait for a custodian-kept stop to reach Temporal, so the caller's next command queues behind it. */
const ORDER_TOLD_MS = 1_000;
const WORKFLOW_BUNDLE = fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url));

export interface Base {
  daemon: DaemonControl;
  hostId: string;
  custody: CustodyLink;
  /** Aborted when the daemon lets go. */
  ending: AbortSignal;
  /** Known once the API listens. */
  apiUrl: () => string;
  failStop: (request: FailStopRequest) => Promise<void>;
  trouble: (message: string, error: unknown) => void;
  /** For people, at the terminal and in the log. */
  warn: (message: string) => void;
  stateDir: StateDir;
  log: Logger;
  env: NodeJS.ProcessEnv;
  keys: Keys;
  roster: Roster & AnswerStore & Records & DeliveryNotes;
  stores: MessageStores;
  configuration: Configuration;
  temporal: OpenTemporal;
  connection: Connection;
  native: NativeConnection;
}

export async function assemble(base: Base): Promise<Parts> {
  const { stateDir, log, env, keys, roster, stores, configuration, temporal, connection, native, trouble } = base;
  const client = new Client({ connection, namespace: temporal.namespace });
  const fleet = await Fleet.open(roster, () => configuration.current.faultDomains);
  const logs = new FileLogs(stateDir.file('logs'));
  const { definitions, designLayer: templates } = configuration;
  const report = (message: string, details: Record<string, unknown>): void => log.info(details, message);
  const unanswered = new UnansweredOrders(base.custody);
  const custodian = custodyRecords(base.custody, unanswered);
  const orders = new OrderHandover({ client, roster, custodian, log: report, onTrouble: trouble });
  const doorbell = new Doorbell(client, base.ending, orders);
  const snapshots = new Snapshots({ state: stores.state, folder: stateDir.file('snapshots') });
  const ends = new IncarnationEnds();
  const host = new Host({
    custody: base.custody,
    doorbell,
    orders,
    roster,
    logs,
    ...hostPreparation({ key: keys.key, apiUrl: base.apiUrl, env, snapshots }, definitions, fleet),
    onEnd: (agentId, generation) => {
      ends.tell(agentId, generation);
      const freed = [messaging.mailboxes.release(agentId, generation), snapshots.remove(agentId, generation)];
      Promise.all(freed).catch((error: unknown) => trouble(`Cannot free what ${agentId}/${generation} held`, error));
    },
    onUnheard: (agentId, generation) => reconciler.nudge(agentId, generation),
    onTrouble: trouble,
  });
  const executing = new Executing();
  const waits = new DependencyWaits({ fleet, roster, doorbell });
  const unpublished = new Map<string, number>();
  const reconciler = new Reconciler({
    client,
    roster,
    custodian,
    orders,
    unpublished,
    isExecuting: (agentId, activityId) => executing.has(agentId, activityId) || waits.has(agentId, activityId),
    resign: (input, restore) => {
      definitions.verify(input);
      return configuration.sign({ ...input, ...(restore === undefined ? {} : { restore }) });
    },
    log: report,
    onTrouble: trouble,
  });
  const watch = new TemporalWatch({
    connection,
    onReturn: () => orders.all(),
    onChange: (reachable, error) =>
      reachable
        ? log.info('Temporal is back')
        : log.warn({ err: error }, 'Temporal cannot be reached; the agents run on'),
  });
  // The custodian knows of a process before anybody has written it down.
  const live = (agentId: string): number | Promise<number | undefined> => host.liveGeneration(agentId);
  const messaging = createMessaging({
    stores,
    config: configuration.current,
    roster,
    fleet,
    live,
    orchestrator: () => orchestrator,
    log,
  });
  const { namespace } = temporal;
  const startId = randomUUID();
  const otherDaemons = new OtherDaemons({
    connection,
    namespace,
    hostId: base.hostId,
    startId,
    onFound: base.warn,
  });
  const orchestrator = new Orchestrator({
    roster,
    logs,
    client,
    temporal: watch,
    host: hostOrders(base.custody, unanswered, {
      onKept: async () => {
        // Temporal may only have been slow: then it hears of the order now, and else when it is back.
        const told = watch.reachable() ? orders.all() : Promise.resolve();
        const settled = told.catch((error: unknown) => trouble('Cannot hand over an order', error));
        await Promise.race([settled, delay(ORDER_TOLD_MS, undefined, { ref: false })]);
      },
      handOver: (agentId) => orders.of(agentId),
    }),
    admit: (input) => definitions.admit(input),
    sign: configuration.sign,
    liveGeneration: live,
    cleared: (agentId) => messaging.mailboxes.cleared(agentId),
    heartbeat: (agentId, said, generation) => host.heartbeat(agentId, said, generation),
    schedules: {
      checkFree: (agentId) => runs.schedules.checkFree(agentId),
      createFor: (agent, schedule) => runs.schedules.createFor(agent, schedule),
      removeOf: (gone) => runs.schedules.removeOf(gone),
    },
    warn: (message, fields) => log.warn(fields, message),
  });
  const runs = createRunParts({
    client,
    temporal: watch,
    roster,
    bus: stores.bus,
    logs,
    configuration,
    live,
    orchestrator,
    cleared: (agentId) => messaging.mailboxes.cleared(agentId),
    report: (report, reportId) => incidents.report(report, reportId),
    log,
  });
  const incidents = new IncidentParts({
    client,
    temporal: watch,
    roster,
    bus: stores.bus,
    configuration,
    live,
    orchestrator,
    ending: base.ending,
    tell: base.warn,
    log,
  });
  const metrics = createMetrics(fleet);
  measureMessages(metrics.registry, messaging.counts);
  const http = new HttpServers({
    orchestrator,
    messaging,
    schedules: runs.schedules,
    runs: runs.runs,
    incidents: incidents.incidents,
    auth: {
      adminToken: keys.token,
      tokenFile: keys.tokenFile,
      verifyAgentToken: (token) => readAgentToken(token, keys.key),
    },
    ends,
    daemon: base.daemon,
    fleet,
    temporal: watch,
    answers: roster,
    metrics,
    templates,
    parseAgentInput: parseAgentRequest,
    log,
  });
  const workers = await createWorkers({
    connection: native,
    namespace: temporal.namespace,
    hostId: base.hostId,
    startId,
    workflowBundlePath: WORKFLOW_BUNDLE,
    unpublished,
    activities: createActivities({
      hostId: base.hostId,
      host,
      executing,
      waits,
      define: (input) => definitions.trusted(input),
      giveSchedule: (agent, schedule) => runs.schedules.createFor(agent, schedule),
      failStop: base.failStop,
      service: { ...runs.activities, ...incidents.activities },
    }),
    roster,
    records: {
      publishRecord: async (update) => {
        await roster.publishRecord(update);
        failpoint('daemon.after-record');
      },
    },
    onTrouble: trouble,
  });
  return {
    client,
    native,
    roster,
    fleet,
    logs,
    configuration,
    host,
    waits,
    snapshots,
    orders,
    reconciler,
    watch,
    otherDaemons,
    orchestrator,
    messaging,
    runs,
    incidents,
    http,
    workers,
  };
}
