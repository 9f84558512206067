import pidusage from 'pidusage';
import type { ProcessReading } from '../domain/tree-usage.ts';

/**
 * How long pidusage keeps a file of /proc open. It must be read again within that time, or it is closed; kept for longer
 * than a moment, a number that another process has got would be read as the dead one for ever.
 */
const KEPT_MS = 1000;

/** Reads processes; one that has gone meanwhile is not in the answer. */
export async function readProcesses(pids: readonly number[]): Promise<ProcessReading[]> {
  if (pids.length === 0) return [];
  try {
    // Its own percentage covers the time since any caller's last call, so it is not used.
    const read = await pidusage([...pids], { maxage: KEPT_MS });
    return Object.values(read).flatMap((one: pidusage.Status | null | undefined) =>
      one ? [{ pid: one.pid, cpuMs: one.ctime, memoryBytes: one.memory, ageMs: one.elapsed }] : [],
    );
  } catch {
    return []; // a single process that has gone
  }
}
