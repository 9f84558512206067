import { describe, expect, it } from 'vitest';
import { parsePercent } from '../../src/domain/percent.ts';
import { describeBytes, parseBytes } from '../../src/domain/size.ts';

describe('parseBytes', () => {
  it.each([
    ['256MiB', 268_435_456],
    ['1.5GiB', 1_610_612_736],
    ['100MB', 100_000_000],
    ['64 KiB', 65_536],
    ['0B', 0],
    ['12kB', 12_000],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each([256, '256', '256M', 'MiB', '-1MiB', '1e3MiB', '256mib', '99999999999999TiB', null, ''])(
    'refuses %j',
    (value) => {
      expect(() => parseBytes(value)).toThrow(TypeError);
    },
  );
});

describe('describeBytes', () => {
  it.each([
    [268_435_456, '256 MiB'],
    [1_610_612_736, '1.5 GiB'],
    [1000, '1000 B'],
    [1536, '1.5 KiB'],
    [314_572_799, '300 MiB'],
  ])('%i is %s', (bytes, text) => {
    expect(describeBytes(bytes)).toBe(text);
  });
});

describe('parsePercent', () => {
  it.each([
    ['50%', 50],
    ['250 %', 250],
    ['0.5%', 0.5],
  ])('%s is %d', (text, percent) => {
    expect(parsePercent(text)).toBe(percent);
  });

  it.each([50, '50', '0%', '-5%', '%', null])('refuses %j', (value) => {
    expect(() => parsePercent(value)).toThrow(TypeError);
  });
});
