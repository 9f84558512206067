import * as fs from 'node:fs';
import * as os from 'node:os';
import { afterEach, expect, test, vi } from 'vitest';
import { createProcessTable, isAlive, parseMarker, parseStat } from '../../../src/custodian/tree/process-table.ts';

vi.mock('node:fs', async (original) => ({ ...(await original<typeof fs>()) }));
afterEach(() => void vi.restoreAllMocks());

const line = (name: string, rest = 'S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 126086 31 3') =>
  `42 (${name}) ${rest}`;

test.each(['sleep', 'a b', ') R 9 9 9', 'x)', '(((', 'line\nbreak', ''])(
  'parseStat is not misled by the name %j',
  (name) => {
    expect(parseStat(line(name))).toEqual({
      pid: 42,
      state: 'S',
      ppid: 1,
      pgrp: 42,
      session: 42,
      threads: 3,
      start: 126086,
    });
  },
);

test('parseStat gives nothing for what is no stat', () => {
  for (const text of ['', '42', '42 (x', '42 (x) ', 'x (y) S 1']) expect(parseStat(text)).toBeUndefined();
});

test('isAlive holds a zombie for dead unless other threads run on', () => {
  const stat = parseStat(line('x'))!;
  expect(isAlive(stat)).toBe(true);
  expect(isAlive({ ...stat, state: 'Z', threads: 1 })).toBe(false);
  expect(isAlive({ ...stat, state: 'Z', threads: 2 })).toBe(true);
  expect(isAlive({ ...stat, state: 'X', threads: 0 })).toBe(false);
});

test('parseMarker finds the variable itself only', () => {
  expect(parseMarker('A=1\0OPENSTARRY_INCARNATION=a/1/x\0B=2\0')).toBe('a/1/x');
  expect(parseMarker('OPENSTARRY_INCARNATION=a/1/x\0')).toBe('a/1/x');
  expect(parseMarker('X_OPENSTARRY_INCARNATION=a/1/x\0')).toBe('');
  expect(parseMarker('A=OPENSTARRY_INCARNATION=a/1/x\0')).toBe('');
  expect(parseMarker('')).toBe('');
});

test.runIf(process.platform === 'linux')('createProcessTable reads this process', () => {
  const table = createProcessTable();
  const stat = table.stat(process.pid)!;
  expect(stat).toMatchObject({ pid: process.pid, ppid: process.ppid });
  expect(table.pids()).toContain(process.pid);
  expect(table.isProcess(process.pid)).toBe(true);
  expect(table.newestPid()).toBeGreaterThan(1);
  expect(Math.abs(table.ageMs(stat) - process.uptime() * 1000)).toBeLessThan(2000);
  expect(table.stat(2 ** 22 + 1)).toBeUndefined();
});

test.runIf(process.platform === 'linux')('createProcessTable takes no process for gone that it cannot read now', () => {
  const table = createProcessTable();
  const failing = (code: string) => () => {
    throw Object.assign(new Error(code), { code });
  };
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
    vi.spyOn(fs, 'openSync').mockImplementation(failing(code));
    expect(() => table.stat(process.pid)).toThrow(code);
    expect(() => table.marker(process.pid)).toThrow(code);
    expect(table.newestPid()).toBeUndefined();
    expect(Math.abs(table.ageMs({ start: 0 }) - os.uptime() * 1000)).toBeLessThan(5000);
  }
  // Of another user, or gone.
  for (const code of ['EACCES', 'EPERM', 'ENOENT', 'ESRCH']) {
    vi.spyOn(fs, 'openSync').mockImplementation(failing(code));
    expect(table.stat(process.pid)).toBeUndefined();
  }
});
