import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import type { Decision } from '../../../src/contract/decision.ts';
import type { Roster } from '../../../src/ports/roster.ts';
import { ScheduleWatch } from '../../../src/service/schedules/schedule-watch.ts';
import type { Gone } from '../../../src/service/schedules/schedules.ts';
import type { FoundSchedule } from '../../../src/service/schedules/temporal-schedules.ts';
import { until } from '../../support/wait.ts';
import { rowOf } from '../rows.ts';

let folder: string;
let roster: Roster;
let watch: ScheduleWatch;
let cleared: Map<string, Gone>;
/** Agents of which there are schedules. */
let scheduled: string[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-schedule-watch-'));
  roster = await openSqliteRoster(path.join(folder, 'roster.db'));
  cleared = new Map();
  scheduled = [];
  const counts = { numActionsSkippedOverlap: 0, numActionsMissedCatchupWindow: 0 };
  const found = (agent_id: string) => ({
    tick: { schedule: { agent_id, schedule_id: agent_id } },
    description: { info: counts, raw: {} },
  });
  watch = new ScheduleWatch({
    temporal: { list: async () => scheduled.map(found) as unknown as FoundSchedule[] },
    schedules: {
      removeOf: async (gone) => {
        for (const [agentId, how] of gone) cleared.set(agentId, how);
        return [];
      },
      isBackfilled: () => false,
    },
    roster,
    isOpen: async () => false,
    report: async () => undefined,
    warn: () => undefined,
  });
});
afterEach(async () => {
  await watch.stop();
  await roster.close();
  await rm(folder, { recursive: true, force: true });
});

const publish = (agent_id: string, more: Partial<Decision> = {}): Promise<void> => {
  const at_ms = 1000;
  const transitions = [{ sequence: 1, at_ms, state: 'live' as const, generation: 1, reason: 'ready' }];
  return roster.publish(rowOf({ agent_id, at_ms, transitions, ...more }).decision);
};
const close = (agent_id: string, more: Partial<Decision>): Promise<void> =>
  publish(agent_id, {
    sequence: 9,
    at_ms: 2000,
    desired: 'deleted',
    phase: { kind: 'closed', outcome: { kind: 'deleted' } },
    ...more,
  });
const input = (agent_id: string) => ({ agent_id, run: { run_id: 'r', attempt: 1 } });

/** Each agent is deleted in another way. */
async function deleteAll(): Promise<void> {
  scheduled = ['by-operator', 'past-api', 'after-run', 'after-mail', 'before', 'vanished'];
  for (const id of scheduled) await publish(id, { input: input(id) });
  await close('by-operator', { request_id: 'their request', input: input('by-operator') });
  await close('past-api', { request_id: null });
  await close('after-run', { request_id: 'run/r/delete', input: input('after-run') });
  // It ran anyway, and was given the task of a run.
  await close('after-mail', { request_id: 'run/r/delete' });
  // As a daemon before has written it.
  await close('before', {});
  await roster.remove('vanished');
}
const untilCleared = async (): Promise<Record<string, boolean>> => {
  await until(() => cleared.size === scheduled.length, { what: 'all to be cleared' });
  return Object.fromEntries([...cleared].map(([agentId, { isForGood }]) => [agentId, isForGood]));
};
const WANTED = {
  'by-operator': true,
  'past-api': true,
  'after-run': false,
  'after-mail': false,
  before: false,
  vanished: false,
};

describe('the schedules that make their agents anew', () => {
  it('go with an agent that somebody deletes, and not with one that its run deletes', async () => {
    watch.start();
    await deleteAll();
    expect(await untilCleared()).toEqual(WANTED);
  });

  it('go also if it was deleted while nobody watched, if they are older than that', async () => {
    await deleteAll();
    watch.start();
    expect(await untilCleared()).toEqual(WANTED);
    expect(cleared.get('by-operator')?.atMs).toBe(2000);
  });
});
