import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteRoster } from '../../src/adapters/sqlite/roster.ts';
import type { Decision } from '../../src/contract/decision.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { Fleet } from '../../src/host/fleet.ts';
import type { Roster } from '../../src/ports/roster.ts';
import { rowOf } from '../service/rows.ts';

const CHECKS: Decision['checks'] = { health: null, limits: null };
const GAVE_UP = { phase: { kind: 'disabled' }, reason: 'gave up: template T is not there' } as const;

describe('Fleet', () => {
  let folder: string;
  let roster: Roster;
  let fleet: Fleet;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-fleet-'));
    roster = await openSqliteRoster(path.join(folder, 'roster.db'));
    fleet = await Fleet.open(roster, () => BUILT_IN_FAULT_DOMAINS);
  });
  afterEach(async () => {
    fleet.close();
    await roster.close();
    await rm(folder, { recursive: true, force: true });
  });

  const decide = (agent_id: string, decided: Partial<Decision>): Promise<void> =>
    roster.publish(rowOf({ agent_id, input: { agent_id }, ...decided }).decision);

  it('counts a critical agent that was never admitted as down, and says why', async () => {
    await decide('vital', { fault_domain: 'critical', ...GAVE_UP });
    await decide('other', { fault_domain: 'data', ...GAVE_UP });
    await decide('unknown', { fault_domain: 'toString', ...GAVE_UP });
    expect(fleet.criticalDown()).toEqual([{ agent_id: 'vital', reason: GAVE_UP.reason }]);
  });

  it('goes by its policy once it was admitted, and a run ends no fleet', async () => {
    await decide('admitted', { fault_domain: 'critical', checks: CHECKS, ...GAVE_UP });
    const run = { run_id: 'r', attempt: 1 } as unknown as NonNullable<Decision['input']['run']>;
    await decide('finite', { fault_domain: 'critical', input: { agent_id: 'finite', run }, ...GAVE_UP });
    await decide('own', { critical: true, checks: CHECKS, reason: 'starts' });
    expect(fleet.criticalDown()).toEqual([{ agent_id: 'own', reason: 'starts' }]);
  });

  it('counts an expected agent as down until there is something of it to see', async () => {
    await decide('known', { sequence: 1 });
    fleet.expectCritical(['vital', 'known']);
    expect(fleet.criticalDown()).toEqual([{ agent_id: 'vital', reason: 'not started yet' }]);
    await decide('vital', { critical: true, reason: 'is being made' });
    expect(fleet.criticalDown()).toEqual([{ agent_id: 'vital', reason: 'is being made' }]);
    await roster.recordProcess('vital', { ...rowOf({}, { pid: 1, ready: true }).process! });
    expect(fleet.criticalDown()).toEqual([]);
    await roster.remove('vital');
    expect(fleet.criticalDown()).toEqual([]);
  });
});
