import { describe, expect, it } from 'vitest';
import { differs, treeUsage, type ProcessReading, type TreeReading } from '../../src/domain/tree-usage.ts';

const process = (pid: number, cpuMs: number, ageMs = 1e6, memoryBytes = 10): ProcessReading => ({
  pid,
  cpuMs,
  ageMs,
  memoryBytes,
});
const at = (atMs: number, ...processes: ProcessReading[]): TreeReading => ({ atMs, processes });
const cpu = (before: TreeReading | null, now: TreeReading): number => treeUsage(before, now).cpu_percent;

describe('treeUsage', () => {
  it('adds up the memory, and knows no processor time after one reading', () => {
    expect(treeUsage(null, at(0, process(1, 500), process(2, 500)))).toEqual({ cpu_percent: 0, memory_bytes: 20 });
  });

  it('adds up what all processes used between two readings', () => {
    expect(
      cpu(at(0, process(1, 0), process(2, 100)), at(1000, process(1, 500, 1e6 + 1000), process(2, 350, 1e6 + 1000))),
    ).toBe(75);
  });

  it('counts a new process from its start, and not one that is older than the first reading', () => {
    expect(cpu(at(0), at(1000, process(1, 400, 800)))).toBe(40);
    expect(cpu(at(0), at(1000, process(1, 90_000, 500_000)))).toBe(0);
  });

  it('is not deceived by a number that another process has got', () => {
    expect(cpu(at(0, process(1, 90_000)), at(1000, process(1, 300, 500)))).toBe(30);
    expect(cpu(at(0, process(1, 100)), at(1000, process(1, 300, 500)))).toBe(30);
  });

  it('says nothing after too short a time', () => {
    expect(cpu(at(0, process(1, 0)), at(10, process(1, 10, 1e6 + 10)))).toBe(0);
  });
});

describe('differs', () => {
  const MiB = 1024 ** 2;
  it.each([
    ['nothing known', undefined, [0, 0], true],
    ['the same', [10, 100 * MiB], [10, 100 * MiB], false],
    ['a little more', [10, 100 * MiB], [10.9, 101 * MiB], false],
    ['busy now', [0, 100 * MiB], [5, 100 * MiB], true],
    ['more memory', [10, 100 * MiB], [10, 110 * MiB], true],
    ['less memory', [10, 110 * MiB], [10, 100 * MiB], true],
    ['some kilobytes of few', [0, 1 * MiB], [0, 1.5 * MiB], false],
  ] as const)('%s', (_what, before, now, told) => {
    const resources = ([cpu_percent, memory_bytes]: readonly [number, number]) => ({ cpu_percent, memory_bytes });
    expect(differs(before && resources(before), resources(now))).toBe(told);
  });
});
