import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileLogs } from '../../../src/adapters/logs/file-logs.ts';
import { until } from '../../support/wait.ts';

let root: string;
let folder: string;
let logs: FileLogs;
let abort: AbortController;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'openstarry-logs-'));
  folder = path.join(root, '=agent');
  await mkdir(folder);
  logs = new FileLogs(root);
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await rm(root, { recursive: true, force: true });
});

const at = (name: string) => path.join(folder, name);
const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `line ${from + n}`);
const text = (lines: string[]) => lines.map((line) => `${line}\n`).join('');

describe('FileLogs.tail', () => {
  it('tells the last lines, oldest first, with or without a newline at the end', async () => {
    await writeFile(at('1.log'), 'a\nb\r\n\nc');
    expect(await logs.tail('Agent', { lines: 3 })).toEqual(['b', '', 'c']);
    expect(await logs.tail('Agent', { lines: 100 })).toEqual(['a', 'b', '', 'c']);
    expect(await logs.tail('Agent', { lines: 0 })).toEqual([]);
    await appendFile(at('1.log'), '\n');
    expect(await logs.tail('Agent', { lines: 2 })).toEqual(['', 'c']);
  });

  it('tells nothing that was written before, as well as files and lines tell', async () => {
    const old = new Date('2026-01-31T08:00:00Z');
    await writeFile(at('1.log'), 'long ago\n');
    await utimes(at('1.log'), old, old);
    await writeFile(at('2.log'), '2026-01-31T08:59:00Z a\n2026-01-31T09:00:00Z b\n  more of b\n');
    await writeFile(at('3.log'), 'no time\n');
    const sinceMs = Date.parse('2026-01-31T09:00:00Z');
    expect(await logs.tail('Agent', { lines: 10, sinceMs })).toEqual([
      '2026-01-31T09:00:00Z b',
      '  more of b',
      'no time',
    ]);
    expect(await logs.tail('Agent', { lines: 1, sinceMs })).toEqual(['no time']);
    expect(await logs.tail('Agent', { lines: 10, sinceMs: Date.now() + 60_000 })).toEqual([]);
  });

  it('is empty where there is no log', async () => {
    expect(await logs.tail('other', { lines: 5 })).toEqual([]);
    await writeFile(at('1.log'), '');
    expect(await logs.tail('Agent', { lines: 5 })).toEqual([]);
  });

  it('goes back through rotations, in which a line may be cut, and incarnations, in which it may not', async () => {
    await writeFile(at('9.log'), 'of nine');
    await writeFile(at('10.log.2'), 'x\nx2\nsp');
    await writeFile(at('10.log.1'), 'lit\nfour\n');
    await writeFile(at('10.log'), 'five\n');
    await writeFile(at('10.log.part'), 'not a log\n');
    await writeFile(at('notes.txt'), 'not a log\n');
    expect(await logs.tail('Agent', { lines: 100 })).toEqual(['of nine', 'x', 'x2', 'split', 'four', 'five']);
    expect(await logs.tail('Agent', { lines: 3 })).toEqual(['split', 'four', 'five']);
    expect(await logs.tail('Agent', { lines: 100, generation: 9 })).toEqual(['of nine']);
    expect(await logs.tail('Agent', { lines: 100, generation: 7 })).toEqual([]);
  });

  it('reads no more of a large file than it needs', async () => {
    const lines = numbered(1, 1_000_000);
    await writeFile(at('1.log'), text(lines));
    const from = performance.now();
    expect(await logs.tail('Agent', { lines: 5000 })).toEqual(lines.slice(-5000));
    expect(performance.now() - from).toBeLessThan(1000);
  });

  it('reads at most 8 MiB, and nothing of a line longer than that but its end', async () => {
    await writeFile(at('1.log'), `begin${'x'.repeat(9 * 1024 * 1024)}end`);
    const [line, ...rest] = await logs.tail('Agent', { lines: 10 });
    expect(rest).toEqual([]);
    expect(line).toHaveLength(8 * 1024 * 1024);
    expect(line?.endsWith('xend')).toBe(true);
  });

  it('keeps characters whole that lie across two pieces', async () => {
    const line = 'é'.repeat(100_000);
    await writeFile(at('1.log'), `a\nx${line}\n`);
    expect(await logs.tail('Agent', { lines: 1 })).toEqual([`x${line}`]);
  });

  it('follows no link, neither as a file nor as a folder', async () => {
    await writeFile(path.join(root, 'secret'), 'secret\n');
    await symlink(path.join(root, 'secret'), at('2.log'));
    await writeFile(at('1.log'), 'mine\n');
    expect(await logs.tail('Agent', { lines: 5 })).toEqual(['mine']);
    await symlink(folder, path.join(root, 'linked'));
    expect(await logs.tail('linked', { lines: 5 })).toEqual([]);
  });

  it.each(['..', '../x', 'a/b', '', '\0'])('does not leave the folder for %j', async (id) => {
    await expect(logs.tail(id, { lines: 1 })).rejects.toThrow('is no agent id');
  });
});

describe('FileLogs.purge', () => {
  it('deletes the logs of the agent, and nothing that a link in there leads to', async () => {
    await mkdir(path.join(root, 'other'));
    await writeFile(path.join(root, 'other', '1.log'), 'keep\n');
    await symlink(path.join(root, 'other'), at('link'));
    await logs.purge('Agent');
    await logs.purge('Agent');
    expect(await readdir(root)).toEqual(['other']);
    expect(await logs.tail('other', { lines: 1 })).toEqual(['keep']);
  });
});

describe('FileLogs.follow', () => {
  /** Follows from now on, and tells what has been heard. */
  function follow(agentId = 'Agent') {
    const heard: string[] = [];
    const iterator = logs.follow(agentId, abort.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    const done = (async () => {
      for (let next = await first; next.done !== true; next = await iterator.next()) heard.push(next.value);
    })();
    const hears = (lines: string[]) =>
      until(() => heard.length >= lines.length, { what: `${lines.length} lines, heard ${heard.length}` }).then(() =>
        expect(heard).toEqual(lines),
      );
    return { heard, hears, done };
  }

  it('tells lines as they come, and a line once it is complete', async () => {
    await writeFile(at('1.log'), 'old\nbeg');
    const { hears } = follow();
    await appendFile(at('1.log'), 'un\nnext\nunfin');
    await hears(['begun', 'next']);
    await appendFile(at('1.log'), 'ished\n');
    await hears(['begun', 'next', 'unfinished']);
  });

  it('waits for an agent that has no logs yet', async () => {
    const { hears } = follow('later');
    await mkdir(path.join(root, 'later'));
    await writeFile(path.join(root, 'later', '1.log'), 'first\n');
    await hears(['first']);
  });

  it('goes on with the next incarnations, ending the last line of each', async () => {
    await writeFile(at('9.log'), '');
    const { hears } = follow();
    await appendFile(at('9.log'), 'nine\nlast words');
    await writeFile(at('10.log'), 'ten\n');
    await writeFile(at('12.log'), 'twelve\n');
    await hears(['nine', 'last words', 'ten', 'twelve']);
  });

  it('loses nothing when the file is copied and cut', async () => {
    await writeFile(at('1.log'), '');
    const { heard, hears } = follow();
    const lines = numbered(1, 3000);
    for (let n = 0; n < 3000; n += 500) {
      await appendFile(at('1.log'), text(lines.slice(n, n + 500)));
      await rotate();
      // Two copies are kept here: what is in them is found, however many were made at once.
      if (n % 1000 === 500)
        await until(() => heard.length === n + 500, { what: `${n + 500} lines, heard ${heard.length}` });
    }
    await appendFile(at('1.log'), 'end\n');
    await hears([...lines, 'end']);
  });

  it('loses nothing when it was rotated while nobody read, and knows where a cut copy goes on', async () => {
    await writeFile(at('1.log'), text(numbered(1, 10)));
    const { hears } = follow();
    const before = Buffer.byteLength(text(numbered(1, 5)));
    const kept = text(numbered(1, 12)).slice(before);
    await writeFile(at('1.log.part'), `[custodian: ${before} bytes of this log were cut here]\n${kept}`);
    await truncate(at('1.log'));
    await rename(at('1.log.part'), at('1.log.1'));
    await appendFile(at('1.log'), 'line 13\n');
    await hears(['line 11', 'line 12', 'line 13']);
  });

  it('knows where a file goes on whose beginning was cut when its process ended', async () => {
    await writeFile(at('1.log'), text(numbered(1, 100)));
    const { hears } = follow();
    const before = Buffer.byteLength(text(numbered(1, 90)));
    await writeFile(
      at('1.log.part'),
      `[custodian: ${before} bytes of this log were cut here]\n${text(numbered(91, 101))}`,
    );
    await rename(at('1.log.part'), at('1.log'));
    await hears(['line 101']);
  });

  it('begins anew when the file was emptied by hand', async () => {
    await writeFile(at('1.log'), text(numbered(1, 100)));
    const { hears } = follow();
    await truncate(at('1.log'));
    await appendFile(at('1.log'), 'new\n');
    await hears(['new']);
  });

  it('follows no link', async () => {
    await writeFile(path.join(root, 'secret'), 'secret\n');
    const { hears } = follow();
    await symlink(path.join(root, 'secret'), at('1.log'));
    await writeFile(at('2.log'), 'mine\n');
    await hears(['mine']);
  });

  it('tells a line that never ends in parts', async () => {
    await writeFile(at('1.log'), '');
    const { heard } = follow();
    await appendFile(at('1.log'), 'x'.repeat(2.5 * 1024 * 1024));
    await until(() => heard.length === 2, { what: 'two parts of the line' });
    for (const part of heard) expect(part.length).toBeLessThan(1024 * 1024 + 65_536);
  });

  it('ends when it is aborted, also while it waits', async () => {
    await writeFile(at('1.log'), '');
    const { done } = follow();
    abort.abort();
    await done;
    await follow().done;
  });

  /** As the custodian does it: copy, cut, give the copy its name. */
  async function rotate(): Promise<void> {
    await copyFile(at('1.log'), at('1.log.part'));
    await truncate(at('1.log'));
    await rename(at('1.log.1'), at('1.log.2')).catch(() => {});
    await rename(at('1.log.part'), at('1.log.1'));
  }
});
