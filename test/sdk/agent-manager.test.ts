import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { AgentManagerTool, FUNCTIONS, RestTransport, type AgentTransport } from '../../sdk/typescript/src/index.ts';
import { TemporalTransport } from '../../sdk/typescript/src/temporal-transport.ts';
import { runCommand } from '../../src/daemon/run-command.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const PYTHON = path.join(import.meta.dirname, '../../sdk/python');

let daemon: TestDaemon;
let connection: Connection;
let rest: RestTransport;
let access: { url: string; token: string };
const transports: Record<string, () => AgentTransport> = {
  REST: () => rest,
  Temporal: () => new TemporalTransport({ client: new Client({ connection }) }),
};

beforeAll(async () => {
  daemon = await TestDaemon.make({ defaults: { stop: { grace: '2s' } } });
  await daemon.template('Worker_v1', {
    command: [
      'sh',
      '-c',
      'echo "depth {{depth}}"; trap "echo hup" HUP; setsid sleep 36061 & while :; do sleep 0.05; done',
    ],
    variables: { depth: { type: 'number', default: 1 } },
  });
  await daemon.start();
  connection = await Connection.connect({ address: (await daemon.status()).temporal.address });
  const token = readFileSync(path.join(daemon.stateDir, 'token'), 'utf8').trim();
  access = { url: `http://127.0.0.1:${(await daemon.status()).ports.api}`, token };
  rest = new RestTransport(access);
}, 60_000);
afterAll(async () => {
  await connection?.close();
  await daemon?.end();
});

describe.each(Object.keys(transports))('AgentManagerTool over %s', (name) => {
  const id = `worker-${name.toLowerCase()}`;
  const tool = (): AgentManagerTool => new AgentManagerTool(transports[name]!());

  it('starts, shows, lists, signals, restarts and stops an agent', async () => {
    const variables = { depth: 7 };
    const started = await tool().execute({ action: 'agent:start', agent_id: id, template_id: 'Worker_v1', variables });
    expect(started).toMatchObject({ agent_id: id, template_id: 'Worker_v1', state: 'running', generation: 1 });
    expect(await tool().execute({ action: 'agent.status', agent_id: id })).toMatchObject({
      agent_id: id,
      state: 'running',
    });
    const seen = (await daemon.untilAgent(id, (a) => a.pid !== null, 'running')).pid!;
    await until(
      async () => {
        const { agents } = await tool().execute({ action: 'agent_list', template_id: 'Worker_v1' });
        return agents.some((agent) => agent.agent_id === id && agent.state === 'running');
      },
      { what: 'the list' },
    );
    const logs = async (): Promise<string[]> => {
      const over = name === 'REST' ? tool() : new AgentManagerTool(rest);
      return (await over.execute({ action: 'agent:logs', agent_id: id, tail: 5 })).lines;
    };
    await until(async () => (await logs()).includes('depth 7'), { what: 'the first line' });
    expect(await tool().execute({ action: 'agent:signal', agent_id: id, name: 'SIGHUP' })).toMatchObject({
      agent_id: id,
    });
    await until(async () => (await logs()).includes('hup'), { what: 'the signal' });
    await tool().execute({ action: 'agent:restart', agent_id: id });
    await daemon.untilAgent(id, (a) => a.state === 'running' && a.generation === 2, 'restarted');
    expect(isAlive(seen)).toBe(false);
    expect(await tool().execute({ action: 'agent:stop', agent_id: id, grace: '1s' })).toEqual({
      agent_id: id,
      deleted: true,
    });
    expect(await daemon.agent(id)).toBeUndefined();
    const gone = { code: 'AGENT_NOT_FOUND' };
    await expect(tool().execute({ action: 'agent:status', agent_id: id })).rejects.toMatchObject(gone);
    await expect(tool().execute({ action: 'agent:stop', agent_id: id })).rejects.toMatchObject(gone);
  }, 60_000);

  it('pauses and resumes', async () => {
    const agent_id = `${id}-paused`;
    await tool().execute({ action: 'agent:start', agent_id, template_id: 'Worker_v1' });
    await tool().execute({ action: 'agent:pause', agent_id });
    await daemon.untilAgent(agent_id, (a) => (a.state as string) === 'paused', 'paused');
    await tool().execute({ action: 'agent:resume', agent_id });
    await daemon.untilAgent(agent_id, (a) => a.state === 'running', 'running');
    await tool().execute({ action: 'agent:stop', agent_id });
  }, 60_000);

  it('passes refusals on with their codes', async () => {
    const start = (agent_id: string, template_id: string) =>
      tool().execute({ action: 'agent:start', agent_id, template_id });
    await expect(start(`${id}-x`, 'Nowhere_v1')).rejects.toMatchObject({
      code: 'TEMPLATE_NOT_FOUND',
      message: expect.stringContaining('Nowhere_v1'),
    });
    await start(`${id}-y`, 'Worker_v1');
    await expect(start(`${id}-y`, 'Worker_v1')).rejects.toMatchObject({ code: 'AGENT_EXISTS' });
    await tool().execute({ action: 'agent:stop', agent_id: `${id}-y` });
  }, 60_000);
});

describe('AgentManagerTool', () => {
  const tool = new AgentManagerTool(new RestTransport({ url: 'http://127.0.0.1:1', token: 'x' }));

  it.each([
    [{ action: 'agent:explode' }, 'expected one of agent:start, agent:stop'],
    [{ action: 'agent:start', agent_id: 'a' }, 'agent:start: template_id is missing'],
    [{ action: 'agent:stop', agent_id: 5 }, 'agent:stop: agent_id is 5; expected string'],
    [{ action: 'agent:status', agent_id: 'a', force: true }, 'agent:status: force is not known; known: agent_id'],
  ])('refuses %j before any call', async (action, message) => {
    await expect(tool.execute(action as Record<string, unknown>)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining(message),
    });
  });

  it('says that nobody answers, and what is missing in the environment', async () => {
    await expect(tool.execute({ action: 'agent:list' })).rejects.toMatchObject({ code: 'DAEMON_NOT_RUNNING' });
    expect(() => RestTransport.fromEnvironment({})).toThrow('OPENSTARRY_API_URL is not in the environment');
  });

  it('has the same functions in Python', () => {
    const python = JSON.parse(readFileSync(path.join(PYTHON, 'openstarry/functions.json'), 'utf8')) as unknown;
    expect(python).toEqual(FUNCTIONS);
  });
});

describe('AgentManagerTool in Python', () => {
  it('has the same verbs over REST', async () => {
    const script = `
import json
from openstarry import AgentManagerTool, DaemonError
tool = AgentManagerTool()
out = []
out.append(tool.execute("agent:start", agent_id="py", template_id="Worker_v1")["state"])
out.append(tool.execute({"action": "agent.status", "agent_id": "py"})["generation"])
out.append([a["agent_id"] for a in tool.execute("agent_list")["agents"]])
out.append(tool.execute("agent:signal", agent_id="py", name="SIGHUP")["agent_id"])
out.append(tool.execute("agent:restart", agent_id="py")["generation"])
out.append("depth 1" in tool.execute("agent:logs", agent_id="py", tail=50)["lines"])
out.append(tool.execute("agent:stop", agent_id="py", grace="1s"))
for args in ({"agent_id": "py"}, {"agent_id": "py", "x": 1}, {}):
    try:
        tool.execute("agent:status", **args)
    except DaemonError as error:
        out.append(error.code)
print(json.dumps(out))
`;
    const env = { ...process.env, PYTHONPATH: PYTHON, OPENSTARRY_API_URL: access.url, OPENSTARRY_TOKEN: access.token };
    const { code, output } = await runCommand('python3', ['-B', '-c', script], { env });
    expect(code, output).toBe(0);
    expect(JSON.parse(output)).toEqual([
      'running',
      1,
      ['py'],
      'py',
      2,
      true,
      { agent_id: 'py', deleted: true },
      'AGENT_NOT_FOUND',
      'INVALID_REQUEST',
      'INVALID_REQUEST',
    ]);
  }, 60_000);
});

it('the packages are those that the root package exports', () => {
  const root = JSON.parse(readFileSync(path.join(inject('root'), 'package.json'), 'utf8')) as {
    exports: Record<string, { default: string }>;
  };
  for (const name of ['./sdk', './sdk/temporal'])
    expect(readFileSync(path.join(inject('root'), root.exports[name]!.default), 'utf8')).toContain('export');
});
