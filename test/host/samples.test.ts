import { spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import type { Resources } from '../../src/domain/limits.ts';
import { Samples, type SampleTarget } from '../../src/host/samples.ts';
import { readProcesses } from '../../src/host/tree-reader.ts';
import { until } from '../support/wait.ts';

function samplesOf(targets: SampleTarget[]) {
  const asked: string[][] = [];
  const seen: [string, Resources][] = [];
  const samples = new Samples({
    targets: () => targets,
    trees: async (agents) => {
      asked.push(agents);
      return Object.fromEntries(agents.map((agent) => [agent, [agent.length]]));
    },
    read: async (pids) => pids.map((pid) => ({ pid, cpuMs: 0, memoryBytes: 1, ageMs: 1e6 })),
    onSample: ({ agentId }, resources) => seen.push([agentId, resources]),
    onTrouble: () => undefined,
  });
  return { samples, asked, seen };
}
const target = (agentId: string, isLimited = false, generation = 1): SampleTarget => ({
  agentId,
  generation,
  isLimited,
});

describe('Samples', () => {
  test('looks at new trees twice, at those with limits always, and at the others seldom', async () => {
    const { samples, asked } = samplesOf([target('a'), target('b', true)]);
    for (let round = 0; round < 4; round += 1) await samples.pass();
    expect(asked).toEqual([['a', 'b'], ['a', 'b'], ['b'], ['b']]);
  });

  test('begins anew with a new process', async () => {
    const targets = [target('a')];
    const { samples, asked } = samplesOf(targets);
    for (let round = 0; round < 3; round += 1) await samples.pass();
    targets[0] = target('a', false, 2);
    await samples.pass();
    expect(asked).toHaveLength(3);
  });

  test('asks for many in pieces', async () => {
    const { samples, asked, seen } = samplesOf(Array.from({ length: 120 }, (_, n) => target(`agent${n}`)));
    await samples.pass();
    expect(asked.map((agents) => agents.length)).toEqual([50, 50, 20]);
    expect(seen).toHaveLength(120);
  });
});

describe('readProcesses', () => {
  const children: ReturnType<typeof spawn>[] = [];
  afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));
  const start = (script: string): number => {
    const child = spawn('sh', ['-c', script], { stdio: 'ignore' });
    children.push(child);
    return child.pid!;
  };

  test('reads processor time and memory, and leaves out what has gone', async () => {
    const busy = start('while :; do :; done');
    const idle = start('sleep 1000');
    const used = await until(
      async () => {
        const read = await readProcesses([busy, idle, 2 ** 22 - 1]);
        return read.length === 2 && (read.find(({ pid }) => pid === busy)?.cpuMs ?? 0) > 100 ? read : undefined;
      },
      { what: 'processor time' },
    );
    const [first, second] = [busy, idle].map((pid) => used.find((one) => one.pid === pid));
    expect(first?.memoryBytes).toBeGreaterThan(100_000);
    expect(second?.cpuMs).toBeLessThan(100);
  });

  test('of nobody, or of one that has gone, is empty', async () => {
    expect(await readProcesses([])).toEqual([]);
    expect(await readProcesses([2 ** 22 - 1])).toEqual([]);
  });
});
