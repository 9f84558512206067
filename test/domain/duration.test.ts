import { describe, expect, it } from 'vitest';
import { parseDurationMs } from '../../src/domain/duration.ts';

describe('parseDurationMs', () => {
  it.each([
    ['500ms', 500],
    ['0ms', 0],
    ['5s', 5000],
    ['1.001s', 1001],
    ['1.5h', 5_400_000],
    ['10m', 600_000],
    ['30d', 2_592_000_000],
    ['3650d', 315_360_000_000],
    ['0', 0],
    [0, 0],
  ])('reads %j as %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each([
    5,
    -1,
    Number.NaN,
    '',
    '5',
    '-5s',
    '5 s',
    '5S',
    '5sec',
    '1h30m',
    '5s ',
    '\n5s',
    '.5s',
    '1e3s',
    '٣s',
    null,
    undefined,
    {},
    ['5s'],
    true,
  ])('refuses %j, telling the forms that it accepts', (value) => {
    expect(() => parseDurationMs(value)).toThrow(/"500ms", "5s" or "1\.5h"/);
  });

  it('tells the value that it refuses, shortened', () => {
    expect(() => parseDurationMs('5 sec')).toThrow('"5 sec" is no duration');
    expect(() => parseDurationMs(5)).toThrow('5 (a number) is no duration');
    expect(() => parseDurationMs('x'.repeat(1000))).toThrow(/^.{0,200}$/);
  });

  it('refuses what is finer than a millisecond, or longer than 3650 days', () => {
    expect(() => parseDurationMs('0.5ms')).toThrow('finer than a millisecond');
    expect(() => parseDurationMs('3651d')).toThrow('longer than the limit of 3650d');
    expect(() => parseDurationMs('999999999999999d')).toThrow('limit');
  });
});
