import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Context } from '../../src/custodian/context.ts';
import type { Incarnation } from '../../src/custodian/incarnation.ts';
import { createWatch } from '../../src/custodian/watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('an adopted process that stays a zombie is noticed within half a second, which leaves the other half for the rest', () => {
  const { pid } = process; // its number exists, which is all that a look in between asks
  const incarnation = { agent: 'a', pid, start: 7 } as Incarnation;
  let state = 'S';
  const context = {
    incarnations: new Map([['a', incarnation]]),
    table: { tree: 'group-only', stat: () => ({ pid, start: 7, state, threads: 1 }) },
  } as unknown as Context;
  const gone = vi.fn();
  createWatch(context, { gone, scanned: () => {} }).wake();
  vi.advanceTimersByTime(1010);
  expect(gone).not.toHaveBeenCalled();
  state = 'Z';
  vi.advanceTimersByTime(500);
  expect(gone).toHaveBeenCalledWith(incarnation);
});
