import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineSplitter } from '../../src/domain/lines.ts';

test('createLineSplitter gives the same lines however the text is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.nat({ max: 20 })), (lines, cuts) => {
      const wanted = lines.map((line) => line.replaceAll('\n', ' '));
      let text = wanted.map((line) => `${line}\n`).join('');
      const splitter = createLineSplitter(1000);
      const got: string[] = [];
      for (const cut of cuts) {
        got.push(...splitter.push(text.slice(0, cut)));
        text = text.slice(cut);
      }
      got.push(...splitter.push(text));
      expect(got).toEqual(wanted);
    }),
  );
});

test('createLineSplitter gives up at a line that is too long, finished or not', () => {
  for (const text of ['ok\n12345', 'ok\n12345\nmore\n']) {
    const splitter = createLineSplitter(4);
    expect(splitter.push(text)).toEqual(['ok']);
    expect(splitter.overflowed).toBe(true);
    expect(splitter.push('a\n')).toEqual([]);
  }
  const exact = createLineSplitter(4);
  expect(exact.push('12')).toEqual([]);
  expect(exact.push('34\n')).toEqual(['1234']);
});
