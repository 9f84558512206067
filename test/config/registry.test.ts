import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { runCommand } from '../../src/daemon/run-command.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-registry-'));
  await mkdir(path.join(dir, 'agents'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const put = async (name: string, mode = 0o644, text = ''): Promise<string> => {
  const file = path.join(dir, name);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
};
const load = async (yaml: string, env: NodeJS.ProcessEnv = process.env) => {
  await writeFile(path.join(dir, 'openstarry.yaml'), yaml);
  return loadConfig(path.join(dir, 'openstarry.yaml'), env);
};
const refused = (yaml: string, env?: NodeJS.ProcessEnv): Promise<string> =>
  load(yaml, env).then(
    () => Promise.reject(new Error('was accepted')),
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  );
const FOLDER = 'registry: { path: ./agents }\n';

describe('registry.path', () => {
  it('makes agents of executables and scripts, and of nothing else', async () => {
    const [py, js, sh] = [
      await put('agents/data_market.py'),
      await put('agents/risk.js'),
      await put('agents/run', 0o755, '#!/bin/sh\n'),
    ];
    for (const name of ['README.md', '_helpers.py', '.hidden.py', '__init__.py', 'data.json'])
      await put(`agents/${name}`);
    await mkdir(path.join(dir, 'agents', 'sub.py'));
    await symlink('/no/such/file', path.join(dir, 'agents', 'broken.py'));
    const origin = `file ${path.join(dir, 'openstarry.yaml')}`;
    expect((await load(FOLDER)).agents).toEqual([
      { agent_id: 'data_market', command: ['python3', '-u', py], origin },
      { agent_id: 'risk', command: ['node', js], origin },
      { agent_id: 'run', command: [sh], origin },
    ]);
  });

  it('lets an entry of the file add to what was found', async () => {
    const py = await put('agents/data_market.py');
    const { agents } = await load(`${FOLDER}agents: { data_market: { fault_domain: data, env: { A: b } } }`);
    expect(agents).toMatchObject([{ command: ['python3', '-u', py], fault_domain: 'data', env: { A: 'b' } }]);
  });

  it('refuses what clashes, naming both', async () => {
    const py = await put('agents/a.py');
    expect(await refused(`${FOLDER}agents: { a: { command: [x] } }`)).toMatch(
      /CONFIG_INVALID .*agents\.a\.command is given, and .*a\.py of the registry/,
    );
    expect(await refused(`${FOLDER}master: { agent_id: a, command: [x] }`)).toContain(py);
    const js = await put('agents/a.js');
    const message = await refused(FOLDER);
    for (const part of [py, js, 'agent_id a', 'registry.path']) expect(message).toContain(part);
  });

  it.each(['my agent.py', 'ä.py', `${'x'.repeat(65)}.py`])('refuses the name %s', async (name) => {
    await put(`agents/${name}`);
    expect(await refused(FOLDER)).toContain(name);
  });

  it('refuses a folder that is not there, and a registry that names nothing', async () => {
    expect(await refused('registry: { path: ./none }')).toContain(`${path.join(dir, 'none')}, which does not exist`);
    expect(await refused('registry: {}')).toContain('neither path nor python_entry_points');
  });
});

describe('registry.python_entry_points', () => {
  /** A package as an installation leaves it, found by PYTHONPATH. */
  async function install(
    entries: string,
    code = 'import sys\ndef main():\n  print("ran", sys.argv[1:])\n  return 3\n',
  ) {
    const site = path.join(dir, 'site');
    await mkdir(path.join(site, 'trading-1.0.dist-info'), { recursive: true });
    await put('site/trading-1.0.dist-info/METADATA', 0o644, 'Metadata-Version: 2.1\nName: trading\nVersion: 1.0\n');
    await put('site/trading-1.0.dist-info/entry_points.txt', 0o644, `[trading.agents]\n${entries}\n`);
    await put('site/trading_agents.py', 0o644, code);
    return { ...process.env, PYTHONPATH: site };
  }

  it('makes each entry point an agent that runs it, and its result the exit code', async () => {
    const env = await install('collector = trading_agents:main\nwhole = trading_agents');
    const { agents } = await load('registry: { python_entry_points: trading.agents }', env);
    expect(agents.map(({ agent_id }) => agent_id)).toEqual(['collector', 'whole']);
    const [command = '', ...args] = agents[0]?.command ?? [];
    expect(await runCommand(command, args, { env })).toEqual({ code: 3, output: 'ran []\n' });
    const [python = '', ...module] = agents[1]?.command ?? [];
    expect((await runCommand(python, module, { env })).code).toBe(0);
  });

  it('is empty for a group that nobody declares', async () => {
    expect((await load('registry: { python_entry_points: nobody.agents }')).agents).toEqual([]);
  });

  it('refuses names that are no agent_id, and a Python that is not there', async () => {
    const env = await install('my agent = trading_agents:main');
    expect(await refused('registry: { python_entry_points: trading.agents }', env)).toContain('my agent');
    const missing = await refused('registry: { python_entry_points: trading.agents, python: ./venv/bin/python }');
    expect(missing).toContain(`needs ${path.join(dir, 'venv/bin/python')}, which is not there`);
    expect(missing).toContain('registry.python');
  });
});
