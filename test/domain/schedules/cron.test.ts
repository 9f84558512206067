import { describe, expect, it } from 'vitest';
import { isHourly, parseCron, type CronFields } from '../../../src/domain/schedules/cron.ts';

const messageOf = (text: string): string => {
  try {
    parseCron(text);
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

describe('isHourly', () => {
  it.each([
    ['*/5 * * * *', true],
    ['0 * * * *', true],
    ['*/10 * * * * * *', true],
    ['0 */2 * * *', false],
    ['0 * 1 * *', false],
    ['0 * * * * 2027', false],
  ])('%j: %s', (text, is) => expect(isHourly(parseCron(text) as CronFields)).toBe(is));
});

describe('parseCron', () => {
  it.each([
    ['*/5 * * * *', 5],
    ['0 9 * * mon-fri', 5],
    ['30 9 1,15 jan-mar 1-5', 5],
    ['0 0 * * 7', 5],
    ['0 9 * * SUN', 5],
    ['0 9 * december we', 5],
    ['5/15 * * * *', 5],
    ['1-30/7,45 0-23/2 * * *', 5],
    ['  0   9 * * *  ', 5],
    ['0 9 * * * 2027', 6],
    ['0 9 * * * 2027-2030/2', 6],
    ['*/10 * * * * * *', 7],
    ['@daily', 5],
    ['@hourly', 5],
    ['@annually', 5],
  ])('takes %j for %i fields', (text, count) => {
    expect(parseCron(text)).toMatchObject({ kind: 'fields', count });
  });

  it('knows which values match', () => {
    const cron = parseCron('0 9 1-31/10 feb,APR 5-7 2026,2028') as CronFields;
    expect(cron).toMatchObject({
      daysOfMonth: [1, 11, 21, 31],
      months: [2, 4],
      daysOfWeek: [0, 5, 6],
      years: [2026, 2028],
    });
    expect(parseCron('0 9 * * *')).toMatchObject({
      hours: [9],
      daysOfMonth: null,
      months: null,
      daysOfWeek: null,
      years: null,
    });
  });

  it.each([
    ['@every 10m', 600_000, 0],
    ['@every 1h30m', 5_400_000, 0],
    ['@every 1.5h', 5_400_000, 0],
    ['@every 24h/6h', 86_400_000, 21_600_000],
    ['@every 1d', 86_400_000, 0],
    ['@every 1500ms500ms', 2000, 0],
  ])('takes %j for an interval', (text, everyMs, offsetMs) => {
    expect(parseCron(text)).toEqual({ kind: 'interval', everyMs, offsetMs });
  });

  it.each([
    ['', 'it has 0 fields, and 5 are needed'],
    ['hello', 'it has 1 field, and 5 are needed'],
    ['* * * *', 'it has 4 fields'],
    ['* * * * * * * *', 'it has 8 fields'],
    ['60 * * * *', 'the minute "60" is not within 0-59; one is "*/5"'],
    ['0 24 * * *', 'the hour "24" is not within 0-23; one is "9-17"'],
    ['0 9 0 * *', 'the day of the month "0" is not within 1-31; one is "1,15"'],
    ['0 9 * 13 *', 'the month "13" is not within 1-12 or a name such as feb; one is "jan-mar"'],
    ['0 9 * * 8', 'the day of the week "8" is not within 0-7 or a name such as mon; one is "mon-fri"'],
    ['0 9 * * fri-mon', 'the day of the week "fri-mon" ends before it begins'],
    ['0 9 * * m', 'the day of the week "m" is not within'],
    ['*/0 * * * *', 'the minute "*/0" has no step of at least 1'],
    ['5/ * * * *', 'the minute "5/" has no step'],
    ['5/2/2 * * * *', 'the minute "5/2/2" has more than one step'],
    ['1-2-3 * * * *', 'the minute "1-2-3" has more than one hyphen'],
    ['1,,2 * * * *', 'the minute "" is not within 0-59'],
    ['+5 * * * *', 'the minute "+5" is not within'],
    ['0 9 ? * *', 'the day of the month "?" has ?, L or W, which are not supported'],
    ['0 9 L * *', 'the day of the month "L" has ?, L or W'],
    ['0 9 15W * *', 'the day of the month "15W" has ?, L or W'],
    ['0 9 * * 1#2', 'for the second Monday write "0 9 8-14 * mon"'],
    ['0 9 30 2 *', 'the day of the month "30" never comes in february; one that does is "28"'],
    ['0 9 31 4,6 *', 'never comes in april, june'],
    ['0 9 * * * 1999', 'the year "1999" is not within 2000-2100; one is "2027"; of 6 fields the last is the year'],
    [
      '*/10 30 9 * * 1-5',
      'of 6 fields the last is the year: with the second in front write all 7, such as "*/10 30 9 * * 1-5 *"',
    ],
    ['CRON_TZ=Asia/Seoul 0 9 * * *', 'a time zone stands in `timezone`'],
    ['@dayly', '"@dayly" is none of @yearly'],
    ['@every', 'after @every stands a duration of whole seconds'],
    ['@every 500ms', 'at least 1s'],
    ['@every 1500ms', 'whole seconds'],
    ['@every 10', 'after @every stands a duration'],
    ['@every 1h/2h', 'the offset after / must be shorter'],
    [`${'1,'.repeat(150)}1 * * * *`, 'the limit is 200'],
  ])('refuses %j: %s', (text, says) => {
    expect(messageOf(text)).toContain(says);
  });

  it('takes February 29, which comes every four years', () => {
    expect(parseCron('0 0 29 2 *')).toMatchObject({ daysOfMonth: [29], months: [2] });
  });
});
