import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Incarnation } from '../../../src/custodian/incarnation.ts';
import { createLogger } from '../../../src/custodian/logger.ts';
import { createStuck } from '../../../src/custodian/tree/stuck.ts';
import type { Tree } from '../../../src/custodian/tree/tree.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

test('createStuck tells of a survivor after 2 s and then each 30 s, with its kernel state', () => {
  const events: unknown[] = [];
  const survivor = { pid: 7, state: 'D', ppid: 1, pgrp: 7, session: 7, threads: 1, start: 1 };
  const tree = { members: () => [survivor] } as unknown as Tree;
  const stuck = createStuck(
    tree,
    (event, data) => events.push({ event, data }),
    createLogger(() => {}),
  );
  const incarnation = { agent: 'a', key: 'a/3', record: { generation: 3 } } as unknown as Incarnation;
  stuck.check(incarnation);
  vi.advanceTimersByTime(1999);
  stuck.check(incarnation);
  expect(events).toEqual([]);
  vi.advanceTimersByTime(1);
  stuck.check(incarnation);
  expect(events).toEqual([{ event: 'stuck', data: { agent: 'a', generation: 3, pid: 7, kernel_state: 'D' } }]);
  vi.advanceTimersByTime(29_999);
  stuck.check(incarnation);
  expect(events).toHaveLength(1);
  vi.advanceTimersByTime(1);
  stuck.check(incarnation);
  expect(events).toHaveLength(2);
});
