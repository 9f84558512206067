import { describe, expect, test } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { checkIncarnation, checkMayControl, checkMayCreate, type AgentCaller } from '../../src/service/caller.ts';
import { rowOf } from './rows.ts';

const agent: AgentCaller = { kind: 'agent', agent_id: 'master', generation: 3, may: { start: ['T1', 'T2'] } };
const admin = { kind: 'admin' } as const;

describe('checkMayCreate', () => {
  test('allows an agent the fields that say what to do, from the templates of its token', () => {
    checkMayCreate(agent, { agent_id: 'w', template_id: 'T1', variables: { a: 1 }, labels: { b: 'c' }, task: 'x' });
  });
  test('allows the admin everything', () => {
    checkMayCreate(admin, { agent_id: 'w', command: ['true'], env: { A: 'b' } });
  });
  test.for<[string, Partial<AgentInput>]>([
    ['command', { command: ['true'] }],
    ['fault_domain', { fault_domain: 'critical' }],
    ['may', { may: { start: ['T1'] } }],
    ['created_by', { created_by: 'somebody' }],
    ['signature', { signature: 'x' }],
    ['env', { env: {} }],
  ])('forbids an agent the field %s by name', ([field, more]) => {
    expect(() => checkMayCreate(agent, { agent_id: 'w', template_id: 'T1', ...more })).toThrow(
      expect.objectContaining({
        code: 'FORBIDDEN',
        message: expect.stringContaining(`"${field}"`),
        details: expect.objectContaining({ field }),
      }),
    );
  });
  test.for(['T3', undefined, 't1', '__proto__'])('forbids an agent the template %s', (template_id) => {
    const input = { agent_id: 'w', ...(template_id === undefined ? {} : { template_id }) };
    expect(() => checkMayCreate(agent, input)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  });
});

describe('checkMayControl', () => {
  const own = rowOf({ agent_id: 'w', input: { agent_id: 'w', created_by: 'master' } });
  const foreign = rowOf({ agent_id: 'x', input: { agent_id: 'x', created_by: 'other' } });
  const itself = rowOf({ agent_id: 'master' });
  test('allows an agent what it has created, and the admin all', () => {
    checkMayControl(agent, 'delete', own);
    checkMayControl(admin, 'delete', foreign);
  });
  test('allows an agent to read its own logs, not to stop itself', () => {
    checkMayControl(agent, 'read the logs of', itself);
    expect(() => checkMayControl(agent, 'stop', itself)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  });
  test('forbids an agent what others have created', () => {
    expect(() => checkMayControl(agent, 'read the logs of', foreign)).toThrow(
      expect.objectContaining({ code: 'FORBIDDEN' }),
    );
  });
});

describe('checkIncarnation', () => {
  test('accepts the live generation only', () => {
    checkIncarnation(agent, 3);
    for (const live of [2, 4, undefined]) {
      expect(() => checkIncarnation(agent, live)).toThrow(expect.objectContaining({ code: 'STALE_INCARNATION' }));
    }
  });
});
