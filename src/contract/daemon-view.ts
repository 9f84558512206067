import type { PublicState } from './agent-view.ts';

/** Of the daemon, not of an agent. */
export type DaemonPhase = 'init' | 'start' | 'run' | 'shutdown';

/** When a phase began. `supervise` is a part of `run`: from the first comparison of roster, custody and workflows on. */
export interface PhaseMark {
  phase: DaemonPhase | 'supervise';
  at: string;
}

/** Names of the ports that may be in use; one that is not has no entry. */
export type PortName = 'api' | 'health' | 'metrics' | 'temporal' | 'ui';

/** What the daemon knows about itself. */
export interface DaemonFacts {
  version: string;
  pid: number;
  phase: DaemonPhase;
  /** The phases so far, in their order. */
  phases: PhaseMark[];
  /** When it started, ISO 8601. */
  started_at: string;
  /** Of this machine; made once, kept in the state directory. */
  host: string;
  /** The state directory. */
  home: string;
  /** The configuration file; null for the built-in quickstart. */
  config_file: string | null;
  ports: Partial<Record<PortName, number>>;
  temporal: {
    address: string;
    namespace: string;
    embedded: boolean;
    /** Hosts whose daemons take work from the same namespace: there should be none. */
    other_hosts: string[];
  };
  /** Null until they are open. */
  plugins: PluginsView | null;
  /** How completely a process tree can be followed here. */
  tree: 'cgroup' | 'best-effort' | 'group-only';
}

/** What keeps messages, and what keeps agents' state. */
export interface PluginsView {
  bus: PluginView;
  state: PluginView;
}

interface PluginView {
  /** As in the configuration. */
  use: string;
  /** What has become of an answered write when something fails: a sentence. */
  durability: string;
  survives_power_loss: boolean;
}

/** The answer of `GET /status`. */
export interface DaemonView extends Omit<DaemonFacts, 'temporal'> {
  uptime_s: number;
  temporal: DaemonFacts['temporal'] & { reachable: boolean };
  agents: { total: number; by_state: Partial<Record<PublicState, number>> };
  critical_down: { agent_id: string; reason: string }[];
}

/** A machine that runs agents, in the answer of `GET /hosts`. */
export interface HostView {
  host: string;
  /** The host name, for people: nothing is found by it. */
  name: string;
  platform: string;
  arch: string;
  cpus: number;
  memory_bytes: number;
  tree: DaemonFacts['tree'];
  agents: number;
  /** Agents with a process. */
  live: number;
  /** True for the host that answers. */
  this: boolean;
}

/** `daemon.json` in the state directory: how the command line finds a running daemon. */
export interface DaemonFile {
  pid: number;
  version: string;
  phase: DaemonPhase;
  /** Empty until it listens. */
  ports: Partial<Record<PortName, number>>;
  /** What it was started with. Absent from an earlier version's. */
  config_file?: string;
}
