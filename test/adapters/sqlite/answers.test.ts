import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import { answerStoreContract } from '../../contracts/answer-store-contract.ts';
import { decisionOf, transitionOf } from '../../contracts/roster-contract.ts';

async function makeRoster() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-answers-'));
  const file = path.join(folder, 'roster.db');
  const store = await openSqliteRoster(file);
  return {
    store,
    file,
    dispose: async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

answerStoreContract('openSqliteRoster as a store of answers', makeRoster);

test('keepAnswer survives the end of the process', async () => {
  const { store, file, dispose } = await makeRoster();
  const note = { scope: 'admin', key: 'k', request: 'd', request_id: 'r', at_ms: Date.now() };
  await store.beginAnswer(note);
  await store.keepAnswer('admin', 'k', { status: 200, body: '{}', location: null });
  await store.close();
  const next = await openSqliteRoster(file);
  expect(await next.beginAnswer(note)).toMatchObject({ answer: { status: 200, body: '{}' } });
  await next.close();
  await dispose();
});

test('transitions gives what came after an id, oldest first, of all agents or of one', async () => {
  const { store, dispose } = await makeRoster();
  expect(await store.latestTransition()).toBe(0);
  await store.publish(decisionOf({ transitions: [transitionOf(1), transitionOf(2)], sequence: 2 }));
  await store.publish(decisionOf({ agent_id: 'b', transitions: [transitionOf(1)] }));
  await store.publish(decisionOf({ transitions: [transitionOf(3)], sequence: 3 }));
  const all = await store.transitions({ after: 0, limit: 10 });
  expect(all.map(({ agent_id, sequence }) => `${agent_id}${sequence}`)).toEqual(['a1', 'a2', 'b1', 'a3']);
  const ids = all.map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted((x, y) => x - y));
  expect(await store.latestTransition()).toBe(ids.at(-1));
  expect(await store.transitions({ after: ids[1]!, limit: 1 })).toEqual([all[2]]);
  expect(await store.transitions({ after: ids[1]!, limit: 10, agent_id: 'a' })).toEqual([all[3]]);
  expect(await store.transitions({ after: ids.at(-1)!, limit: 10 })).toEqual([]);
  await dispose();
});
