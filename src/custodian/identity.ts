import { isAlive } from './tree/process-table.ts';
import type { ProcessStat, ProcessTable } from './tree/process-table.ts';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  pid: number;
  start: number;
}

/** A process as the journal recorded it. Any field may have been tampered with. */
export interface RecordedIdentity extends ProcessIdentity {
  boot: string;
  ns: string;
  marker: string;
}

export type IdentityVerdict =
  | { kind: 'ours'; stat: ProcessStat }
  /** The machine was started again since. */
  | { kind: 'reboot' }
  /** It ended. While its session or group has a member the number is theirs; after that it may have been given out again. */
  | { kind: 'gone'; why: string }
  /** It ended, and still holds its number. */
  | { kind: 'zombie'; why: string }
  /** It ended, and its pid means another process or another namespace now: the number says nothing about its tree. */
  | { kind: 'replaced'; why: string }
  /** The record cannot be true; the process that it names is never touched. */
  | { kind: 'tampered'; why: string };

/**
 * Pids that must never be signalled, whatever a record says: 0 and negative ones are groups, 1 is init.
 * `forbidden` holds this process and the daemon's.
 */
export function isSafePid(pid: unknown, forbidden: ReadonlySet<number>): pid is number {
  return Number.isSafeInteger(pid) && (pid as number) > 1 && !forbidden.has(pid as number);
}

/**
 * Whether a recorded process is still the one that was started: boot id, pid namespace, pid and start time match and it
 * is no zombie. The marker is evidence only: a process may have cleared its environment or be unreadable, so a missing
 * marker proves nothing; a different one proves that it is another process.
 */
export function identify(
  record: RecordedIdentity,
  table: ProcessTable,
  forbidden: ReadonlySet<number>,
): IdentityVerdict {
  if (!isSafePid(record.pid, forbidden))
    return { kind: 'tampered', why: `pid ${String(record.pid)} is never an agent's` };
  if (!Number.isSafeInteger(record.start))
    return { kind: 'tampered', why: `start time ${String(record.start)} is no number` };
  if (record.boot !== table.bootId) return { kind: 'reboot' };
  if (record.ns !== table.pidNamespace) return { kind: 'replaced', why: `it lived in pid namespace ${record.ns}` };
  const stat = table.stat(record.pid);
  if (stat === undefined) return { kind: 'gone', why: 'no such process' };
  if (stat.start !== record.start) return { kind: 'replaced', why: `pid ${record.pid} belongs to a later process` };
  if (!isAlive(stat)) return { kind: 'zombie', why: 'it is a zombie' };
  const marker = table.marker(record.pid);
  if (marker !== undefined && marker !== '' && marker !== record.marker) {
    return { kind: 'replaced', why: `pid ${record.pid} carries the marker of another process` };
  }
  return { kind: 'ours', stat };
}

/** Present if this very process still runs. Throws if it cannot be read for now. */
export function statOf(process: ProcessIdentity, table: ProcessTable): ProcessStat | undefined {
  const stat = table.stat(process.pid);
  return stat !== undefined && stat.start === process.start && isAlive(stat) ? stat : undefined;
}
