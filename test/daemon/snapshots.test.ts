import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteState } from '../../src/adapters/sqlite/state.ts';
import { isFinal } from '../../src/contract/errors.ts';
import { Snapshots } from '../../src/daemon/snapshots.ts';
import type { Json } from '../../src/domain/messages/message.ts';
import { agentScopeOf, SNAPSHOT_KEY, type StateStore } from '../../src/ports/state-store.ts';

let dir: string;
let folder: string;
let state: StateStore;
let snapshots: Snapshots;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-snapshots-test-'));
  folder = path.join(dir, 'snapshots');
  state = await openSqliteState(path.join(dir, 'state.db'), { warn: () => undefined });
  snapshots = new Snapshots({ state, folder, limitMs: 200 });
});
afterEach(async () => {
  await state.close();
  await rm(dir, { recursive: true, force: true });
});

const keep = (agentId: string, value: Json) => state.put(agentScopeOf(agentId), SNAPSHOT_KEY, value);

describe('Snapshots', () => {
  it('write what an agent has kept into a file that only it can read', async () => {
    await keep('Data.Worker', { step: 3, text: '\0 \ud800' });
    const file = await snapshots.write('Data.Worker', 4);
    expect(JSON.parse(readFileSync(file!, 'utf8'))).toEqual({ step: 3, text: '\0 \ud800' });
    expect([statSync(file!).mode & 0o777, statSync(folder).mode & 0o777]).toEqual([0o600, 0o700]);
    await snapshots.remove('Data.Worker', 4);
    expect(await readdir(folder)).toEqual([]);
  });

  it('write none for one that has kept nothing', async () => {
    expect(await snapshots.write('a', 1)).toBeUndefined();
    expect(existsSync(folder)).toBe(false);
    await keep('a', null);
    expect(JSON.parse(readFileSync((await snapshots.write('a', 2))!, 'utf8'))).toBeNull();
  });

  it('refuse what cannot be read, or takes too long: that is tried again', async () => {
    const broken = new Snapshots({ state: { get: () => Promise.reject(new Error('no disk')) }, folder });
    await expect(broken.write('a', 1)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    // The activity that starts the process is tried again for as long as it takes.
    expect(isFinal('STATE_UNAVAILABLE')).toBe(false);
    const slow = new Snapshots({ state: { get: () => new Promise(() => undefined) }, folder, limitMs: 20 });
    await expect(slow.write('a', 1)).rejects.toThrow(/has not answered within 20 ms/);
  });

  it('leave nothing of lives that are over', async () => {
    for (const id of ['a', 'B', 'a-1']) await keep(id, id);
    const first = await snapshots.write('a', 1);
    const other = await snapshots.write('a-1', 1);
    const second = await snapshots.write('a', 2);
    expect([existsSync(first!), existsSync(second!), existsSync(other!)]).toEqual([false, true, true]);
    const upper = await snapshots.write('B', 7);
    await snapshots.sweep((agentId, generation) => `${agentId}/${generation}` === 'B/7');
    expect([existsSync(second!), existsSync(other!), existsSync(upper!)]).toEqual([false, false, true]);
  });
});

describe.runIf(process.getuid?.() === 0)('a snapshot for another user', () => {
  const NOBODY = { uid: 65_534, gid: 65_534 };

  it('is where that user can reach it, and nobody else can read it', async () => {
    await keep('a', 'secret');
    const file = await snapshots.write('a', 1, NOBODY);
    const { uid, mode } = statSync(file!);
    expect([uid, mode & 0o777]).toEqual([NOBODY.uid, 0o600]);
    expect(statSync(path.dirname(file!)).mode & 0o777).toBe(0o711);
    await snapshots.remove('a', 1);
    expect(existsSync(file!)).toBe(false);
    await rm(path.dirname(file!), { recursive: true, force: true });
  });
});
