import * as fs from 'node:fs';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openJournal } from '../../../src/custodian/journal/journal.ts';
import { decodeJournal } from '../../../src/custodian/journal/journal-line.ts';
import { createLogger } from '../../../src/custodian/logger.ts';

vi.mock('node:fs', async (original) => ({ ...(await original<typeof fs>()) }));
const real = await vi.importActual<typeof fs>('node:fs');

const OPENED = { kind: 'opened', at: '2026-01-01T00:00:00.000Z', pid: 1, boot: 'b', ns: 'n' } as const;
let folder: string;
let path: string;
let lines: string[];
const open = () =>
  openJournal(
    path,
    OPENED,
    createLogger((line) => lines.push(line)),
  );

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oc-journal-'));
  path = join(folder, 'custody.journal');
  lines = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

test('openJournal gives back what was appended and kept', () => {
  const first = open();
  first.append({ kind: 'fence', agent: 'a', fence: 3 });
  first.keep([{ kind: 'fence', agent: 'b', fence: 4 }]);
  const second = open();
  expect([...second.entries]).toEqual([
    ['a', { fence: 3 }],
    ['b', { fence: 4 }],
  ]);
  first.close();
  second.close();
});

test('openJournal makes a file that nobody else reads', () => {
  open().close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('journal compacts itself when it has grown', () => {
  const journal = open();
  for (let fence = 1; fence <= 30_000; fence += 1) journal.append({ kind: 'fence', agent: 'a', fence });
  expect(statSync(path).size).toBeLessThan(1.2 * 1024 * 1024);
  expect(journal.entries.get('a')).toEqual({ fence: 30_000 });
  journal.close();
  const again = open();
  expect(again.entries.get('a')).toEqual({ fence: 30_000 });
  again.close();
});

test('journal drops an agent 30 days after its delete', () => {
  const journal = open();
  journal.append({ kind: 'fence', agent: 'old', fence: 3 });
  journal.append({ kind: 'forget', agent: 'old', at: '2020-01-01T00:00:00.000Z' });
  journal.append({ kind: 'fence', agent: 'new', fence: 3 });
  journal.append({ kind: 'forget', agent: 'new', at: new Date().toISOString() });
  journal.close();
  const again = open();
  expect([...again.entries.keys()]).toEqual(['new']);
  again.close();
});

test('journal serves all who wait for the disk at the same time', async () => {
  const journal = open();
  const order: number[] = [];
  await Promise.all(
    [1, 2, 3, 4].map(async (n) => {
      journal.keep([{ kind: 'fence', agent: `a${n}`, fence: n }]);
      await journal.sync();
      order.push(n);
    }),
  );
  expect(order).toEqual([1, 2, 3, 4]);
  expect(decodeJournal(readFileSync(path, 'utf8')).records).toHaveLength(5);
  journal.close();
});

const failing = (code: string) => Object.assign(new Error(code), { code });

test('journal goes on in the new file if its folder cannot be opened after the rename', () => {
  const journal = open();
  vi.spyOn(fs, 'openSync').mockImplementation((file, ...more) => {
    if (file === folder) throw failing('EMFILE');
    return real.openSync(file, ...more);
  });
  const { ino } = statSync(path);
  let fence = 0;
  while (statSync(path).ino === ino) journal.append({ kind: 'fence', agent: 'a', fence: (fence += 1) });
  vi.restoreAllMocks();
  journal.append({ kind: 'fence', agent: 'b', fence: 4 });
  journal.close();
  const again = open();
  expect([...again.entries]).toEqual([
    ['a', { fence }],
    ['b', { fence: 4 }],
  ]);
  again.close();
});

test('journal tells who waits for the disk whether it took all', async () => {
  const journal = open();
  vi.spyOn(fs, 'fdatasync').mockImplementationOnce((_, done) => setImmediate(done, failing('EIO')));
  expect(await journal.sync()).toBe(false);
  expect(await journal.sync()).toBe(true);
  journal.close();
});
