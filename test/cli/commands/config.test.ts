import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { runCommand } from '../../../src/daemon/run-command.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-config-cli-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const cli = (...args: string[]) => {
  const env = { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') };
  return runCommand(process.execPath, [path.join(inject('root'), 'dist/cli/main.js'), ...args], { cwd: dir, env });
};
const put = (text: string) => writeFile(path.join(dir, 'openstarry.yaml'), text);

describe('config check', () => {
  it('says that a file is valid, in words and in JSON', async () => {
    await put('agents: { a: { command: [sh] } }');
    expect(await cli('config', 'check')).toEqual({ code: 0, output: expect.stringContaining('is valid: 1 agent') });
    const { output } = await cli('config', 'check', '--json');
    expect(JSON.parse(output)).toMatchObject({ ok: true, agents: [{ agent_id: 'a', problem: null }] });
  });

  it('exits as the error table says for what is wrong', async () => {
    await put('agents: { a: { comand: [sh] } }');
    expect(await cli('config', 'check')).toEqual({
      code: 2,
      output: expect.stringContaining('did you mean "command"'),
    });
    await put('agents: { a: { template_id: Nowhere_v1 } }');
    expect(await cli('config', 'check')).toEqual({ code: 3, output: expect.stringContaining('✗ a (Nowhere_v1)') });
  });
});

describe('config schema', () => {
  it('prints what the package publishes', () => {
    // `runCommand` keeps the end of what is said, and this is longer.
    const schema = (...more: string[]): unknown => {
      const args = [path.join(inject('root'), 'dist/cli/main.js'), 'config', 'schema', ...more];
      return JSON.parse(execFileSync(process.execPath, args, { cwd: dir, encoding: 'utf8' }));
    };
    expect(schema()).toHaveProperty('properties.agents');
    expect(schema('--template')).toHaveProperty('properties.variables');
  });
});
