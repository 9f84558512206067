import type { Custody, ExitCause, ExitRecord, StopCause } from '../domain/custody.ts';

/**
 * The wire between a daemon and the custodian: one JSON object a line over a Unix socket.
 *
 *   request   { id, method, params }
 *   response  { id, result } | { id, error: { code, message, ... } }
 *   event     { event, data }          pushed to every connection that said hello
 *
 * `hello` comes first. A custodian refuses another protocol number and says which one it speaks.
 */
export const PROTOCOL = 1;

/** With this code a custodian ends that finds another one for the same state directory. */
export const LOCK_TAKEN_EXIT_CODE = 75;

/** Ids that begin with an underscore belong to the daemon itself (`_temporal`): in custody, absent from lists. */
export function isReserved(agentId: string): boolean {
  return agentId.startsWith('_');
}

/** The variable that marks a process as ours: `<agent id>/<generation>/<nonce>`. Evidence, never the only proof. */
export const MARKER = 'OPENSTARRY_INCARNATION';

export interface HelloParams {
  protocol: number;
  /** `daemon`: the one connection that may command. `observer`: may only read. */
  role: 'daemon' | 'observer';
  pid: number;
  version: string;
}
export interface HelloResult {
  protocol: number;
  version: string;
  pid: number;
  boot_id: string;
  state_dir: string;
  /** How completely a process tree can be followed on this host. */
  tree: 'cgroup' | 'best-effort' | 'group-only';
  /** True while a `shutdown` is under way: spawns are refused until it is done. */
  shutting_down?: boolean;
}

export interface SpawnParams {
  agent: string;
  generation: number;
  /** argv; the first is looked up in `env.PATH`. Never goes through a shell. */
  command: string[];
  /** The whole environment; the custodian adds only the marker. */
  env: Record<string, string>;
  cwd: string;
  /** Text for the standard input; without it, /dev/null. */
  stdin?: string;
  log: { max_bytes: number; keep: number };
  /** As whom it runs; without it, as whom the custodian does. It has no supplementary groups then. */
  user?: { uid: number; gid: number };
  /** `process`: only the main process is stopped, and what it leaves behind at its end is left alone. */
  kill_mode?: KillMode;
  /** How it is stopped where no stop says otherwise (`shutdown`, SIGTERM of the custodian); default SIGTERM, 10 s. */
  stop?: { signal: string; grace_ms: number };
}
/** What a stop, and the end of the main process, is the end of. The words of systemd, but for `tree`. */
export type KillMode = 'tree' | 'process';

/** How the daemon is started again, as whatever generation it will be. */
export type KeptSpawn = Omit<SpawnParams, 'agent' | 'generation'>;

export interface SpawnResult {
  /** True if this generation was already running. */
  adopted: boolean;
  pid: number;
  started_at: string;
  log_path: string;
  custody: Custody;
}

export interface StopParams {
  agent: string;
  /** Stops this generation, or what lives below it, and lets nothing at or below it start any more. */
  generation: number;
  cause: StopCause;
  /** Of `unhealthy` and `limit`, what was seen: comes back with the exit. */
  why?: string;
  signal: string;
  grace_ms: number;
}
export interface StopResult {
  /** True if nothing at or below the generation lives (any more); see `custody` for what does above. Else an `exit` event follows. */
  done: boolean;
  custody: Custody;
}

export interface ProcessParams {
  agent: string;
  generation: number;
}

/** SIGSTOP, SIGCONT and SIGKILL go to the whole tree, others to the main process. */
export interface SignalParams {
  agent: string;
  generation: number;
  signal: string;
}

/** An operator's stop or delete that Temporal has not heard of yet. */
export interface Order {
  agent: string;
  verb: 'stop' | 'delete';
  at: string;
}

export interface SettingsParams {
  /** Below so much free space on their disk logs are cut; null stands for 100 MiB, or a twentieth of a smaller disk. */
  logs: { min_free_bytes: number | null };
}

export interface ShutdownParams {
  /** Agents to stop, one group after the other; what is in no group is stopped with the last. */
  waves: string[][];
  /** Overrides each agent's own grace, in milliseconds. */
  grace_ms?: number;
}

/** Everything in custody about one agent. */
export interface CustodyEntry {
  agent: string;
  custody: Custody;
  live?: {
    generation: number;
    pid: number;
    started_at: string;
    /** Whether this custodian is its parent. An adopted process's exit code cannot be known. */
    parent: boolean;
    /** Set while a stop is under way. */
    stopping?: { cause: ExitCause; since: string };
    log_path: string;
  };
  /** Where the log of the last incarnation is. */
  last_log_path?: string;
}

export interface Methods {
  hello: [HelloParams, HelloResult];
  list: [Record<string, never>, { entries: CustodyEntry[] }];
  custody: [{ agent: string }, Custody];
  spawn: [SpawnParams, SpawnResult];
  stop: [StopParams, StopResult];
  signal: [SignalParams, { delivered: boolean }];
  /**
   * Lets the whole tree stand still, and keeps it so over deaths of the custodian, until `resume` or a stop. What has not
   * started yet never will; what has ended stays as it is. Answers when nothing moves any more, after 2 s at the latest.
   */
  pause: [ProcessParams, Custody];
  resume: [ProcessParams, Custody];
  /** The pids of whole trees, from the pass over all processes that is made once a second; of all agents by default. */
  trees: [{ agents?: string[] }, { trees: Record<string, number[]> }];
  /** After a delete: the last exit goes, the fence stays for 30 days. */
  forget: [{ agent: string }, Record<string, never>];
  /** With `at` the order can be taken back by that name, also if nobody has heard whether it was kept. */
  order: [{ agent: string; verb: Order['verb']; at?: string }, Record<string, never>];
  orders: [Record<string, never>, { orders: Order[] }];
  /** With `at` only if that order is still the one that stands: a later one is not done yet. */
  order_done: [{ agent: string; at?: string }, Record<string, never>];
  /** Refuses spawns from now on, stops all but reserved children, answers when nothing of them lives. */
  shutdown: [ShutdownParams, { stopped: string[] }];
  /** In memory only, so it is said after every connection. */
  settings: [SettingsParams, Record<string, never>];
  /**
   * For a daemon that is itself a child (`_daemon`): how to start it again when it ends by itself with anything but 0 or
   * 78; null takes that back. Kept in memory only, so it is said after every connection.
   */
  keep: [{ spawn: KeptSpawn | null }, Record<string, never>];
  /**
   * Ends the custodian. Refused with STILL_LIVE while anything lives, reserved children included; only a daemon that is
   * itself the last child (`_daemon`) may ask, and the custodian ends when that daemon has.
   */
  end: [Record<string, never>, Record<string, never>];
}

export interface Events {
  exit: { agent: string; exit: ExitRecord; custody: Custody };
  /** A process that even SIGKILL has not ended: `kernel_state` is the letter of /proc/<pid>/stat, such as `D`. */
  stuck: { agent: string; generation: number; pid: number; kernel_state: string };
}

export type CustodianErrorCode =
  | 'PROTOCOL_MISMATCH'
  | 'DAEMON_RUNNING'
  | 'NOT_ALLOWED'
  | 'BAD_REQUEST'
  /** The generation is at or below the fence and not the live one; carries `custody`. */
  | 'SUPERSEDED'
  /** The command cannot run: carries `errno` such as ENOENT or EACCES. Trying again changes nothing. */
  | 'SPAWN_FAILED'
  /** The machine lacks something (EAGAIN, EMFILE, ENOMEM, ENOSPC): trying again later may help. */
  | 'RESOURCE_EXHAUSTED'
  | 'SHUTTING_DOWN'
  /** An operator's stop or delete stands that its workflow has not heard of: nothing is started until it has. */
  | 'ORDERED'
  | 'STILL_LIVE'
  | 'NOT_LIVE';

export interface CustodianErrorBody {
  code: CustodianErrorCode;
  message: string;
  errno?: string;
  custody?: Custody;
  /** Of the daemon that holds the connection, for DAEMON_RUNNING. */
  pid?: number;
}
