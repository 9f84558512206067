import type { Json } from '../domain/messages/message.ts';

/** Values that something between a sender and a receiver likes to damage. Each must come out as it went in. */
export const DIFFICULT_VALUES: { name: string; value: Json }[] = [
  { name: 'the empty ones', value: ['', 0, false, null, [], {}] },
  { name: 'null', value: null },
  { name: 'an empty string', value: '' },
  { name: 'lone surrogates', value: { high: '\ud800', low: '\udc00', turned: '\udc00\ud800', key: { '\ud800': 1 } } },
  { name: 'NUL and other control characters', value: { text: 'a\0b\u0001\u001f\u007f\u2028\r\n', 'k\0ey': '\0' } },
  { name: '__proto__ as a name', value: JSON.parse('{"a":{"__proto__":{"polluted":true},"constructor":1}}') as Json },
  { name: 'big and small numbers', value: [1e308, 5e-324, 2 ** 53 + 2, -1e21, 0.1, 1e-7, 2 ** 53, -1] },
  { name: 'names that look like numbers, out of order', value: { b: 1, 10: 2, 9: 3, a: 4 } },
  { name: 'text beyond the basic plane, and not normalised', value: '\u{1f680} e\u0301 \u00e9 \ufeff \u202e' },
  { name: 'JSON as text', value: '{"a":"\\u0000\\\\"}' },
  { name: '64 levels', value: nested(64) },
  { name: '256 KiB', value: 'x'.repeat(256 * 1024 - 2) },
  { name: '256 KiB of short values', value: Array.from({ length: 40_000 }, (_, n) => n % 97) },
];

function nested(levels: number): Json {
  let value: Json = 'bottom';
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}
