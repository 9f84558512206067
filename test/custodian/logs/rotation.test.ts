import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rotate, trimLog } from '../../../src/custodian/logs/rotation.ts';
import { createLogger } from '../../../src/custodian/logger.ts';
import { createTestHost, fixture } from '../../support/custodian.ts';
import { until } from '../../support/wait.ts';

let folder: string;
let path: string;
let lines: string[];
const log = createLogger((line) => lines.push(line));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oc-log-'));
  path = join(folder, '1.log');
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('rotate moves the content one further and drops what is too old', async () => {
  for (const text of ['first', 'second', 'third']) {
    writeFileSync(path, text);
    await rotate({ path, max_bytes: 100, keep: 2 }, log);
  }
  expect(readFileSync(path, 'utf8')).toBe('');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('third');
  expect(readFileSync(`${path}.2`, 'utf8')).toBe('second');
  expect(existsSync(`${path}.3`)).toBe(false);
  expect(statSync(`${path}.1`).mode & 0o777).toBe(0o600);
});

test('rotate keeps the file itself, as its writer has it open', async () => {
  writeFileSync(path, 'text');
  const { ino } = statSync(path);
  await rotate({ path, max_bytes: 1, keep: 1 }, log);
  expect(statSync(path).ino).toBe(ino);
});

test('rotate cuts the older part of a file that outran it, and says so', async () => {
  writeFileSync(path, 'x'.repeat(1000) + 'y'.repeat(200));
  await rotate({ path, max_bytes: 100, keep: 1 }, log);
  expect(readFileSync(`${path}.1`, 'utf8')).toBe(
    `[custodian: 1000 bytes of this log were cut here]\n${'y'.repeat(200)}`,
  );
  expect(lines.join('')).toContain('"lost_bytes":1000');
});

test('rotate with nothing to keep only cuts', async () => {
  writeFileSync(path, 'text');
  await rotate({ path, max_bytes: 1, keep: 0 }, log);
  expect(statSync(path).size).toBe(0);
  expect(existsSync(`${path}.1`)).toBe(false);
});

test('rotate follows no link', async () => {
  const target = join(folder, 'target');
  writeFileSync(target, 'untouched');
  symlinkSync(target, path);
  await expect(rotate({ path, max_bytes: 1, keep: 1 }, log)).rejects.toMatchObject({ code: 'ELOOP' });
  expect(readFileSync(target, 'utf8')).toBe('untouched');
});

test('trimLog keeps the newest part in place', () => {
  writeFileSync(path, 'x'.repeat(1000) + 'y'.repeat(100));
  trimLog({ path, max_bytes: 100, keep: 1 }, log);
  expect(readFileSync(path, 'utf8')).toBe(`[custodian: 1000 bytes of this log were cut here]\n${'y'.repeat(100)}`);
  writeFileSync(path, 'z'.repeat(200));
  trimLog({ path, max_bytes: 100, keep: 1 }, log);
  expect(statSync(path).size).toBe(200);
});

test('an agent that writes much keeps its newest lines within the limit', async () => {
  const host = await createTestHost();
  try {
    const max = 200_000;
    await host.spawn('a', 1, [process.execPath, fixture('flood.mjs'), '20000', '4'], {
      log: { max_bytes: max, keep: 2 },
    });
    const folderOfLogs = join(host.stateDir, 'logs', 'a');
    await host.exitOf('a', 1, 25_000);
    await until(() => existsSync(join(folderOfLogs, '1.log.1')), { what: 'a rotated log' });
    const newest = host.log('a', 1) || readFileSync(join(folderOfLogs, '1.log.1'), 'utf8');
    expect(newest.trim().split('\n').at(-1)).toMatch(/\.19999$/);
    for (const name of ['1.log.1', '1.log.2']) {
      if (existsSync(join(folderOfLogs, name))) expect(statSync(join(folderOfLogs, name)).size).toBeLessThan(3.2 * max);
    }
    expect(existsSync(join(folderOfLogs, '1.log.3'))).toBe(false);
  } finally {
    await host.cleanUp();
  }
});
