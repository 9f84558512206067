/**
 * Places where a test lets the custodian die as if by `kill -9`, chosen by the variable OPENSTARRY_FAILPOINT: the name
 * alone, or `<name>:<agent>` for one agent only. They bracket the only moments at which the journal and the process
 * table can disagree.
 */
export type Failpoint = 'custodian.after-intent' | 'custodian.after-fork' | 'custodian.after-record';

export function failpoint(name: Failpoint, agent: string): void {
  const chosen = process.env['OPENSTARRY_FAILPOINT'];
  if (chosen !== undefined && (chosen === name || chosen === `${name}:${agent}`)) process.kill(process.pid, 'SIGKILL');
}
