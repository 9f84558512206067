/** What a process tree takes, from two readings of its processes. */
import type { Resources } from './limits.ts';

/** One process, as it was read. */
export interface ProcessReading {
  pid: number;
  /** Processor time since its start, user and system. */
  cpuMs: number;
  memoryBytes: number;
  /** Since its start. */
  ageMs: number;
}

export interface TreeReading {
  /** Read from a clock that only goes forward. */
  atMs: number;
  processes: ProcessReading[];
}

/** Readings closer together than this say nothing: processor time is counted in steps of 10 ms. */
const SHORTEST_MS = 200;

/**
 * Memory is the sum over all processes, so what they share counts for each. Processor time is what they used between the
 * two readings; without an earlier one it is not known yet, and 0.
 */
export function treeUsage(before: TreeReading | null, now: TreeReading): Resources {
  const memory_bytes = now.processes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const duringMs = before === null ? 0 : now.atMs - before.atMs;
  if (before === null || duringMs < SHORTEST_MS) return { cpu_percent: 0, memory_bytes };
  const known = new Map(before.processes.map((process) => [process.pid, process]));
  const usedMs = now.processes.reduce((sum, process) => sum + usedSince(known.get(process.pid), process, duringMs), 0);
  return { cpu_percent: Math.round((usedMs / duringMs) * 1000) / 10, memory_bytes };
}

function usedSince(before: ProcessReading | undefined, now: ProcessReading, duringMs: number): number {
  // The number may be another process's by now: then its time is less, and it is young.
  if (before !== undefined && now.cpuMs >= before.cpuMs && now.ageMs >= before.ageMs) return now.cpuMs - before.cpuMs;
  // One that is older than the first reading was not seen then, and nobody knows what it used since.
  return now.ageMs <= duringMs + SHORTEST_MS ? now.cpuMs : 0;
}

/** Whether a change is worth telling: a roster that hears of every byte does nothing else. */
export function differs(before: Resources | undefined, now: Resources): boolean {
  if (before === undefined) return true;
  return (
    isFar(before.cpu_percent, now.cpu_percent, 1) || isFar(before.memory_bytes, now.memory_bytes, MEMORY_STEP_BYTES)
  );
}

const MEMORY_STEP_BYTES = 1024 * 1024;
/** Share of the larger one. */
const FAR = 0.05;

const isFar = (before: number, now: number, step: number): boolean =>
  Math.abs(now - before) >= Math.max(step, FAR * Math.max(before, now));
