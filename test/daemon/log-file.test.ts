import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logFile } from '../../src/daemon/log-file.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(path.join(os.tmpdir(), 'openstarry-log-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('logFile appends lines, for nobody else to read', () => {
  const file = path.join(folder, 'daemon.log');
  logFile(file).write('one\n');
  logFile(file).write('two\n');
  expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test.runIf(process.platform === 'linux')('logFile drops what a full disk does not take, and goes on', () => {
  const log = logFile('/dev/full');
  log.write('one\n');
  expect(() => log.write('two\n')).not.toThrow();
});
