import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDeeperThan, unkeptNumber } from '../../src/schema/json-values.ts';

const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));

describe('isDeeperThan', () => {
  it.each([
    [1, 64, false],
    [64, 64, false],
    [65, 64, true],
    [100_000, 64, true],
    [100_000, 200_000, false],
  ])('is right about %i levels of %i', (depth, limit, deeper) => {
    expect(isDeeperThan(nested(depth), limit)).toBe(deeper);
  });

  it('counts mappings like lists, and plain values not at all', () => {
    expect([isDeeperThan('x', 0), isDeeperThan(null, 0), isDeeperThan({ a: [1] }, 1), isDeeperThan({ a: [1] }, 2)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });
});

describe('unkeptNumber', () => {
  it.each([
    ['{"id":9007199254740993}', '9007199254740993'],
    ['[1,2,-9007199254740993]', '-9007199254740993'],
    ['{"a":"\\"","b":12345678901234567890}', '12345678901234567890'],
    ['1e400', '1e400'],
    ['[-1E+999]', '-1E+999'],
    ['1e-400', '1e-400'],
    [`[${'9'.repeat(500)}]`, `${'9'.repeat(40)}…`],
  ])('finds it in %s', (text, number) => {
    expect(unkeptNumber(text)).toBe(number);
  });

  it.each([
    '{"id":9007199254740992,"x":1e21,"y":-0.5e-3}',
    '{"text":"9007199254740993 \\\\\\" 1e400"}',
    '{"9007199254740993":"\\\\"}',
    '[0e0,0.0e10,1.7976931348623157e308,100000000000000000000]',
    '{"pi":3.14159265358979323846}',
    '"unfinished 9007199254740993',
  ])('finds none in %s', (text) => {
    expect(unkeptNumber(text)).toBeUndefined();
  });

  it('finds none in what was written by JSON.stringify', () => {
    fc.assert(fc.property(fc.json(), (text) => unkeptNumber(JSON.stringify(JSON.parse(text))) === undefined));
  });
});
