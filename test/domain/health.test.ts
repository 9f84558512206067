import { describe, expect, it } from 'vitest';
import {
  DEFAULT_PROBE,
  findHealth,
  healthStep,
  newHealth,
  probed,
  probesToAsk,
  silenceEndsMs,
  UNPROBED,
  type HealthPolicy,
  type HealthState,
  type Probe,
  type ProbePolicy,
} from '../../src/domain/health.ts';

const probe = (own: Partial<ProbePolicy> = {}): ProbePolicy => ({
  ...DEFAULT_PROBE,
  check: { kind: 'exec', command: ['true'] },
  ...own,
});
const policyOf = (own: Partial<HealthPolicy>): HealthPolicy => ({
  startup: null,
  readiness: null,
  liveness: null,
  ...own,
});
const no = { ok: false, why: 'HTTP 503' } as const;
const yes = { ok: true } as const;

/** Feeds results of one probe, all at time 0. */
const after = (policy: HealthPolicy, name: Probe, results: string, state: HealthState = newHealth(0)): HealthState =>
  results
    .split('')
    .reduce(
      (seen, result) => healthStep(policy, seen, { kind: 'result', probe: name, result: result === '+' ? yes : no }, 0),
      state,
    );

describe('probed', () => {
  it.each([
    ['---', 3, 1, false],
    ['--', 3, 1, null],
    ['--+--', 3, 1, true],
    ['+', 3, 1, true],
    ['+', 3, 2, null],
    ['++', 3, 2, true],
    ['++--', 2, 2, false],
    ['++--+', 2, 2, false],
    ['++--++', 2, 2, true],
  ])(
    '%s with a failure threshold of %i and a success threshold of %i: passing is %s',
    (results, failures, successes, passing) => {
      const policy = { failureThreshold: failures, successThreshold: successes };
      const state = results
        .split('')
        .reduce((seen, result) => probed(policy, seen, result === '+' ? yes : no), UNPROBED);
      expect(state.passing).toBe(passing);
    },
  );
});

describe('findHealth', () => {
  const ready = policyOf({ readiness: probe() });

  it('without any probe is healthy', () => {
    expect(findHealth(policyOf({}), newHealth(0), 1e9)).toMatchObject({ health: 'healthy', ready: true });
  });

  it('waits for the first success of readiness, and says what it saw', () => {
    expect(findHealth(ready, newHealth(0), 0)).toMatchObject({ health: 'starting', ready: false });
    const unready = findHealth(ready, after(ready, 'readiness', '----'), 0);
    expect(unready).toMatchObject({ health: 'starting', ready: false });
    expect(unready.reason).toContain('HTTP 503');
    expect(findHealth(ready, after(ready, 'readiness', '+'), 0)).toMatchObject({
      health: 'healthy',
      ready: true,
      reason: '',
    });
  });

  it('stays ready below the threshold, is unready at it, and never ends the process for it', () => {
    expect(findHealth(ready, after(ready, 'readiness', '+--'), 0).ready).toBe(true);
    expect(findHealth(ready, after(ready, 'readiness', '+---'), 0)).toEqual({
      health: 'unhealthy',
      ready: false,
      reason: 'not ready: HTTP 503',
      unhealthy: null,
    });
    expect(findHealth(ready, after(ready, 'readiness', '+---+'), 0).ready).toBe(true);
  });

  it('ends the process at the threshold of liveness', () => {
    const policy = policyOf({ liveness: { kind: 'probe', ...probe({ failureThreshold: 2 }) } });
    expect(findHealth(policy, after(policy, 'liveness', '+-'), 0).unhealthy).toBeNull();
    expect(findHealth(policy, after(policy, 'liveness', '+--'), 0).unhealthy).toEqual({
      probe: 'liveness',
      why: 'HTTP 503 (2 in a row)',
    });
  });

  it('asks the startup probe alone until it has succeeded, and ends the process if it does not', () => {
    const policy = policyOf({ startup: probe(), readiness: probe(), liveness: { kind: 'probe', ...probe() } });
    const young = after(policy, 'startup', '--');
    expect(probesToAsk(policy, young)).toEqual(['startup']);
    expect(findHealth(policy, young, 0)).toMatchObject({ health: 'starting', unhealthy: null });
    expect(findHealth(policy, after(policy, 'startup', '---'), 0).unhealthy?.probe).toBe('startup');
    const up = after(policy, 'startup', '--+');
    expect(probesToAsk(policy, up)).toEqual(['readiness', 'liveness']);
    expect(findHealth(policy, up, 0)).toMatchObject({ health: 'starting', ready: false });
  });

  it('keeps ready what an earlier daemon found ready', () => {
    const policy = policyOf({ startup: probe(), readiness: probe() });
    expect(findHealth(policy, newHealth(0, true), 0).ready).toBe(true);
    expect(probesToAsk(policy, newHealth(0, true))).toEqual(['readiness']);
  });
});

describe('heartbeats', () => {
  const policy = policyOf({ liveness: { kind: 'heartbeat', periodMs: 1000, initialDelayMs: 500 } });
  const beat = (state: HealthState, nowMs: number): HealthState => healthStep(policy, state, { kind: 'beat' }, nowMs);

  it('the first is owed within the initial delay and the period', () => {
    const state = newHealth(0);
    expect(silenceEndsMs(policy, state)).toBe(1500);
    expect(findHealth(policy, state, 1499).unhealthy).toBeNull();
    expect(findHealth(policy, state, 1500).unhealthy).toEqual({
      probe: 'liveness',
      why: 'no first heartbeat within 1.5 s',
    });
  });

  it('each later one within the period from the one before', () => {
    const state = beat(newHealth(0), 1400);
    expect(findHealth(policy, state, 2399).unhealthy).toBeNull();
    expect(findHealth(policy, state, 2400).unhealthy?.why).toBe('no heartbeat for 1 s');
    expect(findHealth(policy, beat(state, 2399), 3398).unhealthy).toBeNull();
  });

  it('are not owed during the startup, and for the first one time runs from its end', () => {
    const slow = policyOf({ ...policy, startup: probe() });
    expect(silenceEndsMs(slow, newHealth(0))).toBeNull();
    const up = healthStep(slow, newHealth(0), { kind: 'result', probe: 'startup', result: yes }, 9000);
    expect(silenceEndsMs(slow, up)).toBe(10_500);
  });

  it('are owed anew after a pause, and failures from before it do not count', () => {
    const both = policyOf({ ...policy, readiness: probe(), startup: probe() });
    const before = after(both, 'startup', '--', beat(newHealth(0), 100));
    const resumed = healthStep(both, before, { kind: 'continued' }, 60_000);
    expect(resumed.startup).toEqual(UNPROBED);
    expect(silenceEndsMs(policy, healthStep(policy, beat(newHealth(0), 100), { kind: 'continued' }, 60_000))).toBe(
      61_000,
    );
  });
});
