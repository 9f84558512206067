/**
 * What the custodian (the parent of all agents on a host) knows about one agent.
 * The custodian's exit record is the truth about an exit; everything else is a messenger of it.
 */

/**
 * Why a process ended.
 * - `self`: by its own doing, or by a signal from outside this daemon (also the kernel's OOM killer)
 * - `operator`: somebody asked for a stop, restart or delete
 * - `unhealthy`: its startup or liveness check had failed, so the daemon ended it
 * - `limit`: it was over one of its limits, so the daemon ended it
 * - `shutdown`: the daemon shut down in order
 * - `reboot`: the machine restarted under it
 * - `custodian_lost`: it ended while no custodian was there to see it; its exit code is unknown
 */
export type ExitCause = 'self' | 'operator' | 'unhealthy' | 'limit' | 'shutdown' | 'reboot' | 'custodian_lost';

/** Causes that come with a stop: the caller says why. */
export type StopCause = Extract<ExitCause, 'operator' | 'unhealthy' | 'limit' | 'shutdown'>;

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
  /** Stops for `unhealthy` or `limit` only: what was seen, as the end of a sentence. */
  why?: string;
}

export interface Custody {
  /** The highest generation ever asked for. Nothing at or below it is spawned again. */
  fence: number;
  live?: {
    generation: number;
    pid: number;
    /** Its whole tree is stopped, and kept so, until it is resumed. */
    paused?: true;
  };
  last_exit?: ExitRecord;
}

/** True if neither exit code nor signal is known. */
export function isUnknownExit(exit: ExitRecord): boolean {
  return exit.code === null && exit.signal === null;
}
