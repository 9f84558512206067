import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  describeOverrun,
  sampled,
  WITHIN_LIMITS,
  type LimitPolicy,
  type LimitState,
  type Overrun,
} from '../../src/domain/limits.ts';

const policyOf = (own: Partial<LimitPolicy> = {}): LimitPolicy => ({
  memoryBytes: null,
  cpuPercent: 50,
  forMs: 10_000,
  action: 'restart',
  ...own,
});

/** CPU samples, one every `everyMs`. @returns the time of each overrun */
function overrunsOf(policy: LimitPolicy, percents: number[], everyMs = 2000): { atMs: number; overrun: Overrun }[] {
  let state: LimitState = WITHIN_LIMITS;
  return percents.flatMap((cpu_percent, n) => {
    const step = sampled(policy, state, { cpu_percent, memory_bytes: 0 }, n * everyMs);
    state = step.state;
    return step.overrun === null ? [] : [{ atMs: n * everyMs, overrun: step.overrun }];
  });
}

describe('sampled', () => {
  it('bears what is over the limit for a shorter time', () => {
    expect(overrunsOf(policyOf(), [99, 99, 99, 99, 99, 10, 99, 99, 99, 99, 99])).toEqual([]);
  });

  it('tells an overrun once every sample of the time was over', () => {
    const [first] = overrunsOf(policyOf(), [10, 99, 99, 99, 99, 99, 99]);
    expect(first).toEqual({ atMs: 12_000, overrun: { resource: 'cpu', value: 99, limit: 50, for_ms: 10_000 } });
  });

  it('the limit itself is allowed', () => {
    expect(overrunsOf(policyOf({ forMs: 0 }), [50, 50])).toEqual([]);
  });

  it('with no time to bear acts at the first sample', () => {
    expect(overrunsOf(policyOf({ forMs: 0 }), [51])).toHaveLength(1);
  });

  it('goes on asking for an end until it has come', () => {
    expect(overrunsOf(policyOf({ forMs: 0 }), [99, 99, 99])).toHaveLength(3);
  });

  it('notifies once each time', () => {
    const policy = policyOf({ forMs: 0, action: 'notify' });
    expect(overrunsOf(policy, [99, 99, 99, 10, 99, 99]).map(({ atMs }) => atMs)).toEqual([0, 8000]);
  });

  it('looks at memory too', () => {
    const policy = policyOf({ cpuPercent: null, memoryBytes: 1024 ** 2, forMs: 0 });
    const { overrun } = sampled(policy, WITHIN_LIMITS, { cpu_percent: 400, memory_bytes: 3 * 1024 ** 2 }, 0);
    expect(overrun && describeOverrun(overrun)).toBe('memory 3 MiB, over its limit of 1 MiB');
  });

  it('never acts within the time that is borne, whatever the samples', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 40 }), (percents) => {
        for (const { atMs, overrun } of overrunsOf(policyOf(), percents)) {
          const window = percents.slice(atMs / 2000 - 5, atMs / 2000 + 1);
          expect(window).toHaveLength(6);
          expect(Math.min(...window)).toBeGreaterThan(50);
          expect(overrun.for_ms).toBeGreaterThanOrEqual(10_000);
        }
      }),
    );
  });
});

describe('describeOverrun', () => {
  it('names value, limit and time', () => {
    const overrun: Overrun = { resource: 'cpu', value: 97.4, limit: 50, for_ms: 10_200 };
    expect(describeOverrun(overrun)).toBe('cpu 97%, over its limit of 50% for 10.2 s');
  });
});
