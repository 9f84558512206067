import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import { decisionOf, rosterContract, transitionOf } from '../../contracts/roster-contract.ts';

let folder: string;
let file: string;
const warnings: string[] = [];
const warn = (message: string): void => void warnings.push(message);

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-roster-'));
  file = path.join(folder, 'roster.db');
  warnings.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

rosterContract('openSqliteRoster', async () => {
  const roster = await openSqliteRoster(file, { warn });
  return { roster, dispose: () => roster.close() };
});

describe('openSqliteRoster on a file', () => {
  it('finds again what was published before', async () => {
    const before = await openSqliteRoster(file);
    await before.publish(decisionOf({ transitions: [transitionOf(1)] }));
    await before.setFact('config', '/etc/openstarry.yaml');
    await before.close();
    const after = await openSqliteRoster(file);
    expect((await after.get('a'))?.decision).toEqual(decisionOf({ transitions: [transitionOf(1)] }));
    expect(await after.history('a', { limit: 5 })).toHaveLength(1);
    expect(await after.getFact('config')).toBe('/etc/openstarry.yaml');
    await after.close();
  });

  it('is readable by its owner only', async () => {
    const roster = await openSqliteRoster(file);
    await roster.publish(decisionOf({}));
    for (const name of await readdir(folder)) expect((await stat(path.join(folder, name))).mode & 0o077).toBe(0);
    await roster.close();
  });

  it('moves a corrupt file aside, says so and begins anew', async () => {
    await writeFile(file, 'this is no database\n'.repeat(500));
    const roster = await openSqliteRoster(file, { warn });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/roster\.db is corrupt \(.+\); moved to .+roster\.db\.corrupt-/);
    expect((await readdir(folder)).some((name) => name.startsWith('roster.db.corrupt-'))).toBe(true);
    await roster.publish(decisionOf({}));
    expect(await roster.list()).toHaveLength(1);
    await roster.close();
  });

  it('moves a file of a newer schema aside', async () => {
    const newer = new Database(file);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    const roster = await openSqliteRoster(file, { warn });
    expect(warnings.join()).toContain('schema version 99');
    expect(await roster.list()).toEqual([]);
    await roster.close();
  });

  it('refuses a folder that does not exist with STATE_DIR_UNUSABLE', async () => {
    const missing = path.join(folder, 'missing', 'roster.db');
    await expect(openSqliteRoster(missing)).rejects.toMatchObject({ code: 'STATE_DIR_UNUSABLE' });
  });

  it('fails with STORAGE_FULL when there is no room, and goes on when there is', async () => {
    const roster = await openSqliteRoster(file, { maxBytes: 300_000 });
    const big = (n: number) => decisionOf({ agent_id: `big-${n}`, reason: 'x'.repeat(100_000) });
    const results = await Promise.allSettled([1, 2, 3, 4].map((n) => roster.publish(big(n))));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(4);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'STORAGE_FULL' });
    expect(await roster.list()).toHaveLength(4 - refused.length);
    for (const { agent_id } of await roster.list()) {
      await roster.publish(decisionOf({ agent_id, sequence: 2, reason: 'small again' }));
    }
    await roster.publish(big(9));
    expect(await roster.get('big-9')).toBeDefined();
    await roster.close();
  });

  it('forgets transitions older than 30 days when it opens', async () => {
    const old = { ...transitionOf(1), at_ms: Date.now() - 31 * 24 * 3600_000 };
    const first = await openSqliteRoster(file);
    await first.publish(decisionOf({ sequence: 2, transitions: [old, transitionOf(2)] }));
    await first.close();
    const second = await openSqliteRoster(file);
    expect((await second.history('a', { limit: 5 })).map((entry) => entry.sequence)).toEqual([2]);
    await second.close();
  });

  it('publishes 500 decisions in well under a second and answers a single one in about a millisecond', async () => {
    const roster = await openSqliteRoster(file);
    const transitions = Array.from({ length: 20 }, (_, n) => transitionOf(n));
    await roster.publish(decisionOf({}));
    const batchMs = await timed(() =>
      Promise.all(
        Array.from({ length: 500 }, (_, n) => roster.publish(decisionOf({ agent_id: `a${n}`, transitions }))),
      ),
    );
    const listMs = await timed(() => roster.list());
    const singles: number[] = [];
    for (let n = 2; n < 200; n += 1) singles.push(await timed(() => roster.publish(decisionOf({ sequence: n }))));
    const singleMs = singles.toSorted((a, b) => a - b)[100] as number;
    process.stderr.write(
      `roster: 500 decisions ${batchMs.toFixed(0)} ms, list ${listMs.toFixed(1)} ms, one ${singleMs.toFixed(2)} ms\n`,
    );
    expect(batchMs).toBeLessThan(2000); // a loaded machine; 130 ms alone
    expect(singleMs).toBeLessThan(20);
    await roster.close();
  });

  it('keeps every acknowledged decision when its process is killed amid writes', async () => {
    const writer = spawnWriter(file);
    let acknowledged = 0;
    const lines = createInterface({ input: writer.stdout });
    for await (const line of lines) {
      acknowledged = Number(line);
      if (acknowledged === 300) writer.kill('SIGKILL');
    }
    if (writer.signalCode === null) await once(writer, 'exit');
    expect(acknowledged).toBeGreaterThanOrEqual(300);
    const roster = await openSqliteRoster(file, { warn });
    expect(warnings).toEqual([]);
    expect((await roster.list()).length).toBeGreaterThanOrEqual(acknowledged);
    await roster.close();
  });
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Publishes one decision after the other and prints the number of each that was acknowledged. */
function spawnWriter(database: string): ChildProcessByStdio<null, Readable, null> {
  const module = fileURLToPath(new URL('../../../dist/adapters/sqlite/roster.js', import.meta.url));
  const script = `
    import { openSqliteRoster } from ${JSON.stringify(module)};
    const roster = await openSqliteRoster(${JSON.stringify(database)});
    const decision = ${JSON.stringify(decisionOf({}))};
    for (let n = 1; ; n += 1) {
      await Promise.all([n, 'x' + n].map((id) => roster.publish({ ...decision, agent_id: 'a' + id })));
      process.stdout.write(n + '\\n');
    }`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}
