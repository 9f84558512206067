import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../../src/contract/agent-input.ts';
import { CodedError, type ErrorCode } from '../../../src/contract/errors.ts';
import { AgentChanges } from '../../../src/daemon/configuration/agent-changes.ts';
import { planConfig } from '../../../src/daemon/configuration/config-plan.ts';
import type { RosterRow } from '../../../src/ports/roster.ts';
import type { AgentWorkflows } from '../../../src/service/agent-workflows.ts';
import { rowOf } from '../../service/rows.ts';

const FILE = '/c/openstarry.yaml';
const origin = `file ${FILE}`;
const rowFor = (input: AgentInput) => rowOf({ agent_id: input.agent_id, input });

function changesWith(refusals: Record<string, ErrorCode> = {}, later?: RosterRow) {
  const asked: unknown[][] = [];
  const answer = async (...call: unknown[]): Promise<{ revision: number }> => {
    asked.push(call);
    const code = refusals[String(call[0])];
    if (code !== undefined) throw new CodedError(code, code);
    return { revision: 1 };
  };
  const workflows = {
    start: (input: unknown) => answer('start-life', input),
    command: (agentId: string, name: string, args: unknown) => answer(name, agentId, args),
  } as unknown as AgentWorkflows;
  const roster = {
    get: async () => {
      // What was in the way is known now.
      for (const name of Object.keys(refusals)) delete refusals[name];
      return later;
    },
  };
  return { asked, changes: new AgentChanges(workflows, (input) => ({ ...input, signature: 'signed' }), roster) };
}

describe('AgentChanges', () => {
  it('makes a lost life again from what the roster remembers, with what the file says now', async () => {
    const { asked, changes } = changesWith({ configure: 'AGENT_NOT_FOUND' });
    const row = rowFor({ agent_id: 'a', command: ['old'], origin });
    await changes.configure({ agent_id: 'a', command: ['new'], origin }, row);
    const { snapshot: restore } = row.decision;
    expect(asked.at(-1)).toEqual([
      'start-life',
      { agent_id: 'a', command: ['new'], origin, restore, signature: 'signed' },
    ]);
  });

  it('does not mind a life that is there already, or a deleted one that is gone', async () => {
    const { changes } = changesWith({ 'start-life': 'AGENT_EXISTS', delete: 'AGENT_NOT_FOUND' });
    await changes.add({ agent_id: 'a', origin });
    await changes.remove('a');
  });

  it('deletes an agent whose workflow was lost: its row would bring it back', async () => {
    const row = rowFor({ agent_id: 'a', command: ['old'], origin });
    const { asked, changes } = changesWith({ delete: 'AGENT_NOT_FOUND' }, row);
    await changes.remove('a');
    const restore = { ...row.decision.snapshot, desired: 'deleted' };
    expect(asked.slice(1)).toEqual([
      ['start-life', { agent_id: 'a', command: ['old'], origin, restore, signature: 'signed' }],
      ['delete', 'a', {}],
    ]);
  });

  it('reads the row of an agent anew that is in a run meanwhile, and leaves it its task', async () => {
    const row = rowOf({ agent_id: 'a', input: { agent_id: 'a', origin }, phase: { kind: 'completed' } });
    const run = { run_id: 'r1', attempt: 1 };
    const later = rowFor({ agent_id: 'a', origin, run });
    const configured = changesWith({ configure: 'AGENT_BUSY' }, later);
    await configured.changes.configure({ agent_id: 'a', command: ['new'], origin }, row);
    const spec = { agent_id: 'a', command: ['new'], origin, signature: 'signed' };
    expect(configured.asked).toEqual([
      ['configure', 'a', { spec }],
      ['configure', 'a', { spec: { ...spec, run } }],
    ]);
    const readmitted = changesWith({ configure: 'AGENT_BUSY' }, later);
    await readmitted.changes.readmit(row);
    expect(readmitted.asked.at(-1)).toEqual(['configure', 'a', { spec: { agent_id: 'a', origin, run } }]);
  });

  it('tells when Temporal is away', async () => {
    const { changes } = changesWith({ configure: 'TEMPORAL_UNAVAILABLE' });
    const row = rowFor({ agent_id: 'a', origin });
    await expect(changes.configure({ agent_id: 'a', origin }, row)).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
    });
  });
});

describe('planConfig', () => {
  const rows = [
    rowFor({ agent_id: 'same', command: ['x'], origin, signature: 's' }),
    rowFor({ agent_id: 'other', command: ['x'], origin }),
    rowFor({ agent_id: 'gone', origin }),
    rowFor({ agent_id: 'api', origin: 'api' }),
    rowFor({ agent_id: 'former', command: ['x'], origin: 'file /c/old.yaml' }),
  ];
  const agents = ['same', 'other', 'api', 'former', 'new'].map((agent_id) => ({
    agent_id,
    command: [agent_id === 'other' ? 'y' : 'x'],
    origin,
  }));
  const ids = (list: { agent_id: string }[]): string[] => list.map(({ agent_id }) => agent_id);

  it('touches only agents of the same file', () => {
    const plan = planConfig({ file: FILE, agents }, rows);
    expect(ids(plan.added)).toEqual(['new']);
    expect(plan.changed.map(({ row, fields }) => [row.agent_id, fields])).toEqual([['other', ['command']]]);
    expect([ids(plan.removed), ids(plan.unchanged), ids(plan.skipped)]).toEqual([
      ['gone'],
      ['same'],
      ['api', 'former'],
    ]);
  });

  it('takes over those of another file, of which nothing else than the origin may differ', () => {
    const plan = planConfig({ file: FILE, agents }, rows, '/c/old.yaml');
    expect(plan.changed.map(({ row, fields }) => [row.agent_id, fields])).toContainEqual(['former', ['origin']]);
    expect(ids(plan.skipped)).toEqual(['api']);
  });
});
