import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeClock, describeQuiet, parseClock, quietUntil } from '../../../src/domain/incidents/quiet-hours.ts';

const MINUTE = 60_000;

function until(start: string, end: string, timezone: string, now: string): string | null {
  const quiet = { startMinute: parseClock(start)!, endMinute: parseClock(end)!, timezone };
  const ms = quietUntil(quiet, Date.parse(now));
  return ms === null ? null : new Date(ms).toISOString();
}

describe('quietUntil', () => {
  it.each([
    ['before them', '2026-11-20T13:59:59.999Z', null],
    ['as they begin', '2026-11-20T14:00:00.000Z', '2026-11-20T23:00:00.000Z'],
    ['after midnight', '2026-11-20T16:30:12.345Z', '2026-11-20T23:00:00.000Z'],
    ['a moment before their end', '2026-11-20T22:59:59.999Z', '2026-11-20T23:00:00.000Z'],
    ['at their end', '2026-11-20T23:00:00.000Z', null],
  ])('across midnight, %s', (_when, now, end) => {
    expect(until('23:00', '08:00', 'Asia/Seoul', now)).toBe(end);
  });

  it('within a day', () => {
    expect(until('12:00', '13:30', 'UTC', '2026-01-01T12:15:00Z')).toBe('2026-01-01T13:30:00.000Z');
    expect(until('12:00', '13:30', 'UTC', '2026-01-01T11:59:00Z')).toBeNull();
    expect(until('12:00', '13:30', 'Asia/Kolkata', '2026-01-01T07:00:00Z')).toBe('2026-01-01T08:00:00.000Z');
  });

  it('is shorter in the night that loses an hour', () => {
    // Berlin, 29 March 2026: after 01:59 comes 03:00.
    expect(until('23:00', '08:00', 'Europe/Berlin', '2026-03-28T22:00:00Z')).toBe('2026-03-29T06:00:00.000Z');
    // An end that never comes is where the clock jumps over it.
    expect(until('23:00', '02:30', 'Europe/Berlin', '2026-03-29T00:30:00Z')).toBe('2026-03-29T01:00:00.000Z');
    expect(until('02:00', '03:00', 'Europe/Berlin', '2026-03-29T01:00:00Z')).toBeNull();
  });

  it('is longer in the night that has an hour twice', () => {
    // Berlin, 25 October 2026: after 02:59 comes 02:00.
    expect(until('23:00', '08:00', 'Europe/Berlin', '2026-10-24T21:00:00Z')).toBe('2026-10-25T07:00:00.000Z');
    expect(until('01:00', '02:30', 'Europe/Berlin', '2026-10-24T23:30:00Z')).toBe('2026-10-25T00:30:00.000Z');
    expect(until('01:00', '02:30', 'Europe/Berlin', '2026-10-25T01:10:00Z')).toBe('2026-10-25T01:30:00.000Z');
  });

  it('follows zones whose clock changes by half an hour', () => {
    // Lord Howe, 4 October 2026: after 01:59 comes 02:30.
    expect(until('01:00', '02:15', 'Australia/Lord_Howe', '2026-10-03T15:00:00Z')).toBe('2026-10-03T15:30:00.000Z');
  });

  const zones = ['UTC', 'Asia/Seoul', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'];
  const quiet = fc
    .record({ startMinute: fc.nat(1439), endMinute: fc.nat(1439), timezone: fc.constantFrom(...zones) })
    .filter(({ startMinute, endMinute }) => startMinute !== endMinute);
  const moment = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2030, 0, 1) });

  it('ends: all is quiet until then, and nothing is at it', () => {
    fc.assert(
      fc.property(quiet, moment, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (hours, now, part) => {
        const end = quietUntil(hours, now);
        if (end === null) return;
        expect(end).toBeGreaterThan(now);
        expect(end - now).toBeLessThanOrEqual(26 * 60 * MINUTE);
        expect(quietUntil(hours, end)).toBeNull();
        expect(quietUntil(hours, Math.min(end - 1, Math.floor(now + part * (end - now))))).toBe(end);
      }),
      { numRuns: 200 },
    );
  });
});

describe('parseClock', () => {
  it.each([
    ['23:00', 1380],
    ['8:05', 485],
    ['00:00', 0],
    ['24:00', undefined],
    ['8', undefined],
    ['08:60', undefined],
  ])('%s', (text, minute) => {
    expect(parseClock(text)).toBe(minute);
  });

  it('is the inverse of describeClock', () => {
    for (let minute = 0; minute < 1440; minute += 1) expect(parseClock(describeClock(minute))).toBe(minute);
    expect(describeQuiet({ startMinute: 1380, endMinute: 480, timezone: 'UTC' })).toBe('23:00 to 08:00 UTC');
  });
});
