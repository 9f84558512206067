/**
 * What the custodian (the parent of all agents on a host) knows about one agent.
 * The custodian's exit record is the truth about an exit; everything else is a messenger of it.
 */

/**
 * Why a process ended.
 * - `self`: by its own doing, or by a signal from outside this daemon (also the kernel's OOM killer)
 * - `operator`: somebody asked for a stop, restart or delete
 * - `shutdown`: the daemon shut down in order
 * - `reboot`: the machine restarted under it
 * - `custodian_lost`: it ended while no custodian was there to see it; its exit code is unknown
 */
export type ExitCause = 'self' | 'operator' | 'shutdown' | 'reboot' | 'custodian_lost';

/** How one incarnation ended. `code` and `signal` are both null when nobody saw the exit; unknown is never 0. */
export interface ExitRecord {
  generation: number;
  code: number | null;
  /** POSIX name, such as `SIGKILL`. */
  signal: string | null;
  cause: ExitCause;
  /** When the exit was seen, ISO 8601. */
  at: string;
  /** How long the process lived, in milliseconds; monotonic unless the custodian changed in between. */
  ran_ms: number;
}

export interface Custody {
  /** The highest generation ever asked for. Nothing at or below it is spawned again. */
  fence: number;
  live?: { generation: number; pid: number };
  last_exit?: ExitRecord;
}

/** True for an exit of which neither code nor signal is known. */
export function isUnknownExit(exit: ExitRecord): boolean {
  return exit.code === null && exit.signal === null;
}
