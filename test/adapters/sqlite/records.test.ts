import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import { recordOf, recordsContract } from '../../contracts/records-contract.ts';

const DAY_MS = 24 * 3600_000;

let file: string;
beforeEach(async () => {
  file = path.join(await mkdtemp(path.join(os.tmpdir(), 'openstarry-records-')), 'roster.db');
});
afterEach(() => rm(path.dirname(file), { recursive: true, force: true }));

recordsContract('openSqliteRoster as records', async () => {
  const records = await openSqliteRoster(file);
  return { records, dispose: () => records.close() };
});

describe('records in a file', () => {
  it('are there after the next opening; what is done goes after 30 days, what is open never', async () => {
    const before = await openSqliteRoster(file);
    const longAgo = Date.now() - 31 * DAY_MS;
    await before.publishRecord(recordOf({ id: 'open', at_ms: longAgo }));
    await before.publishRecord(recordOf({ id: 'old', at_ms: longAgo, done: true }));
    await before.publishRecord(recordOf({ id: 'done', at_ms: Date.now(), done: true }));
    await before.noteDelivered('old', longAgo);
    await before.noteDelivered('new', Date.now());
    await before.close();
    const after = await openSqliteRoster(file);
    const rows = await after.listRecords({ kind: 'incident', limit: 10 });
    expect(rows.map(({ id }) => id)).toEqual(['done', 'open']);
    expect([await after.isDelivered('old'), await after.isDelivered('new')]).toEqual([false, true]);
    await after.close();
  });
});
