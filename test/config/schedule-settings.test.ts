import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import type { LoadedConfig } from '../../src/config/config.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-schedules-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function load(config: object): Promise<LoadedConfig> {
  const file = path.join(dir, 'openstarry.yaml');
  await writeFile(file, stringify(config));
  return loadConfig(file, {});
}
const refusal = (config: object): Promise<string> =>
  load(config).then(
    () => 'accepted',
    (error: unknown) => (error as Error).message,
  );

const command = ['true'];

describe('schedules of the file', () => {
  it('are taken out of the agents, and have their ids', async () => {
    const config = await load({
      schedule: { a: '*/1 * * * *' },
      agents: {
        a: { command },
        b: { command, schedule: '0 9 * * *' },
        c: {
          command,
          schedule: { every: '10m', mode: 'run', overlap: 'buffer_one', catch_up: '10m', cleanup: 'delete' },
        },
        d: { command },
      },
    });
    expect(config.schedules).toEqual([
      { schedule_id: 'a', agent_id: 'a', cron: '*/1 * * * *' },
      { schedule_id: 'b', agent_id: 'b', cron: '0 9 * * *' },
      {
        schedule_id: 'c',
        agent_id: 'c',
        every: '10m',
        mode: 'run',
        overlap: 'buffer_one',
        catch_up: '10m',
        cleanup: 'delete',
      },
    ]);
    expect(config.agents.some((agent) => 'schedule' in agent)).toBe(false);
  });

  it('leave an agent that is run by one alone, unless it says otherwise', async () => {
    const schedule = { cron: '0 9 * * *', mode: 'run' };
    const { agents } = await load({
      schedule: { a: schedule },
      agents: {
        a: { command },
        b: { command, schedule },
        c: { command, schedule, autostart: true },
        d: { command, autostart: false },
      },
    });
    expect(agents.map(({ agent_id, autostart }) => [agent_id, autostart])).toEqual([
      ['a', false],
      ['b', false],
      ['c', true],
      ['d', false],
    ]);
  });

  it.each([
    [
      { schedule: { x: '* * * * *' }, agents: { a: { command } } },
      'schedule.x is for no agent of this file; expected one of a',
    ],
    [
      { schedule: { a: '* * * * *' }, agents: { a: { command, schedule: '@daily' } } },
      'schedule.a is given, and the agent a has a schedule of its own',
    ],
    [
      { schedule: { a: '61 * * * *' }, agents: { a: { command } } },
      'schedule.a.cron is "61 * * * *" (string); expected a cron expression such as "30 9 * * 1-5": the minute "61"',
    ],
    [
      { agents: { a: { command, schedule: '0 24 * * *' } } },
      'agents.a.schedule.cron is "0 24 * * *" (string); expected a cron expression',
    ],
    [
      { agents: { a: { command, schedule: { after: '5m' } } } },
      'agents.a.schedule.after counts from the moment at which a schedule is made',
    ],
    [
      { agents: { a: { command, schedule: { cron: '@daily', overlap: 'queue' } } } },
      'agents.a.schedule.overlap is "queue" (string); expected one of "skip", "buffer_one"',
    ],
    [
      { agents: { a: { command, schedule: {} } } },
      'agents.a.schedule.cron is missing; expected exactly one of cron, every, at, after',
    ],
    [
      { agents: { a: { command, schedule: { cron: '@daily', agent_id: 'a' } } } },
      'agents.a.schedule.agent_id is not a known field',
    ],
  ])('refuses %j', async (config, says) => {
    expect(await refusal(config)).toContain(says);
  });
});
