import { describe, expect, it } from 'vitest';
import type { ExitRecord } from '../../src/domain/custody.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import {
  assess,
  judge,
  NO_FAILURES,
  type FailureHistory,
  type RestartPolicy,
} from '../../src/domain/restart-policy.ts';

const { default: ON_FAILURE, data: ALWAYS, strategy: STRATEGY, critical: CRITICAL } = BUILT_IN_FAULT_DOMAINS;
const NEVER: RestartPolicy = { ...ON_FAILURE, restart: 'never' };
const THREE_IS_FINE: RestartPolicy = { ...ON_FAILURE, successExitCodes: [0, 3] };
const STABLE_MS = 60_000;
const NOW_MS = 1_000_000;

const exit = (own: Partial<ExitRecord> = {}): ExitRecord => ({
  generation: 1,
  code: 1,
  signal: null,
  cause: 'self',
  at: '2026-01-01T00:00:00Z',
  ran_ms: 1000,
  ...own,
});
const after = (policy: RestartPolicy, before: FailureHistory, own: Partial<ExitRecord> = {}, nowMs = NOW_MS) =>
  assess(policy, before, exit(own), { nowMs, random01: 0.5 });
const inARow = (consecutive: number): FailureHistory => ({ consecutive, timesMs: [] });

describe('judge', () => {
  it.each([
    ['failure', ON_FAILURE, { code: 1 }],
    ['success', ON_FAILURE, { code: 0 }],
    ['success', THREE_IS_FINE, { code: 3 }],
    ['failure', ON_FAILURE, { code: null, signal: 'SIGKILL' }],
    ['excused', ON_FAILURE, { code: null }],
    ['excused', ON_FAILURE, { code: 1, cause: 'operator' }],
    ['excused', ON_FAILURE, { code: 1, cause: 'reboot' }],
    ['failure', ON_FAILURE, { code: 0, cause: 'unhealthy' }],
    ['failure', ON_FAILURE, { code: 0, cause: 'limit' }],
    ['failure', ALWAYS, { code: 0, ran_ms: STABLE_MS - 1 }],
    ['success', ALWAYS, { code: 0, ran_ms: STABLE_MS }],
  ] as const)('%s: %j %j', (judgement, policy, own) => {
    expect(judge(policy, exit(own))).toBe(judgement);
  });
});

describe('assess', () => {
  it.each([
    [ON_FAILURE, { code: 1 }, { kind: 'restart', delayMs: 500 }],
    [ON_FAILURE, { code: 0 }, { kind: 'complete' }],
    [ON_FAILURE, { cause: 'shutdown' }, { kind: 'restart', delayMs: 0 }],
    [ALWAYS, { code: 0, ran_ms: STABLE_MS }, { kind: 'restart', delayMs: 500 }],
    [NEVER, { code: 1 }, { kind: 'give-up', then: 'disable', why: 'its restart policy is never' }],
    [CRITICAL, { code: 0 }, { kind: 'give-up', then: 'fail-stop', why: 'a critical agent has ended' }],
    [CRITICAL, { cause: 'operator' }, { kind: 'restart', delayMs: 0 }],
  ] as const)('%# what follows the first end', (policy, own, next) => {
    expect(after(policy, NO_FAILURES, own).next).toEqual(next);
  });

  it('gives up at the last failure within a window that slides', () => {
    const history = { consecutive: 3, timesMs: [NOW_MS - 299_999, NOW_MS - 2000, NOW_MS - 1000] };
    expect(after(ON_FAILURE, history).next).toEqual({
      kind: 'give-up',
      then: 'disable',
      why: '4 failures within 5 min',
    });
    const later = after(ON_FAILURE, history, {}, NOW_MS + 1);
    expect(later.next.kind).toBe('restart');
    expect(later.failures).toEqual({ consecutive: 4, timesMs: [NOW_MS - 2000, NOW_MS - 1000, NOW_MS + 1] });
  });

  it('gives up at the last consecutive failure; a stable run begins to count again', () => {
    expect(after(STRATEGY, inARow(4)).next).toEqual({ kind: 'restart', delayMs: 8000 });
    expect(after(STRATEGY, inARow(5)).next).toMatchObject({ kind: 'give-up', why: '6 failures in a row' });
    expect(after(STRATEGY, inARow(5), { ran_ms: STABLE_MS })).toMatchObject({
      failures: { consecutive: 1 },
      endsEpisode: true,
      beginsEpisode: true,
      opensIncident: false,
      next: { kind: 'restart', delayMs: 500 },
    });
  });

  it('opens an incident at the third failure in a row, and at each one after that', () => {
    const opens = [0, 1, 2, 3].map((before) => after(ALWAYS, inARow(before)).opensIncident);
    expect(opens).toEqual([false, false, true, true]);
    expect(after(ALWAYS, inARow(5), { cause: 'operator' }).opensIncident).toBe(false);
  });

  it('charges nothing if a restart was ordered', () => {
    const { judgement, failures, next } = assess(NEVER, inARow(1), exit(), { nowMs: NOW_MS, random01: 0.5 }, true);
    expect([judgement, failures, next]).toEqual(['excused', inARow(1), { kind: 'restart', delayMs: 0 }]);
  });
});
