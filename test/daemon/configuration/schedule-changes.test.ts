import { describe, expect, it } from 'vitest';
import type { LoadedConfig } from '../../../src/config/config.ts';
import type { AgentInput } from '../../../src/contract/agent-input.ts';
import { CodedError, type ErrorCode } from '../../../src/contract/errors.ts';
import type { ScheduleInput } from '../../../src/contract/schedule-view.ts';
import {
  planSchedules,
  ScheduleChanges,
  type SchedulePlan,
} from '../../../src/daemon/configuration/schedule-changes.ts';
import type { FoundSchedule } from '../../../src/service/schedules/temporal-schedules.ts';
import { tickOf } from '../../../src/service/schedules/ticks.ts';

type Tick = FoundSchedule['tick'];

const FILE = '/c/openstarry.yaml';
const sign = (input: AgentInput): AgentInput => ({ ...input, signature: 'signed' });

function tick(agent_id: string, given: Partial<ScheduleInput> = {}, { origin = `file ${FILE}` } = {}): Tick {
  const agent = { agent_id, command: ['x'] };
  return tickOf({ agent_id, cron: '@daily', ...given }, { origin, agent, sign, nowMs: 0 });
}
const found = (...ticks: Tick[]): FoundSchedule[] =>
  ticks.map((one) => ({ tick: one, description: {} as FoundSchedule['description'] }));

const plan = (given: Partial<Parameters<typeof planSchedules>[0]>): SchedulePlan =>
  planSchedules({ file: FILE, wanted: [], unknown: new Set(), found: [], ...given });

describe('planSchedules', () => {
  it('finds what is new, what is other than before and what is gone, and nothing else', () => {
    const seen = plan({
      wanted: [tick('same'), tick('other', { cron: '@hourly', catch_up: '1h' }), tick('new')],
      found: found(tick('same'), tick('other'), tick('gone'), tick('api', {}, { origin: 'api' })),
    });
    expect(seen.added.map(({ schedule }) => schedule.agent_id)).toEqual(['new']);
    expect(seen.changed).toMatchObject([{ schedule_id: 'other', fields: ['catch_up', 'cron'] }]);
    expect(seen.removed).toEqual(['gone']);
    expect(seen.skipped).toEqual([]);
  });

  it('leaves alone what has come from elsewhere, and says so', () => {
    const seen = plan({ wanted: [tick('a', { cron: '@hourly' })], found: found(tick('a', {}, { origin: 'api' })) });
    expect(seen).toMatchObject({ added: [], changed: [], removed: [] });
    expect(seen.skipped).toMatchObject([{ schedule_id: 'a', reason: expect.stringContaining('origin: api') }]);
  });

  it('takes over those of the file that it replaces', () => {
    const before = { origin: 'file /c/old.yaml' };
    const given = { wanted: [tick('a')], found: found(tick('a', {}, before), tick('gone', {}, before)) };
    expect(plan({ ...given, takenOver: '/c/old.yaml' })).toMatchObject({
      changed: [{ schedule_id: 'a', fields: ['origin'] }],
      removed: ['gone'],
    });
    expect(plan(given)).toMatchObject({ changed: [], removed: [], skipped: [{ schedule_id: 'a' }] });
  });

  it('sees a change of the agent that its runs make anew', () => {
    const run = { mode: 'run', cleanup: 'delete' } as const;
    const other = tick('a', run);
    other.definition = sign({ agent_id: 'a', command: ['y'] });
    const seen = plan({ wanted: [other], found: found(tick('a', run)) });
    expect(seen.changed).toMatchObject([{ schedule_id: 'a', fields: ['agent'] }]);
  });

  it('makes none that is over', () => {
    const wanted = [tick('past', { cron: undefined, at: '2020-01-01T00:00:00Z' } as never)];
    expect(plan({ wanted })).toMatchObject({ added: [], changed: [], removed: [] });
    expect(plan({ wanted, found: found(...wanted) })).toMatchObject({ changed: [], removed: [] });
  });

  it('removes none of an agent whose template cannot be read', () => {
    const given = { found: found(tick('a'), tick('b')), unknown: new Set(['a']) };
    expect(plan(given).removed).toEqual(['b']);
  });
});

describe('ScheduleChanges', () => {
  function changesWith(refusals: Record<string, ErrorCode> = {}) {
    const asked: unknown[][] = [];
    const logged: string[] = [];
    const answer = async (...call: unknown[]): Promise<never> => {
      asked.push(call);
      const code = refusals[String(call[0])];
      if (code !== undefined) throw new CodedError(code, code);
      return undefined as never;
    };
    const changes = new ScheduleChanges({
      temporal: {
        list: async () => found(tick('gone')),
        find: async () => answer('find'),
        create: async ({ schedule }) => answer('create', schedule.schedule_id),
        update: async ({ schedule }, state) => answer('update', schedule.schedule_id, state),
        delete: async (id) => answer('delete', id),
      },
      sign,
      log: { info: (_: unknown, text: string) => logged.push(text), warn: () => undefined } as never,
    });
    return { asked, logged, changes };
  }
  const config = (schedules: ScheduleInput[], agents: AgentInput[] = []): LoadedConfig =>
    ({ file: FILE, schedules, agents }) as unknown as LoadedConfig;
  const admit = { admit: async () => ({ schedule: undefined }) as never };

  it('removes on a reload, and not at a start', async () => {
    const { asked, changes } = changesWith({ find: 'TEMPORAL_UNAVAILABLE' });
    const made = await changes.plan(config([{ agent_id: 'new', cron: '@daily' }]), admit);
    await changes.apply(made, { removes: false });
    expect(asked).toEqual([['create', 'new'], ['find']]);
    await changes.apply(made, { removes: true });
    expect(asked).toContainEqual(['delete', 'gone']);
  });

  it('does not mind one that is there already, or that is gone', async () => {
    const refusals = { create: 'SCHEDULE_EXISTS', delete: 'SCHEDULE_NOT_FOUND', find: 'SCHEDULE_NOT_FOUND' } as const;
    const { changes } = changesWith(refusals);
    const made = await changes.plan(config([{ agent_id: 'new', cron: '@daily' }]), admit);
    await changes.apply(made, { removes: true });
  });

  it('tells when Temporal is away', async () => {
    const { changes } = changesWith({ create: 'TEMPORAL_UNAVAILABLE' });
    const made = await changes.plan(config([{ agent_id: 'new', cron: '@daily' }]), admit);
    await expect(changes.apply(made, { removes: false })).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
  });

  it('keeps a pause that somebody has asked for, until the file says something else of it', async () => {
    const { asked, changes } = changesWith({ find: 'TEMPORAL_UNAVAILABLE' });
    const [before, after] = [tick('a'), tick('a', { cron: '@hourly' })];
    const change = (now: Tick) => ({ schedule_id: 'a', fields: ['cron'], before, after: now });
    const nothing = { added: [], removed: [], skipped: [] };
    await changes.apply({ ...nothing, changed: [change(after)] }, { removes: true });
    await changes.apply({ ...nothing, changed: [change(tick('a', { paused: true, note: 'n' }))] }, { removes: true });
    expect(asked.filter(([name]) => name === 'update')).toEqual([
      ['update', 'a', {}],
      ['update', 'a', { paused: true, note: 'n' }],
    ]);
  });

  it('knows the schedule that an agent has from its template, unless the file gives it one', async () => {
    const { changes } = changesWith();
    const agents = [
      { agent_id: 'a', template_id: 'T' },
      { agent_id: 'b', template_id: 'T' },
    ];
    const admits = { admit: async () => ({ schedule: { every: '5m' } }) as never };
    const made = await changes.plan(config([{ agent_id: 'b', cron: '@daily' }], agents), admits);
    expect(made.added.map(({ schedule }) => schedule)).toEqual([
      { agent_id: 'b', schedule_id: 'b', cron: '@daily' },
      { agent_id: 'a', schedule_id: 'a', every: '5m' },
    ]);
  });
});
