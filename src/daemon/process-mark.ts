import { readFileSync } from 'node:fs';

/** What tells one process from another that later has the same pid; undefined if there is none, or only a zombie. */
export function processMark(pid: number): string | undefined {
  if (process.platform !== 'linux') return canBeSignalled(pid) ? 'alive' : undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may contain anything: what follows it begins with the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  return processMark(pid) !== undefined;
}

function canBeSignalled(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
