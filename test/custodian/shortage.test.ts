import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCustodian } from '../../src/custodian/custodian.ts';
import type { Custodian } from '../../src/custodian/custodian.ts';
import { openJournal } from '../../src/custodian/journal/journal.ts';
import type { Journal } from '../../src/custodian/journal/journal.ts';
import { createLogger } from '../../src/custodian/logger.ts';
import { createProcessTable } from '../../src/custodian/tree/process-table.ts';
import type { ProcessTable } from '../../src/custodian/tree/process-table.ts';
import { until } from '../support/wait.ts';

/** The custodian within this process, with the real process table of a machine that runs out of descriptors at times. */
const real = createProcessTable();
let folder: string;
let journal: Journal;
let custodian: Custodian;
let lines: string[];
let exits: { agent: string; exit: { signal: string | null } }[];
/** How many of the next reads fail. */
let failing: { pids: number; stat: number };

const shortage = () => Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
const failsNow = (what: 'pids' | 'stat'): boolean => {
  if (failing[what] === 0) return false;
  failing[what] -= 1;
  return true;
};
const table: ProcessTable = {
  ...real,
  newestPid: () => (failing.pids > 0 ? undefined : real.newestPid()),
  pids() {
    if (failsNow('pids')) throw shortage();
    return real.pids();
  },
  stat(pid) {
    if (failsNow('stat')) throw shortage();
    return real.stat(pid);
  },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oc-shortage-'));
  mkdirSync(join(folder, 'logs'));
  lines = [];
  exits = [];
  failing = { pids: 0, stat: 0 };
  const log = createLogger((line) => lines.push(line));
  const opened = { at: new Date().toISOString(), pid: process.pid, boot: real.bootId, ns: real.pidNamespace };
  journal = openJournal(join(folder, 'custody.journal'), { kind: 'opened', ...opened }, log);
  custodian = createCustodian({
    stateDir: folder,
    table,
    journal,
    log,
    emit: (_, data) => void ('exit' in data && exits.push(data)),
  });
});
afterEach(async () => {
  failing = { pids: 0, stat: 0 };
  await custodian.stopAll(0);
  custodian.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (agent: string) =>
  custodian.spawn({
    agent,
    generation: 1,
    command: ['sleep', '1000'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    cwd: folder,
    log: { max_bytes: 1_000_000, keep: 1 },
  });
const stop = (agent: string, graceMs: number) =>
  custodian.stop({ agent, generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: graceMs });
const exitOf = (agent: string) =>
  until(() => exits.find((one) => one.agent === agent)?.exit, { what: `the end of ${agent}`, deadlineMs: 5000 });

test('an exit is recorded although the first look at what is left fails', async () => {
  const { pid } = await start('a');
  failing.pids = 3;
  process.kill(pid, 'SIGKILL');
  expect(await exitOf('a')).toMatchObject({ signal: 'SIGKILL', cause: 'self' });
  expect(lines.filter((line) => line.includes('EMFILE'))).toHaveLength(1);
});

test('a stop without grace kills although the first look fails', async () => {
  await start('a');
  failing.pids = 2;
  await stop('a', 0);
  expect(await exitOf('a')).toMatchObject({ signal: 'SIGKILL', cause: 'operator' });
});

test('a stop is told to its process although that cannot be read at first', async () => {
  await start('a');
  failing.stat = 2;
  await stop('a', 600_000);
  expect(await exitOf('a')).toMatchObject({ signal: 'SIGTERM', cause: 'operator' });
});

test('a stop of what is paused is carried out although the first look fails', async () => {
  await start('a');
  await custodian.pause({ agent: 'a', generation: 1 });
  failing = { pids: 1, stat: 1 };
  await stop('a', 600_000);
  expect(await exitOf('a')).toMatchObject({ signal: 'SIGTERM', cause: 'operator' });
});

test('what is paused stays so, and can be resumed, if the look at it fails', async () => {
  const { pid } = await start('a');
  await custodian.pause({ agent: 'a', generation: 1 });
  failing.stat = 1000;
  await expect(custodian.resume({ agent: 'a', generation: 1 })).rejects.toThrow('EMFILE');
  failing.stat = 0;
  expect(real.stat(pid)?.state).toBe('T');
  await custodian.resume({ agent: 'a', generation: 1 });
  await until(() => real.stat(pid)?.state === 'S', { what: 'that it goes on' });
});

test('what is started and cannot be read is killed, as nobody could stop it later', async () => {
  failing.stat = 1e6;
  await start('a');
  failing.stat = 0;
  expect(await exitOf('a')).toMatchObject({ signal: 'SIGKILL', cause: 'self' });
});

test('an adopted process that cannot be read is not gone', async () => {
  const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  const pid = child.pid!;
  const at = new Date().toISOString();
  const live = {
    ...{ generation: 1, nonce: 'n', pid, start: real.stat(pid)!.start, boot: real.bootId, ns: real.pidNamespace, at },
    log: { path: join(folder, 'logs', '1.log'), max_bytes: 1_000_000, keep: 1 },
    stop: { signal: 'SIGTERM', grace_ms: 1000 },
  };
  journal.append({ kind: 'live', agent: 'a', live });
  custodian.recover();
  failing = { pids: 1e6, stat: 1e6 };
  await until(() => failing.stat < 1e6 - 1, { what: 'looks at it', deadlineMs: 5000 });
  failing = { pids: 0, stat: 0 };
  expect(exits).toEqual([]);
  expect(await custodian.custody('a')).toMatchObject({ live: { pid } });
  child.kill('SIGKILL');
  expect(await exitOf('a')).toMatchObject({ signal: null, cause: 'self' });
});
