import type { AgentInput } from '../contract/agent-input.ts';
import type { EscalationSettings } from '../contract/escalation.ts';
import type { QueueSettings } from '../domain/messages/queue-settings.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';
import type { StopPolicy } from '../domain/stop-policy.ts';
import type { QueueMembers } from '../schema/queue-settings.ts';
import type { ConfiguredSchedule } from './schedule-settings.ts';

/** The configuration file, checked, with every default filled in. */
export interface LoadedConfig {
  /** Absolute path of the file. */
  file: string;
  /** Its folder: relative paths of agents and templates start here. */
  dir: string;
  designLayer: DesignLayerSettings;
  /** Id of the Master Agent, which is the first of `agents`; null if none is configured. */
  master: string | null;
  /** Id of the agent that receives escalations: the master, unless the file names another. */
  chief: string | null;
  /** All that exist, built in and declared, by name. */
  faultDomains: Record<string, RestartPolicy>;
  defaults: { stop: StopPolicy };
  /** Unsigned, with `origin: file <path>`; the master first, then in the order of the file. */
  agents: AgentInput[];
  /** Of these agents, in the same order; their templates may bring more. */
  schedules: ConfiguredSchedule[];
  /** Below so much free space on their disk logs are cut; null is the custodian's standard. */
  logs: { minFreeBytes: number | null };
  messaging: MessagingSettings;
  plugins: InfrastructureSettings;
  /** Who is told of incidents. It holds secrets: never log it. */
  escalation: EscalationSettings;
  ports: Ports;
  temporal: TemporalSettings;
}

/** Where templates come from: a folder (absolute path), or a service (no slash at the end of its URL). */
export type DesignLayerSettings =
  | { kind: 'folder'; path: string }
  | { kind: 'service'; url: string; token: string | null };

/** How messages are handed out and kept. */
export interface MessagingSettings {
  /** Of queues that say nothing else. */
  defaults: QueueSettings;
  ageingMs: number;
  deadLettersKeptMs: number;
  /** About so much of messages and events, and of state, is kept. */
  limitBytes: { messages: number; state: number };
  topics: { keepCount: number; keepMs: number };
  queues: Record<string, DeclaredQueue>;
  /** Users' own message types, by name. */
  types: Record<string, MessageTypeFile>;
}

export interface DeclaredQueue {
  /** Null: any agent. */
  members: QueueMembers | null;
  settings: QueueSettings;
}

export interface MessageTypeFile {
  /** Absolute path. */
  file: string;
  /** A JSON Schema, draft 2020-12. */
  schema: unknown;
}

/** Which plugin keeps messages and topics, and which one agents' state. */
export interface InfrastructureSettings {
  bus: PluginSettings;
  state: PluginSettings;
}

export interface PluginSettings {
  /** `sqlite` or `redis`, which are built in, or a package or path, found from the folder of the file. */
  use: string;
  /** What else the file says there, references to the environment resolved: it may hold secrets. */
  settings: Record<string, unknown>;
}

/** TCP ports on loopback; 0 takes any that is free. */
export interface Ports {
  api: number;
  health: number;
  metrics: number;
  temporal: number;
  ui: number;
}

export const DEFAULT_PORTS: Ports = { api: 5050, health: 8000, metrics: 8001, temporal: 7233, ui: 8233 };

export interface TemporalSettings {
  /** host:port of a cluster; null means that the daemon runs a server of its own. */
  address: string | null;
  namespace: string;
  /** Null means none; the files are absolute paths. */
  tls: { caFile?: string; certFile?: string; keyFile?: string; serverName?: string } | null;
  apiKey: string | null;
  /**
   * Refuse every agent and definition that carries no signature. Commands carry none, and are not covered: start, stop,
   * restart, pause, resume, delete, signal.
   */
  requireSigned: boolean;
}
