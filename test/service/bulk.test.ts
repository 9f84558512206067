import { describe, expect, test } from 'vitest';
import { CodedError } from '../../src/contract/errors.ts';
import { commandMany, type Selection } from '../../src/service/bulk.ts';
import type { Call, Caller } from '../../src/service/caller.ts';
import type { CommandOptions, CommandResult } from '../../src/service/commands.ts';
import { viewOf } from '../../src/service/view.ts';
import { rowOf } from './rows.ts';

const ADMIN: Call = { caller: { kind: 'admin' }, request_id: 'r' };
const rows = ['a', 'b', 'c'].map((agent_id) =>
  rowOf({
    agent_id,
    fault_domain: agent_id === 'c' ? 'data' : 'default',
    input: {
      agent_id,
      labels: { team: agent_id === 'a' ? 'x' : 'y' },
      ...(agent_id === 'b' ? { created_by: 'master' } : {}),
    },
  }),
);
const done = async (agentId: string): Promise<CommandResult> => ({
  agent_id: agentId,
  revision: 1,
  settled: true,
  agent: viewOf(rowOf({ agent_id: agentId }), false),
});
const namesOf = async (selection: Selection, call = ADMIN): Promise<string[]> =>
  (await commandMany(rows, call, selection, {}, done)).map((one) => one.agent_id);

describe('commandMany', () => {
  test('commands those that are selected', async () => {
    expect(await namesOf({ kind: 'all' })).toEqual(['a', 'b', 'c']);
    expect(await namesOf({ kind: 'some', labels: ['team=y'] })).toEqual(['b', 'c']);
    expect(await namesOf({ kind: 'some', labels: ['team'], faultDomain: 'data' })).toEqual(['c']);
    expect(await namesOf({ kind: 'some', labels: ['team=z'] })).toEqual([]);
  });

  test('commands for an agent only those that it has created', async () => {
    const caller: Caller = { kind: 'agent', agent_id: 'master', generation: 1, may: { start: [] } };
    expect(await namesOf({ kind: 'all' }, { ...ADMIN, caller })).toEqual(['b']);
  });

  test('gives each its own result, refusals and defects included', async () => {
    const results = await commandMany(rows, ADMIN, { kind: 'all' }, {}, async (agentId) => {
      if (agentId === 'a') throw new CodedError('TEMPORAL_UNAVAILABLE', 'away');
      if (agentId === 'b') throw new TypeError('secret');
      return { ...(await done(agentId)), settled: false, note: 'later' };
    });
    expect(results).toMatchObject([
      { agent_id: 'a', settled: false, error: { code: 'TEMPORAL_UNAVAILABLE', message: 'away', request_id: 'r' } },
      { agent_id: 'b', settled: false, error: { code: 'INTERNAL' } },
      { agent_id: 'c', settled: false, note: 'later', state: 'starting' },
    ]);
    expect(JSON.stringify(results)).not.toContain('secret');
  });

  test('asks `admit` for each', async () => {
    const admit = (agentId: string): void => {
      if (agentId === 'b') throw new CodedError('RATE_LIMITED', 'slow down');
    };
    const results = await commandMany(rows, ADMIN, { kind: 'all' }, { admit }, done);
    expect(results.map(({ settled, error }) => error?.code ?? settled)).toEqual([true, 'RATE_LIMITED', true]);
  });

  test('has at most 32 on their way to Temporal, and waits for all at the same time', async () => {
    const many = Array.from({ length: 100 }, (_, n) => rowOf({ agent_id: `m${n}` }));
    let sending = 0;
    let most = 0;
    let waiting = 0;
    let letGo: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (letGo = resolve));
    const command = async (agentId: string, { onAccepted }: CommandOptions): Promise<CommandResult> => {
      sending += 1;
      most = Math.max(most, sending);
      await new Promise((resolve) => setImmediate(resolve));
      sending -= 1;
      onAccepted?.();
      waiting += 1;
      if (waiting === many.length) letGo();
      await all;
      return done(agentId);
    };
    expect(await commandMany(many, ADMIN, { kind: 'all' }, {}, command)).toHaveLength(100);
    expect(most).toBe(32);
  });
});
