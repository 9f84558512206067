import { describe, expect, it } from 'vitest';
import { parseMoment, utcFields } from '../../../src/domain/schedules/moment.ts';
import { checkTimeZone, hasWholeHours } from '../../../src/domain/schedules/time-zone.ts';
import { warningsOf } from '../../../src/domain/schedules/warnings.ts';
import { describeWhen, whenOf } from '../../../src/domain/schedules/when.ts';

const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

describe('whenOf', () => {
  it('reads each way of saying it', () => {
    expect(whenOf({ cron: '0 9 * * *' })).toMatchObject({ kind: 'cron', cron: { count: 5 } });
    expect(whenOf({ cron: '@every 10m' })).toEqual({ kind: 'every', everyMs: 600_000, offsetMs: 0 });
    expect(whenOf({ every: '90s' })).toEqual({ kind: 'every', everyMs: 90_000, offsetMs: 0 });
    expect(whenOf({ after: '5m' })).toEqual({ kind: 'after', delayMs: 300_000 });
    expect(whenOf({ at: '2026-12-24T18:00:00Z' })).toEqual({
      kind: 'once',
      at: { kind: 'absolute', ms: Date.UTC(2026, 11, 24, 18) },
    });
  });

  it.each(['500ms', '0s', '1500ms', '10'])('refuses every: %s', (every) => {
    expect(messageOf(() => whenOf({ every }))).toMatch(/whole seconds|is no duration/);
  });

  it('is described as it was written', () => {
    expect(describeWhen({ cron: '30 9 * * *' })).toBe('30 9 * * *');
    expect(describeWhen({ every: '600s' })).toBe('every 10m');
    expect(describeWhen({ at: '2026-12-24T18:00:00Z' })).toBe('at 2026-12-24T18:00:00Z');
  });
});

describe('parseMoment', () => {
  it('takes a time with an offset, and one by the clocks of a time zone', () => {
    expect(parseMoment('2026-12-24T18:00:00+09:00')).toEqual({ kind: 'absolute', ms: Date.UTC(2026, 11, 24, 9) });
    expect(parseMoment('2026-12-24 18:30')).toEqual({
      kind: 'local',
      fields: { year: 2026, month: 12, day: 24, hour: 18, minute: 30, second: 0 },
    });
  });

  it.each([
    'tomorrow',
    '2026-02-30T00:00Z',
    '2026-13-01T00:00Z',
    '2026-12-24',
    '2026-12-24T25:00Z',
    '1999-01-01T00:00Z',
    '2026-01-01T00:00+20:00',
  ])('refuses %s', (text) => {
    expect(messageOf(() => parseMoment(text))).toMatch(/is no time|does not exist|is not within/);
  });

  it('is called at the next whole second', () => {
    expect(utcFields(Date.UTC(2026, 0, 1, 0, 0, 59, 1))).toEqual({
      year: 2026,
      month: 1,
      day: 1,
      hour: 0,
      minute: 1,
      second: 0,
    });
  });
});

describe('checkTimeZone', () => {
  it.each([
    'UTC',
    'Asia/Seoul',
    'Europe/Berlin',
    'America/Argentina/Buenos_Aires',
    'US/Eastern',
    'Asia/Calcutta',
    'Etc/GMT+3',
  ])('takes %s', (name) => expect(messageOf(() => checkTimeZone(name))).toBe('accepted'));

  it.each([
    ['asia/seoul', 'did you mean "Asia/Seoul"?'],
    ['Seoul', 'did you mean "Asia/Seoul"?'],
    ['Europe/Berln', 'a name such as "Europe/Berlin"'],
    ['+09:00', 'is no time zone'],
    ['', 'is no time zone'],
    ['../etc/passwd', 'is no time zone'],
  ])('refuses %j: %s', (name, says) => {
    expect(messageOf(() => checkTimeZone(name))).toContain(says);
  });
});

describe('hasWholeHours', () => {
  it.each([
    ['UTC', true],
    ['Europe/Berlin', true],
    ['Asia/Kolkata', false],
    ['Australia/Lord_Howe', false],
    ['Asia/Kathmandu', false],
  ])('%s: %s', (zone, has) => expect(hasWholeHours(zone, Date.UTC(2026, 5, 1))).toBe(has));
});

describe('warningsOf', () => {
  const next = [
    '2026-11-21T00:00:00.000Z',
    '2026-11-21T05:00:00.000Z',
    '2026-11-21T10:00:00.000Z',
    '2026-11-21T15:00:00.000Z',
  ];

  it('tells the next three times of six fields', () => {
    const [warning] = warningsOf(whenOf({ cron: '0 */5 * * * *' }), next, 0);
    expect(warning).toContain('Of 6 fields the last is the year');
    expect(warning).toContain(next.slice(0, 3).join(', '));
    expect(warning).not.toContain(next[3]);
    expect(warning).toContain('"0 */5 * * * * *"');
  });

  it('tells that both days must hold, and that nothing is to come', () => {
    expect(warningsOf(whenOf({ cron: '0 9 13 * fri' }), next, 0)).toEqual([expect.stringContaining('both must hold')]);
    expect(warningsOf(whenOf({ cron: '0 9 * * * 2001' }), [], 0)).toHaveLength(2);
    expect(warningsOf(whenOf({ at: '2026-01-01T00:00Z' }), [], 0)).toEqual([
      expect.stringContaining('does not call any more'),
    ]);
    expect(warningsOf(whenOf({ at: '2026-01-01T00:00Z' }), [], 1)).toEqual([]);
    expect(warningsOf(whenOf({ cron: '0 9 * * *' }), next, 0)).toEqual([]);
  });
});
