import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost, isAlive } from '../../support/custodian.ts';
import type { TestHost } from '../../support/custodian.ts';
import { until } from '../../support/wait.ts';

const MIB = 2 ** 20;
/** A file system of its own can only be mounted by root. */
const canMount =
  process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;
if (!canMount) console.log('Skipped: a disk that runs full needs a tmpfs, which only root may mount');

let host: TestHost;
let isMounted = false;
beforeEach(async () => {
  host = await createTestHost({ isStarted: false });
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=0700', 'tmpfs', host.stateDir]).status === 0;
});
afterEach(async () => {
  if (isMounted) spawnSync('umount', ['-l', host.stateDir]);
  await host.cleanUp();
});

const logOf = (agent: string, name: string): string => join(host.stateDir, 'logs', agent, name);
const bytesOf = (path: string): number => (existsSync(path) ? statSync(path).size : -1);
const freeBytes = (): number => {
  const { bavail, bsize } = statfsSync(host.stateDir);
  return bavail * bsize;
};
const ownLog = (): string => readFileSync(join(host.stateDir, 'custodian.log'), 'utf8');
const leaveFree = (bytes: number): void => {
  writeFileSync(join(host.stateDir, 'ballast'), Buffer.alloc(freeBytes() - bytes));
};
const setMinFree = (mib: number) => host.client.request('settings', { logs: { min_free_bytes: mib * MIB } });

function oldLog(agent: string, name: string, mib: number, ageSeconds: number): string {
  const path = logOf(agent, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, Buffer.alloc(mib * MIB, 'o'));
  const at = Date.now() / 1000 - ageSeconds;
  utimesSync(path, at, at);
  return path;
}

const write = (mib: number, lines = 'sleep 1000') => ['sh', '-c', `head -c ${mib * MIB} /dev/zero; ${lines}`];

test.runIf(canMount)('a disk that runs full costs the oldest parts of logs, and nothing else', async () => {
  await host.start();
  await setMinFree(0);
  const oldest = oldLog('gone', '1.log.1', 2, 900);
  const older = oldLog('a', '1.log', 2, 600);
  const newest = oldLog('gone', '1.log', 2, 9000);
  const recent = oldLog('a', '2.log.1', 2, 60);
  // Links in a folder that agents can write to lead nowhere.
  const aim = oldLog('aim', '1.log', 1, 9000);
  symlinkSync(aim, logOf('gone', '0.log'));
  await host.spawn('a', 2, write(3), { log: { max_bytes: 10 * MIB, keep: 3 } });
  await until(() => bytesOf(logOf('a', '2.log')) === 3 * MIB, { what: 'its output' });
  leaveFree(5 * MIB);
  await setMinFree(8);
  await until(() => freeBytes() >= 8 * MIB, { what: 'room' });
  await until(() => ownLog().includes('Removed old logs'), { what: 'a word about it' });
  expect([oldest, older].filter((path) => existsSync(path))).toEqual([]);
  expect([newest, recent, logOf('a', '2.log'), aim].map((path) => bytesOf(path) / MIB)).toEqual([2, 2, 3, 1]);
  const told = ownLog()
    .split('\n')
    .find((line) => line.includes('Removed old logs'))!;
  expect(JSON.parse(told)).toMatchObject({
    removed: 2,
    oldest: [oldest, older],
    removed_bytes: 4 * MIB,
    why: 'less than 8 MiB of its disk were free',
  });
});

test.runIf(canMount)('then the largest log is cut, in place, with a line that says why', async () => {
  await host.start();
  await setMinFree(0);
  const log = { max_bytes: 16 * MIB, keep: 3 };
  const path = logOf('large', '1.log');
  const small = logOf('small', '1.log');
  const { pid } = await host.spawn(
    'large',
    1,
    write(6, 'while ! test -e go; do sleep 0.02; done; echo after; exec sleep 1000'),
    { log },
  );
  await host.spawn('small', 1, write(2), { log });
  await until(() => bytesOf(path) === 6 * MIB && bytesOf(small) === 2 * MIB, { what: 'their output' });
  const { ino } = statSync(path);
  leaveFree(3 * MIB);
  await setMinFree(8);
  await until(() => freeBytes() >= 8 * MIB, { what: 'room' });
  writeFileSync(join(host.stateDir, 'go'), '');
  await until(() => host.log('large', 1).endsWith('after\n'), { what: 'its next line' });
  expect(host.log('large', 1)).toBe(
    `[custodian: ${6 * MIB} bytes of this log were cut here: less than 8 MiB of its disk were free]\nafter\n`,
  );
  expect(statSync(path).ino).toBe(ino);
  expect(bytesOf(small)).toBe(2 * MIB);
  expect(ownLog()).toContain(`"message":"Cut a log","path":"${path}","lost_bytes":${6 * MIB}`);
  expect(isAlive(pid)).toBe(true);
});

test.runIf(canMount)('small logs stay when it is something else that fills the disk', async () => {
  await host.start();
  await host.spawn('a', 1, ['sh', '-c', 'echo kept; exec sleep 1000']);
  await until(() => host.log('a', 1) === 'kept\n', { what: 'its output' });
  leaveFree(MIB);
  await setMinFree(8);
  await until(() => ownLog().includes('not because of the logs'), { what: 'a word about it' });
  expect(host.log('a', 1)).toBe('kept\n');
  rmSync(join(host.stateDir, 'ballast'));
});
