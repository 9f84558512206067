import { readFileSync } from 'node:fs';

/** A process as it is told from every other: its pid may be somebody else's later. */
export interface Identity {
  pid: number;
  /** In clock ticks since boot, field 22 of `/proc/<pid>/stat`. */
  start: number;
}

/** The letter of the kernel; undefined if there is no such process. */
export function stateOf(pid: number): string | undefined {
  return fieldsOf(pid)?.[0];
}

/** A zombie is dead: nobody may be there to reap it. */
export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** NaN if there is no such process. */
export function startTimeOf(pid: number): number {
  return Number(fieldsOf(pid)?.[19]);
}

/** @param group with all of its process group, which its leader has made */
export function killIfSame({ pid, start }: Identity, { group = false } = {}): void {
  if (startTimeOf(pid) !== start) return;
  try {
    process.kill(group ? -pid : pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

function fieldsOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
