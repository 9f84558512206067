/**
 * Places where a test lets the custodian die as if by `kill -9`, chosen by the variable OPENSTARRY_FAILPOINT.
 * They bracket the only moments at which the journal and the process table can disagree.
 */
export type Failpoint = 'custodian.after-intent' | 'custodian.after-fork' | 'custodian.after-record';

export function failpoint(name: Failpoint): void {
  if (process.env['OPENSTARRY_FAILPOINT'] === name) process.kill(process.pid, 'SIGKILL');
}
