import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureSocketFolder, reachableSocketPathOf, socketPathOf } from '../../src/custodian/address.ts';

let folder: string;
let stateDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oc-a-'));
  stateDir = join(folder, 'state');
  mkdirSync(stateDir);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('socketPathOf is the same by every path to a state directory', () => {
  symlinkSync(stateDir, join(folder, 'link'));
  const env = { XDG_RUNTIME_DIR: folder };
  expect(socketPathOf(join(folder, 'link'), env)).toBe(socketPathOf(stateDir, env));
  expect(socketPathOf(folder, env)).not.toBe(socketPathOf(stateDir, env));
});

test('socketPathOf uses a folder of the user in the temp directory where there is no runtime directory', () => {
  for (const env of [{}, { XDG_RUNTIME_DIR: 'relative' }, { XDG_RUNTIME_DIR: join(folder, 'missing') }]) {
    expect(dirname(socketPathOf(stateDir, env))).toBe(join(tmpdir(), `openstarry-${process.getuid?.()}`));
  }
});

test('socketPathOf refuses a path that Node would cut, and names the way out', () => {
  const long = join(folder, 'x'.repeat(90));
  mkdirSync(long);
  expect(() => socketPathOf(stateDir, { XDG_RUNTIME_DIR: long })).toThrow(/at most 100 work: set XDG_RUNTIME_DIR/);
});

test('ensureSocketFolder closes its folder to others', () => {
  const path = join(folder, 'run', 's.sock');
  mkdirSync(dirname(path));
  chmodSync(dirname(path), 0o777);
  ensureSocketFolder(path);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
});

test('ensureSocketFolder refuses a link in place of its folder', () => {
  mkdirSync(join(folder, 'target'));
  symlinkSync(join(folder, 'target'), join(folder, 'run'));
  expect(() => ensureSocketFolder(join(folder, 'run', 's.sock'))).toThrow(/is not a directory/);
});

test.runIf(process.getuid?.() === 0)('a folder of another user is refused on both sides', () => {
  const run = join(folder, 'run');
  mkdirSync(run);
  chownSync(run, 12345, 12345);
  writeFileSync(join(stateDir, 'custodian.json'), JSON.stringify({ socket: join(run, 's.sock') }));
  expect(() => ensureSocketFolder(join(run, 's.sock'))).toThrow(/belongs to uid 12345, not to 0/);
  expect(() => reachableSocketPathOf(stateDir)).toThrow(/belongs to uid 12345/);
});
