import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/trust/canonical-json.ts';

describe('canonicalJson', () => {
  it('sorts keys at every level and keeps the order of arrays', () => {
    expect(canonicalJson({ b: [2, 1, { d: null, c: true }], a: 'x' })).toBe('{"a":"x","b":[2,1,{"c":true,"d":null}]}');
  });

  it('is the same before and after a trip through JSON, in any order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'medium' }), (value) => {
        const reversed = reverseKeys(value);
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
        expect(canonicalJson(JSON.parse(JSON.stringify(value)))).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('differs where values differ', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const same =
          JSON.stringify(reverseKeys(JSON.parse(canonicalJson(a)))) ===
          JSON.stringify(reverseKeys(JSON.parse(canonicalJson(b))));
        expect(canonicalJson(a) === canonicalJson(b)).toBe(same);
      }),
    );
  });

  it('keeps an own key __proto__, NUL and lone surrogates', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":{"a":1}}'))).toBe('{"__proto__":{"a":1}}');
    expect(canonicalJson('\0\ud800')).toBe('"\\u0000\\ud800"');
  });

  it('leaves out undefined properties and writes -0 as 0', () => {
    expect(canonicalJson({ a: undefined, b: -0 })).toBe('{"b":0}');
  });

  it('takes plain objects of another realm', () => {
    expect(canonicalJson(runInNewContext('({ b: [1], a: { c: 2 } })'))).toBe('{"a":{"c":2},"b":[1]}');
  });

  it.each([
    ['NaN', { a: [0, Number.NaN] }, 'a.1 cannot be written as JSON: NaN'],
    ['Infinity', Number.POSITIVE_INFINITY, 'The value cannot be written as JSON: Infinity'],
    ['a function', { f: () => 1 }, 'f cannot be written as JSON: function'],
    ['a bigint', { n: 1n }, 'n cannot be written as JSON: bigint'],
    ['undefined in an array', [undefined], '0 cannot be written as JSON: undefined'],
    ['a Date', { at: new Date(0) }, 'at cannot be written as JSON: an instance of Date'],
    ['a Map', new Map(), 'The value cannot be written as JSON: an instance of Map'],
  ])('refuses %s, naming its path', (_, value, message) => {
    expect(() => canonicalJson(value)).toThrow(message);
  });

  it('refuses a cycle', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    expect(() => canonicalJson(cycle)).toThrow('nesting deeper than 64');
  });
});

function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (value === null || typeof value !== 'object') return value;
  const result = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).toReversed()) result[key] = reverseKeys((value as Record<string, unknown>)[key]);
  return result;
}
