import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfig, describeCheck } from '../../../src/daemon/configuration/check-config.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-check-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const check = async (yaml: string) => {
  await writeFile(path.join(dir, 'openstarry.yaml'), yaml);
  return checkConfig({ cwd: dir, env: { PATH: process.env['PATH'], OPENSTARRY_HOME: path.join(dir, 'home') } });
};

describe('checkConfig', () => {
  it('tells of each agent whether it can be put together, and what would fail here', async () => {
    const found = await check(`
agents:
  good: { command: [sh, -c, 'true'] }
  lost: { command: [no-such-program] }
  open: { command: [sh, "\${NOT_SET_ANYWHERE}"] }
  bad: { template_id: Nowhere_v1 }`);
    expect(found.ok).toBe(false);
    expect(found.agents).toMatchObject([
      { agent_id: 'good', fault_domain: 'default', command: ['sh', '-c', 'true'], problem: null, warnings: [] },
      { agent_id: 'lost', warnings: [expect.stringContaining('no-such-program')] },
      { agent_id: 'open', warnings: [expect.stringContaining('NOT_SET_ANYWHERE')] },
      { agent_id: 'bad', problem: { code: 'TEMPLATE_NOT_FOUND' } },
    ]);
    expect(describeCheck(found)).toContain('1 of 4 agents that cannot be started');
    expect(describeCheck(found)).toContain('✗ bad (Nowhere_v1)');
  });

  it('looks at the plugins, and opens none', async () => {
    const found = await check('plugins: { bus: { use: redis, url: "redis://127.0.0.1:1" }, state: { use: sqllite } }');
    expect(found.ok).toBe(false);
    expect(found.plugins).toMatchObject([
      { kind: 'bus', use: 'redis', problem: null },
      { kind: 'state', use: 'sqllite', problem: { code: 'PLUGIN_FAILED' } },
    ]);
    expect(describeCheck(found)).toMatch(
      /names a plugin that cannot be used\n {2}✗ plugins\.state \(sqllite\): .*"sqlite"/,
    );
  });

  it('throws for a file that is not valid, and finds the one that a start would take', async () => {
    await expect(check('agents: { a: { comand: [x] } }')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect((await check('{}')).ok).toBe(true);
  });
});
