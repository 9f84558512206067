import { describe, expect, it } from 'vitest';
import { countCalls } from '../../../src/domain/schedules/call-count.ts';
import { whenOf, type WhenInput } from '../../../src/domain/schedules/when.ts';

const count = (input: WhenInput, from: string, to: string, limit = 10_000, timezone = 'UTC'): number =>
  countCalls(whenOf(input), { fromMs: Date.parse(from), toMs: Date.parse(to), timezone }, limit);

describe('countCalls', () => {
  it.each<[WhenInput, string, string, number]>([
    [{ cron: '0 * * * *' }, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 25],
    [{ cron: '0 * * * *' }, '2026-01-01T00:30:00Z', '2026-01-01T02:30:00Z', 2],
    [{ cron: '*/15 9-10 * * mon-fri' }, '2026-01-01T00:00:00Z', '2026-01-08T00:00:00Z', 8 * 5],
    [{ cron: '0 9 8-14 * mon' }, '2026-01-01T00:00:00Z', '2026-12-31T00:00:00Z', 12],
    [{ cron: '0 0 29 2 *' }, '2026-01-01T00:00:00Z', '2036-01-01T00:00:00Z', 2],
    [{ cron: '0 12 * * * 2027' }, '2026-01-01T00:00:00Z', '2029-01-01T00:00:00Z', 365],
    [{ cron: '*/10 * * * * * *' }, '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z', 7],
    [{ cron: '@daily' }, '2026-01-01T00:00:01Z', '2026-01-01T23:00:00Z', 0],
    [{ every: '10m' }, '2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z', 7],
    [{ cron: '@every 24h/6h' }, '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 1],
    [{ every: '2h' }, '2026-01-01T00:30:00Z', '2026-01-01T01:30:00Z', 0],
    [{ at: '2026-01-01T00:00:00Z' }, '2020-01-01T00:00:00Z', '2026-01-01T01:30:00Z', 1],
  ])('%j from %s to %s: %i', (input, from, to, wanted) => expect(count(input, from, to)).toBe(wanted));

  it('counts by the clocks of the time zone', () => {
    // 9:00 in Seoul is midnight in UTC.
    const range = ['2026-01-01T23:00:00Z', '2026-01-02T01:00:00Z'] as const;
    expect(count({ cron: '0 9 * * *' }, ...range, 10, 'Asia/Seoul')).toBe(1);
    expect(count({ cron: '0 9 * * *' }, ...range, 10)).toBe(0);
  });

  it('does not count on above the limit', () => {
    const seen = count({ cron: '* * * * * * *' }, '2000-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 100);
    expect(seen).toBe(86_400);
    expect(count({ cron: '0 * * * *' }, '2000-01-01T00:00:00Z', '2026-01-01T00:00:00Z')).toBeLessThan(10_050);
  });
});
