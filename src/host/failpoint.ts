/**
 * Places where a test lets the daemon die as if by `kill -9`, chosen by the variable OPENSTARRY_FAILPOINT. Each lies
 * between two writes that belong together and cannot be made at once.
 */
export type Failpoint =
  /** The process runs and custody knows it; Temporal does not know yet that the activity is completed later. */
  | 'daemon.after-spawn'
  /** The custodian has reported an exit; Temporal and the roster do not know of it. */
  | 'daemon.before-ring'
  /** Temporal knows of an exit; the roster does not. */
  | 'daemon.after-ring'
  /** An incident or a run is shown; the task of its workflow is not done. */
  | 'daemon.after-record'
  /** The next start is refused; Temporal does not know that the fail-stop has been carried out. */
  | 'daemon.in-fail-stop'
  /** Some agents of the configuration file exist, others do not. */
  | 'daemon.in-apply-config';

export function failpoint(name: Failpoint): void {
  if (process.env['OPENSTARRY_FAILPOINT'] === name) process.kill(process.pid, 'SIGKILL');
}
