import { isAlive } from '../support/daemon.ts';
import type { Trial } from './trial.ts';

export type Victim = 'daemon' | 'custodian' | 'temporal';

/** With `kill -9`, all at the same moment. */
export async function kill(trial: Trial, victims: Victim[]): Promise<void> {
  const custody = await trial.daemon.custody().catch(() => undefined);
  const temporal = custody?.entries.find((entry) => entry.agent === '_temporal')?.live?.pid;
  const pids = [
    ...(victims.includes('custodian') ? [custody?.pid] : []),
    ...(victims.includes('temporal') ? [temporal] : []),
  ];
  for (const pid of pids) if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
  if (victims.includes('daemon')) await trial.daemon.signal('SIGKILL');
}
