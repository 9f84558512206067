import type { Logger } from 'pino';
import type { AgentRequest } from '../contract/agent-input.ts';
import type { DaemonFacts } from '../contract/daemon-view.ts';
import type { ReloadView } from '../contract/reload-view.ts';
import type { AnswerStore } from '../ports/answer-store.ts';
import type { AgentCaller } from '../service/caller.ts';
import type { IncarnationEnds } from '../service/incarnation-ends.ts';
import type { Incidents } from '../service/incidents/incidents.ts';
import type { Messaging } from '../service/messaging/messaging.ts';
import type { Orchestrator } from '../service/orchestrator.ts';
import type { Runs } from '../service/runs/runs.ts';
import type { Schedules } from '../service/schedules/schedules.ts';
import type { TemplatePlace } from '../service/templates.ts';
import type { TemporalLink } from '../service/temporal-link.ts';
import type { StreamTimes } from './event-stream.ts';
import type { Metrics } from './metrics.ts';

export interface ApiDeps {
  orchestrator: Pick<
    Orchestrator,
    | 'create'
    | 'list'
    | 'get'
    | 'command'
    | 'heartbeat'
    | 'remove'
    | 'signal'
    | 'commandMany'
    | 'events'
    | 'logs'
    | 'followLogs'
    | 'history'
  >;
  auth: Auth;
  /** Of the processes whose tokens are used. */
  ends: Pick<IncarnationEnds, 'follow'>;
  daemon: DaemonControl;
  fleet: FleetHealth;
  temporal: TemporalLink;
  /** What was answered to requests with an `Idempotency-Key`. */
  answers: AnswerStore;
  metrics: Metrics;
  templates: TemplatePlace;
  messaging: Pick<Messaging, 'messages' | 'queues' | 'topics' | 'entries'>;
  schedules: Pick<
    Schedules,
    'list' | 'get' | 'create' | 'replace' | 'remove' | 'pause' | 'resume' | 'trigger' | 'backfill'
  >;
  runs: Pick<Runs, 'create' | 'list' | 'get' | 'cancel'>;
  incidents: Pick<Incidents, 'report' | 'list' | 'get' | 'act' | 'testNotice'>;
  /** The body of `POST /agents`, checked. @throws CodedError INVALID_REQUEST, UNSUPPORTED_FIELD */
  parseAgentInput: (body: unknown) => AgentRequest;
  log: Logger;
  /** How many commands an agent bears. @default 10 a second, 50 at once */
  commandLimit?: { perSecond: number; burst: number };
  /** Of streams of events. */
  streamTimes?: StreamTimes;
}

export interface Auth {
  adminToken: string;
  /** Where the admin token is, for whoever is refused. */
  tokenFile: string;
  /** Whose token it is; undefined if its signature does not hold. Whether the process still lives is not asked here. */
  verifyAgentToken: (token: string) => Omit<AgentCaller, 'kind'> | undefined;
}

export interface DaemonControl {
  facts(): DaemonFacts;
  /** Called once the request for it has been answered. Returns at once; the process ends when all is down. */
  shutdown(options: { keepAgents: boolean }): void;
  /** Reads the configuration file again. @throws CodedError CONFIG_INVALID, …: then nothing has been changed */
  reload(options: { dryRun: boolean }): Promise<ReloadView>;
}

/** The live table of the host. Read at every probe: neither a database nor Temporal may stand behind it. */
export interface FleetHealth {
  /** Critical agents that are not up, also before they ever were. */
  criticalDown(): { agent_id: string; reason: string }[];
  states(): { agent_id: string; up: boolean; resources?: { cpu_percent: number; memory_bytes: number } | null }[];
}
