import { describe, expect, it } from 'vitest';
import { lookAtCounts, QUIET_MS, type SeenCounts } from '../../../src/domain/schedules/counts.ts';

const NONE = { skipped: 0, missed: 0, dropped: 0, buffered: 0 };

describe('lookAtCounts', () => {
  it('says nothing while all calls are made', () => {
    const first = lookAtCounts('s', undefined, NONE, 0);
    expect(first.report).toBeUndefined();
    expect(lookAtCounts('s', first.seen, NONE, 1000).report).toBeUndefined();
  });

  it('tells skipped calls once, however many follow', () => {
    const first = lookAtCounts('s', { ...NONE, told: 'nothing', troubleAtMs: 0 }, { ...NONE, skipped: 2 }, 0);
    expect(first.report).toEqual({
      severity: 'warning',
      summary: 'Schedule s: 2 calls are skipped, as the one before was still under way',
      value: '2 calls are skipped, as the one before was still under way',
    });
    let { seen } = first;
    for (let n = 3; n < 50; n += 1) {
      const next = lookAtCounts('s', seen, { ...NONE, skipped: n }, n * 60_000);
      expect(next.report).toBeUndefined();
      seen = next.seen;
    }
  });

  it('tells them again after an hour without any', () => {
    const { seen } = lookAtCounts('s', undefined, { ...NONE, missed: 1 }, 0);
    const quiet = lookAtCounts('s', seen, { ...NONE, missed: 1 }, QUIET_MS);
    expect(quiet.seen.told).toBe('nothing');
    expect(lookAtCounts('s', quiet.seen, { ...NONE, missed: 2 }, QUIET_MS + 1).report?.summary).toContain(
      '1 call is missed',
    );
  });

  it('does not tell that calls wait which an operator has asked for, but that they are left out', () => {
    const waiting = lookAtCounts('s', undefined, { ...NONE, buffered: 900 }, 0, true);
    expect(waiting.report).toBeUndefined();
    expect(waiting.seen.told).toBe('waiting');
    // They wait on when the backfill is forgotten.
    expect(lookAtCounts('s', waiting.seen, { ...NONE, buffered: 800 }, 1).report).toBeUndefined();
    const dropped = lookAtCounts('s', waiting.seen, { ...NONE, buffered: 1000, dropped: 1 }, 1, true);
    expect(dropped.report?.severity).toBe('warning');
  });

  it('tells waiting calls as information, and those left out after that as a warning', () => {
    const waiting = lookAtCounts('s', undefined, { ...NONE, buffered: 3 }, 0);
    expect(waiting.report).toMatchObject({ severity: 'info', value: '3 calls are waiting for the one before to end' });
    expect(lookAtCounts('s', waiting.seen, { ...NONE, buffered: 9 }, 1).report).toBeUndefined();
    expect(lookAtCounts('s', waiting.seen, { ...NONE, buffered: 9, dropped: 1 }, 1).report).toMatchObject({
      severity: 'warning',
      value: '1 call is dropped, as too many were waiting; 9 calls are waiting for the one before to end',
    });
  });

  it('understands that a schedule made anew counts from zero', () => {
    const known: SeenCounts = { ...NONE, skipped: 7, told: 'nothing', troubleAtMs: 0 };
    expect(lookAtCounts('s', known, { ...NONE, skipped: 2 }, 0).report?.value).toContain('2 calls are skipped');
    expect(lookAtCounts('s', known, NONE, 0).report).toBeUndefined();
  });
});
