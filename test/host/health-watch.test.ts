import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_PROBE, type HealthFinding, type HealthPolicy, type ProbeResult } from '../../src/domain/health.ts';
import { HealthWatch } from '../../src/host/health-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const probe = {
  ...DEFAULT_PROBE,
  check: { kind: 'tcp', host: 'h', port: 1 },
  periodMs: 1000,
  failureThreshold: 2,
} as const;
const policyOf = (own: Partial<HealthPolicy>): HealthPolicy => ({
  startup: null,
  readiness: null,
  liveness: null,
  ...own,
});

function watchOf(own: Partial<HealthPolicy>, options: { wasReady?: boolean; answers?: () => ProbeResult } = {}) {
  const asked: number[] = [];
  const findings: HealthFinding[] = [];
  const startMs = performance.now();
  const watch = new HealthWatch({
    policy: policyOf(own),
    ageMs: 0,
    wasReady: options.wasReady ?? false,
    ask: async () => {
      // timers round up to the next millisecond
      asked.push(Math.round((performance.now() - startMs) / 10) * 10);
      return options.answers?.() ?? { ok: true };
    },
    onFinding: (finding) => findings.push(finding),
  });
  watch.start();
  return { watch, asked, last: () => findings.at(-1) };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('HealthWatch', () => {
  test('asks at once and then once a period', async () => {
    const { asked } = watchOf({ liveness: { kind: 'probe', ...probe } });
    await pass(3500);
    expect(asked).toEqual([0, 1000, 2000, 3000]);
  });

  test('waits for the initial delay', async () => {
    const { asked } = watchOf({ liveness: { kind: 'probe', ...probe, initialDelayMs: 5000 } });
    await pass(6500);
    expect(asked).toEqual([5000, 6000]);
  });

  test('asks impatiently until it is first ready, and in its period from then on', async () => {
    let ok = false;
    const { asked, last } = watchOf({ readiness: probe }, { answers: () => (ok ? { ok } : { ok, why: 'no' }) });
    await pass(1200);
    expect([asked, last()?.ready]).toEqual([[0, 500, 1000], false]);
    ok = true;
    await pass(2500);
    expect([asked.slice(3), last()?.ready]).toEqual([[1500, 2500, 3500], true]);
  });

  test('asks the others once the startup has succeeded', async () => {
    let ok = false;
    const policy = { startup: { ...probe, failureThreshold: 9 }, liveness: { kind: 'probe', ...probe } } as const;
    const { asked, last } = watchOf(policy, { answers: () => (ok ? { ok } : { ok, why: 'no' }) });
    await pass(1500);
    expect([asked, last()?.health]).toEqual([[0, 1000], 'starting']);
    ok = true;
    await pass(1700);
    expect([asked, last()?.health]).toEqual([[0, 1000, 2000, 2000, 3000], 'healthy']);
  });

  test('tells silence when it has lasted too long, and again while it lasts', async () => {
    const { watch, last } = watchOf({ liveness: { kind: 'heartbeat', periodMs: 1000, initialDelayMs: 0 } });
    await pass(900);
    watch.beat();
    await pass(900);
    expect(last()?.unhealthy).toBeNull();
    await pass(200);
    expect(last()?.unhealthy?.why).toMatch(/no heartbeat for 1 s/);
    await pass(10_000);
    expect(last()?.unhealthy?.why).toMatch(/no heartbeat for 11 s/);
    watch.beat();
    expect(last()?.unhealthy).toBeNull();
  });

  test('what could not be asked counts for nothing, and is asked again', async () => {
    const asked: number[] = [];
    const findings: HealthFinding[] = [];
    const watch = new HealthWatch({
      policy: policyOf({ liveness: { kind: 'probe', ...probe, failureThreshold: 1 } }),
      ageMs: 0,
      wasReady: false,
      ask: async () => {
        asked.push(1);
        return null;
      },
      onFinding: (finding) => findings.push(finding),
    });
    watch.start();
    await pass(2500);
    expect(asked).toHaveLength(3);
    expect(findings.every(({ unhealthy }) => unhealthy === null)).toBe(true);
  });

  test('a daemon that stood still itself gives the agent its time again', async () => {
    const { last } = watchOf({ liveness: { kind: 'heartbeat', periodMs: 1000, initialDelayMs: 0 } });
    vi.setSystemTime(Date.now() + 60_000);
    const now = performance.now.bind(performance);
    const late = vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    await pass(1000);
    expect(last()?.unhealthy).toBeNull();
    late.mockRestore();
  });

  test('while suspended asks and expects nothing, and counts nothing of before', async () => {
    const answers = (): ProbeResult => ({ ok: false, why: 'no' });
    const { watch, asked, last } = watchOf({ liveness: { kind: 'probe', ...probe } }, { answers });
    await pass(100);
    watch.suspend();
    await pass(60_000);
    watch.resume();
    await pass(100);
    expect([asked, last()?.unhealthy]).toEqual([[0, 60_100], null]);
    await pass(1000);
    expect(last()?.unhealthy?.why).toBe('no (2 in a row)');
  });

  test('an answer that comes after the suspension counts for nothing', async () => {
    let answer: (result: ProbeResult) => void = () => undefined;
    const findings: HealthFinding[] = [];
    const watch = new HealthWatch({
      policy: policyOf({ liveness: { kind: 'probe', ...probe, failureThreshold: 1 } }),
      ageMs: 0,
      wasReady: false,
      ask: () => new Promise((resolve) => (answer = resolve)),
      onFinding: (finding) => findings.push(finding),
    });
    watch.start();
    await pass(10);
    watch.suspend();
    answer({ ok: false, why: 'late' });
    await pass(10);
    expect(findings.every(({ unhealthy }) => unhealthy === null)).toBe(true);
  });
});
