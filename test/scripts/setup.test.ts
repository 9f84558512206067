import { cp, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { runCommand, type CommandResult } from '../../src/daemon/run-command.ts';

interface Setup {
  unsupported(platform: string, nodeVersion: string): string | undefined;
  dependenciesStale(root: string): boolean;
}
const setup = (await import(path.join(inject('root'), 'scripts', 'setup.mjs'))) as Setup;

let clone: string;
beforeEach(async () => {
  clone = await mkdtemp(path.join(os.tmpdir(), 'openstarry-setup-'));
  await cp(path.join(inject('root'), 'scripts'), path.join(clone, 'scripts'), { recursive: true });
});
afterEach(async () => {
  await rm(clone, { recursive: true, force: true });
});

const LOCKED = {
  '': { name: 'openstarry-daemon' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/fsevents': { version: '2.0.0', integrity: 'sha512-f', optional: true, os: ['darwin'] },
};
const INSTALLED = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };

async function lock(packages: object): Promise<void> {
  await writeFile(path.join(clone, 'package-lock.json'), JSON.stringify({ packages }));
}
async function installed(packages: object): Promise<void> {
  await mkdir(path.join(clone, 'node_modules'), { recursive: true });
  await writeFile(path.join(clone, 'node_modules', '.package-lock.json'), JSON.stringify({ packages }));
}

describe('unsupported', () => {
  test.each([
    ['linux', '20.19.0'],
    ['darwin', '22.1.0'],
    ['linux', '21.0.0'],
  ])('accepts %s with Node %s', (platform, version) => expect(setup.unsupported(platform, version)).toBeUndefined());

  test.each(['18.20.4', '20.18.9'])('says what to do about Node %s', (version) => {
    expect(setup.unsupported('linux', version)).toMatch(/20\.19 or newer is needed.*Install/);
  });

  test('names WSL on Windows, whatever Node is there', () => {
    expect(setup.unsupported('win32', '22.0.0')).toContain('WSL');
  });

  test('agrees with package.json and bin', async () => {
    const root = inject('root');
    const { engines } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    expect(engines.node).toBe('>=20.19');
    expect(await readFile(path.join(root, 'bin', 'openstarry-daemon.mjs'), 'utf8')).toContain('Node 20.19 or newer');
  });
});

describe('dependenciesStale', () => {
  test('is true before the first install, and false after it', async () => {
    await lock(LOCKED);
    expect(setup.dependenciesStale(clone)).toBe(true);
    await installed(INSTALLED);
    expect(setup.dependenciesStale(clone)).toBe(false);
  });

  test.each([
    [
      'another version is locked',
      { ...LOCKED, 'node_modules/a': { version: '1.0.1', integrity: 'sha512-b' } },
      INSTALLED,
    ],
    ['a package was added', { ...LOCKED, 'node_modules/b': { version: '1.0.0' } }, INSTALLED],
    [
      'they were installed on another platform',
      LOCKED,
      { ...INSTALLED, 'node_modules/native': { version: '1.0.0', os: ['aix'] } },
    ],
    ['an install was interrupted', LOCKED, undefined],
  ])('is true when %s', async (_name, locked, present) => {
    await lock(locked);
    await mkdir(path.join(clone, 'node_modules', 'a'), { recursive: true });
    if (present !== undefined) await installed(present);
    expect(setup.dependenciesStale(clone)).toBe(true);
  });

  test('is false for this checkout, whose tests run', () => {
    expect(setup.dependenciesStale(inject('root'))).toBe(false);
  });
});

describe('setup.mjs', () => {
  /** Runs it with a stand-in for npm. */
  async function run(npm: string): Promise<CommandResult> {
    const bin = path.join(clone, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(path.join(bin, 'npm'), `#!/bin/sh\n${npm}\n`);
    await chmod(path.join(bin, 'npm'), 0o755);
    const PATH = `${bin}:${process.env['PATH'] ?? ''}`;
    return runCommand(process.execPath, [path.join(clone, 'scripts', 'setup.mjs')], { env: { ...process.env, PATH } });
  }
  const record = (): string => path.join(clone, 'node_modules', '.package-lock.json');
  const install = (): string =>
    `echo "$@" > ${clone}/call; mkdir -p ${clone}/node_modules; echo '${JSON.stringify({ packages: INSTALLED })}' > ${record()}`;

  test('installs once, with progress, and then has nothing to do', async () => {
    await lock(LOCKED);
    const first = await run(install());
    expect(first).toMatchObject({ code: 0, output: expect.stringContaining('Installing dependencies') });
    expect(await readFile(path.join(clone, 'call'), 'utf8')).toBe(
      'install --no-save --include=dev --include=optional\n',
    );
    expect(await run('exit 9')).toEqual({ code: 0, output: '' });
  });

  test('says what to do without a network, and a second try goes on', async () => {
    await lock(LOCKED);
    const failed = await run('echo "npm error code ENOTFOUND" >&2; exit 1');
    expect(failed.code).toBe(1);
    expect(failed.output).toMatch(
      /"npm install" failed \(exit code 1\):[^]*ENOTFOUND[^]*network connection.*run the same command again/,
    );
    expect(failed.output).not.toContain('    at ');
    expect((await run(install())).code).toBe(0);
  });
});
