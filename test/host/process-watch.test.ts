import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Checks, Verdict } from '../../src/contract/definition.ts';
import { DEFAULT_PROBE } from '../../src/domain/health.ts';
import { ProcessWatch } from '../../src/host/process-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const readiness = { ...DEFAULT_PROBE, check: { kind: 'tcp', host: 'h', port: 1 } } as const;
const HEARTBEAT: Checks = {
  health: { startup: null, readiness: null, liveness: { kind: 'heartbeat', periodMs: 1000, initialDelayMs: 0 } },
  limits: null,
};
const LIMITS: Checks = {
  health: null,
  limits: { memoryBytes: 100, cpuPercent: null, forMs: 0, action: 'restart' },
};
const over = { cpu_percent: 0, memory_bytes: 101 };

function watchOf(checks: Checks, { paused = false, wasReady = false } = {}) {
  const verdicts: Verdict['kind'][] = [];
  const notices: string[] = [];
  const changes: boolean[] = [];
  const startedAt = new Date().toISOString();
  const watch = new ProcessWatch({
    incarnation: { generation: 1, pid: 7, startedAt, logPath: '/log', paused },
    checks,
    wasReady,
    ask: async () => ({ ok: false, why: 'no' }),
    onChange: (urgent) => changes.push(urgent),
    onVerdict: ({ kind }) => verdicts.push(kind),
    onNotice: (summary) => notices.push(summary),
  });
  return { watch, verdicts, notices, changes };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const beat = { at: '2026-01-01T00:00:00.000Z' };

describe('ProcessWatch', () => {
  test('without checks is ready, and has no health to tell', () => {
    const { watch } = watchOf({ health: null, limits: null });
    expect(watch.facts).toMatchObject({ pid: 7, ready: true, paused: false });
    expect(watch.facts).not.toHaveProperty('health');
  });

  test('is not ready before its check says so, unless an earlier daemon has found it ready', () => {
    const checks = { health: { startup: null, readiness, liveness: null }, limits: null };
    expect(watchOf(checks).watch.facts).toMatchObject({ ready: false, health: { state: 'starting' } });
    expect(watchOf(checks, { wasReady: true }).watch.facts).toMatchObject({
      ready: true,
      health: { state: 'healthy' },
    });
  });

  test('tells a silent process until it has ended', async () => {
    const { watch, verdicts } = watchOf(HEARTBEAT);
    await pass(1100);
    expect(verdicts).toEqual(['unhealthy']);
    expect(watch.isCondemned('unhealthy')).toBe(true);
    await pass(10_100);
    expect(verdicts).toHaveLength(2);
    watch.close();
    await pass(60_000);
    expect(verdicts).toHaveLength(2);
  });

  test.each([
    ['paused', (watch: ProcessWatch) => watch.hold(true)],
    ['stopping', (watch: ProcessWatch) => watch.stopping()],
  ])('while %s holds it to nothing', async (_state, begin) => {
    const silent = watchOf(HEARTBEAT);
    begin(silent.watch);
    await pass(60_000);
    const greedy = watchOf(LIMITS);
    begin(greedy.watch);
    greedy.watch.sample(over, 0);
    expect([...silent.verdicts, ...greedy.verdicts]).toEqual([]);
  });

  test('that was paused when it was found is held to nothing before it goes on', async () => {
    const { watch, verdicts } = watchOf(HEARTBEAT, { paused: true });
    await pass(60_000);
    expect(verdicts).toEqual([]);
    watch.hold(false);
    await pass(900);
    expect(verdicts).toEqual([]);
    await pass(200);
    expect(verdicts).toEqual(['unhealthy']);
  });

  test('over a limit is told with the action, or noticed once', () => {
    const ended = watchOf(LIMITS);
    ended.watch.sample(over, 0);
    expect([ended.verdicts, ended.watch.isCondemned('over_limit')]).toEqual([['over_limit'], true]);
    ended.watch.sample({ ...over, memory_bytes: 1 }, 1);
    expect(ended.watch.isCondemned('over_limit')).toBe(false);
    const told = watchOf({ ...LIMITS, limits: { ...LIMITS.limits!, action: 'notify' } });
    told.watch.sample(over, 0);
    told.watch.sample(over, 1);
    expect([told.verdicts, told.notices]).toEqual([[], ['memory 101 B, over its limit of 100 B']]);
  });

  test('follows another definition without another process', async () => {
    const { watch, verdicts, changes } = watchOf({ health: null, limits: null });
    watch.follow({ health: null, limits: null });
    expect(changes).toEqual([]);
    watch.follow(HEARTBEAT);
    expect([watch.heartbeatMs, changes.includes(true)]).toEqual([1000, true]);
    await pass(1100);
    expect(verdicts).toEqual(['unhealthy']);
  });

  test('tells beats that say something new, and of the others few', async () => {
    const { watch, changes } = watchOf({ health: null, limits: null });
    watch.beat(beat);
    for (let n = 0; n < 10; n += 1) watch.beat(beat);
    expect(changes).toEqual([false]);
    watch.beat({ ...beat, progress: 'further' });
    expect(changes).toHaveLength(2);
    await pass(15_100);
    watch.beat({ ...beat, progress: 'further' });
    expect(changes).toHaveLength(3);
  });
});
