import { describe, expect, test } from 'vitest';
import { linesSince, timeOf } from '../../../src/adapters/logs/log-time.ts';

const nine = Date.parse('2026-01-31T09:00:00.250Z');

describe('timeOf', () => {
  test.for<[string, number | undefined]>([
    ['2026-01-31T09:00:00.250Z started', nine],
    ['[2026-01-31T10:00:00.250+01:00] started', nine],
    ['2026-01-31 09:00:00,250 INFO x', Date.parse('2026-01-31T09:00:00.250')],
    ['{"level":30,"time":"2026-01-31T09:00:00.250Z"}', nine],
    [`{"level":30,"time":${nine},"msg":"x"}`, nine],
    ['{"ts":"2026-01-31T09:00:00.250Z"}', nine],
    ['at 2026-01-31T09:00:00Z', undefined],
    ['2026-99-99T09:00:00Z', undefined],
    ['{"time":12}', undefined],
    ['', undefined],
  ])('%s', ([line, time]) => expect(timeOf(line)).toBe(time));
});

describe('linesSince', () => {
  const at = (minute: number): string => `2026-01-31T09:0${minute}:00Z`;
  const since = (minute: number, ...lines: string[]): string[] => linesSince(lines, Date.parse(at(minute)));

  test('cuts at the first line that is not older', () => {
    expect(since(2, `${at(1)} a`, `${at(2)} b`, `${at(3)} c`)).toEqual([`${at(2)} b`, `${at(3)} c`]);
  });
  test('a line without a time belongs to the one before it', () => {
    expect(since(2, `${at(1)} a`, '  trace of a', `${at(2)} b`, '  trace of b')).toEqual([
      `${at(2)} b`,
      '  trace of b',
    ]);
  });
  test('leaves nothing if all is older, and all if nothing tells a time', () => {
    expect(since(2, `${at(1)} a`, 'trace')).toEqual([]);
    expect(since(2, 'a', 'b')).toEqual(['a', 'b']);
  });
});
