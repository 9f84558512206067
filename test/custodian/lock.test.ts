import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../src/custodian/lock.ts';
import type { ProcessTable } from '../../src/custodian/tree/process-table.ts';
import { createTestHost, custodianBundle } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { startCustodian } from '../../src/host/custodian-client.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost({ isStarted: false });
});
afterEach(() => host.cleanUp());

function run(stateDir: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [custodianBundle(), '--state-dir', stateDir], {
      env: host.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
    child.on('close', (code) => resolve({ code, output }));
  });
}

test('a second custodian ends with code 75 and names the first, by any path', async () => {
  await host.start();
  const link = join(host.stateDir, '..', 'link');
  symlinkSync(host.stateDir, link);
  for (const path of [host.stateDir, link]) {
    const { code, output } = await run(path);
    expect(code).toBe(75);
    expect(output).toContain(`pid ${host.pid}`);
  }
});

test('twenty starts at the same time leave one custodian', async () => {
  const started = await Promise.all(
    Array.from({ length: 20 }, () =>
      startCustodian(host.stateDir, custodianBundle(), { ...host.startOptions, deadlineMs: 25_000 }),
    ),
  );
  const pids = new Set(started.map(({ pid }) => pid));
  expect(pids.size).toBe(1);
  const log = readFileSync(join(host.stateDir, 'custodian.log'), 'utf8');
  expect(log.match(/The custodian is ready/g)).toHaveLength(1);
});

test('where a file is the lock, one that is left behind goes to one of those who find it', async () => {
  mkdirSync(host.stateDir, { recursive: true });
  /** All are this process, told apart by their start. What is asked first is one's own. */
  const take = (...starts: (number | (() => number))[]) => {
    const next = () => (starts.length > 1 ? starts.shift() : starts[0]);
    const stat = () => {
      const start = next();
      return { start: typeof start === 'function' ? start() : start };
    };
    return takeLock(host.stateDir, { stat } as unknown as ProcessTable, 'darwin');
  };
  expect(await take(1)).toMatchObject({ kind: 'held' });
  expect(await take(2, 1)).toEqual({ kind: 'taken', holder: `pid ${process.pid}` });
  let faster: ReturnType<typeof take> | undefined;
  const isFaster = () => {
    faster ??= take(3);
    return 3;
  };
  expect(await take(4, isFaster, 3)).toEqual({ kind: 'taken', holder: `pid ${process.pid}` });
  const lock = await faster;
  expect(lock).toMatchObject({ kind: 'held' });
  if (lock?.kind === 'held') lock.release();
  expect(await take(4)).toMatchObject({ kind: 'held' });
  expect(readdirSync(host.stateDir).filter((name) => name.startsWith('custodian.lock'))).toHaveLength(1);
});
