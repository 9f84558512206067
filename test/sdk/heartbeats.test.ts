import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Agent } from '../../sdk/typescript/src/index.ts';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { StateEntryView } from '../../src/contract/messaging-views.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { seatOf, sit } from './seats.ts';

const PERIOD_MS = 5000;

/** Says what a heartbeat cannot carry, and keeps in its state what came of that. */
const PYTHON_AGENT = `
from openstarry import Agent
agent = Agent()
agent.begin()
agent.heartbeat(progress="1 of 2", usage={"tokens": 3})
refusals = []
for bad in ["x" * 1001, float("nan"), object()]:
    try:
        agent.heartbeat(progress=bad)
    except Exception as error:
        refusals.append(getattr(error, "code", type(error).__name__))
agent.state.put("refusals", refusals)
agent.wait()
`;

let daemon: TestDaemon;
const open: Agent[] = [];

beforeAll(async () => {
  // The environment of an agent names the port: it has to be the same after a death of the daemon.
  const { api } = await choosePorts({ api: 0 });
  daemon = await TestDaemon.make({
    ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
    defaults: { stop: { grace: '2s' } },
  });
  await writeFile(path.join(daemon.dir, 'beating.py'), PYTHON_AGENT);
  await daemon.start();
}, 60_000);
afterAll(async () => {
  await Promise.all(open.map((agent) => agent.stop()));
  await daemon?.end();
});

const health = { liveness: { heartbeat: `${PERIOD_MS}ms` } };

async function beating(agentId: string, more: Record<string, unknown> = { health }) {
  await seatOf(daemon, agentId, more);
  const agent = await sit(daemon, agentId, { heartbeats: true });
  open.push(agent);
  void agent.run().catch((error: unknown) => void agent.lines.push(String(error)));
  return agent;
}

/** It lives on for longer than it may be silent. */
const untilHeardAfter = (agentId: string, atMs: number): Promise<AgentView> =>
  daemon.untilAgent(
    agentId,
    ({ heartbeat }) => Date.parse(heartbeat?.at ?? '') > atMs + PERIOD_MS + 1000,
    'beating',
    30_000,
  );

describe.concurrent('heartbeats', () => {
  it('come as often as they are wanted, with what was said last', async () => {
    const agent = await beating('ts');
    await agent.heartbeat({ progress: '1 of 2', usage: { tokens: 5 } });
    const later = await untilHeardAfter('ts', Date.now());
    expect(later).toMatchObject({ restarts: 0, heartbeat: { progress: '1 of 2', usage: { tokens: 5 } } });
    expect(agent.lines).toEqual([]);
  }, 60_000);

  it('go on with what was heard after one that was refused, in TypeScript', async () => {
    const agent = await beating('refused');
    await agent.heartbeat({ progress: '1 of 2' });
    const refusal = { code: 'INVALID_REQUEST' };
    await expect(agent.heartbeat({ progress: 'x'.repeat(1001) })).rejects.toMatchObject(refusal);
    await expect(agent.heartbeat({ usage: { tokens: Number.NaN } })).rejects.toMatchObject(refusal);
    const later = await untilHeardAfter('refused', Date.now());
    expect(later).toMatchObject({ restarts: 0, heartbeat: { progress: '1 of 2' } });
    expect(agent.lines).toEqual([]);
  }, 60_000);

  it('go on with what was heard after one that was refused, in Python', async () => {
    const made = await daemon.call('POST', '/agents', {
      agent_id: 'py',
      command: ['python3', '-B', '-u', 'beating.py'],
      env: { PYTHONPATH: path.join(inject('root'), 'sdk', 'python') },
      cwd: daemon.dir,
      health,
    });
    expect(made.status).toBe(201);
    const refusals = await until(
      async () => {
        const { status, body } = await daemon.call<StateEntryView>('GET', '/state/agents/py/refusals');
        return status === 200 ? body.value : undefined;
      },
      { what: 'the refusals', deadlineMs: 20_000 },
    );
    expect(refusals).toEqual(['INVALID_REQUEST', 'ValueError', 'TypeError']);
    const later = await untilHeardAfter('py', Date.now());
    expect(later).toMatchObject({ restarts: 0, heartbeat: { progress: '1 of 2', usage: { tokens: 3 } } });
  }, 60_000);
});

describe('heartbeats, after the death of the daemon,', () => {
  it('tell what was said while it was away', async () => {
    const agent = await beating('away', {});
    await agent.heartbeat({ progress: '1 of 2' });
    daemon.process!.kill('SIGKILL');
    await expect(
      until(() => agent.heartbeat({ progress: '2 of 2' }), { what: 'a refusal' }), // it may still be heard before it dies
    ).rejects.toMatchObject({ code: 'DAEMON_NOT_RUNNING' });
    await daemon.start();
    await daemon.untilAgent('away', ({ heartbeat }) => heartbeat?.progress === '2 of 2', 'heard', 60_000);
  }, 90_000);
});
