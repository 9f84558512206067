import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { expect, it } from 'vitest';
import { openSqliteState } from '../../../src/adapters/sqlite/state.ts';
import { numbers } from '../../../src/conformance/fixture.ts';
import { stateStoreCases } from '../../../src/conformance/state-store.ts';
import { conformance } from '../../contracts/conformance.ts';
import { until } from '../../support/wait.ts';

conformance('openSqliteState', stateStoreCases, async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-state-'));
  return {
    open: (options) => openSqliteState(path.join(folder, 'state.db'), options),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});

async function inFolder(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-state-'));
  try {
    await work(path.join(folder, 'state.db'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
const warn = (): void => undefined;

it('openSqliteState refuses a corrupt file and leaves it as it is', () =>
  inFolder(async (file) => {
    const content = 'this is no database\n'.repeat(500);
    await writeFile(file, content);
    await expect(openSqliteState(file, { warn })).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
    expect(await readFile(file, 'utf8')).toBe(content);
  }));

it('openSqliteState fails with STORAGE_FULL when there is no room, keeps what it answered, and goes on', () =>
  inFolder(async (file) => {
    const store = await openSqliteState(file, { warn, maxBytes: 300_000 });
    const puts = await Promise.allSettled(numbers(20).map((n) => store.put('s', `k${n}`, 'x'.repeat(30_000))));
    const written = puts.flatMap((put) => (put.status === 'fulfilled' ? [put.value] : []));
    expect(written.length).toBeGreaterThan(0);
    expect(written.length).toBeLessThan(20);
    for (const put of puts) if (put.status === 'rejected') expect(put.reason).toMatchObject({ code: 'STORAGE_FULL' });
    for (const entry of written) expect(await store.get('s', entry.key)).toEqual(entry);
    await store.delete('s', written[0]!.key);
    await store.put('s', 'again', 'x'.repeat(30_000));
    expect(await store.clear('s')).toBe(written.length);
    await store.close();
  }));

it('openSqliteState takes nothing more beyond its limit, but what is no longer than before, and then goes on', () =>
  inFolder(async (file) => {
    const store = await openSqliteState(file, { warn, limitBytes: 1_000_000 });
    let count = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        await store.put('agent/a', `k${count}`, 'x'.repeat(30_000));
        count += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringMatching(
        /state store holds 9\d\d KiB.+977 KiB \(state\.max_bytes\): .+ or raise the limit/,
      ),
      details: { limit: 1_000_000, of: 'state.max_bytes' },
    });
    expect(count).toBeGreaterThan(20);
    await expect(store.put('shared', 'small', 1)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(await store.put('agent/a', 'k0', 'y'.repeat(30_000))).toMatchObject({ key: 'k0' });
    await store.put('daemon', 'of-its-own', true);
    expect(await store.get('agent/a', 'k1')).toBeDefined();
    expect(await store.delete('agent/a', 'k1')).toBe(true);
    await store.put('shared', 'small', 1);
    expect(await store.clear('agent/a')).toBe(count - 1);
    await store.close();
  }));

it('openSqliteState clears a scope of thousands, and forgets what has expired', () =>
  inFolder(async (file) => {
    let nowMs = Date.now();
    const store = await openSqliteState(file, { warn, now: () => nowMs });
    await Promise.all(numbers(2500).map((n) => store.put('s', `k${n}`, n, n % 2 === 0 ? { ttlMs: 1000 } : {})));
    await store.put('other', 'k', 1, { ttlMs: 1000 });
    nowMs += 1000;
    expect(await store.clear('s')).toBe(1250);
    expect(await store.list('s', { limit: 9 })).toEqual([]);
    await store.close();
    const count = (): number => {
      const db = new Database(file);
      const [rows] = db.prepare('SELECT count(*) FROM entry').raw().get() as [number];
      db.close();
      return rows;
    };
    expect(count()).toBe(1); // not shown any more, and not deleted yet
    const again = await openSqliteState(file, { warn, now: () => nowMs });
    await until(() => count() === 0, { what: 'the deletion of what has expired' });
    await again.close();
  }));
