import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { startDevServer, type DevServer } from '../support/dev-server.ts';

/** So early does this server suggest a new run; by default after 4,096 events. */
const SUGGEST_AT_EVENTS = 60;

describe('continue-as-new, on a Temporal server of the user', () => {
  let folder: string;
  let server: DevServer;
  let daemon: TestDaemon;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-can-'));
    const extraArgs = ['--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${SUGGEST_AT_EVENTS}`];
    server = await startDevServer({ cli: inject('temporalCli'), folder, extraArgs });
    daemon = await TestDaemon.make(
      { defaults: { backoff: { initial: '10ms', max: '50ms' } } },
      { env: { TEMPORAL_ADDRESS: server.address } },
    );
    await daemon.start();
  }, 60_000);

  afterAll(async () => {
    await daemon?.end();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('starts no Temporal of its own', async () => {
    expect((await daemon.custody()).entries.filter((entry) => entry.agent.startsWith('_'))).toEqual([]);
    expect((await daemon.status()).temporal).toMatchObject({ address: server.address, embedded: false });
  });

  it('carries a life from run to run: the process, the counters and the history stay', async () => {
    const agent = { agent_id: 'long', command: ['sleep', '3600'], fault_domain: 'data' };
    const first = (await daemon.call<AgentView>('POST', '/agents', agent)).body;
    const runs = new Set([first.run_id]);
    let view = first;
    for (let kills = 1; kills <= 12; kills += 1) {
      process.kill(view.pid!, 'SIGKILL');
      view = await daemon.untilAgent('long', (a) => a.state === 'running' && a.generation === kills + 1, 'replaced');
      runs.add(view.run_id);
    }
    expect(runs.size).toBeGreaterThan(1);
    expect(view.restarts).toBe(12);
    const { body } = await daemon.call<{ entries: { reason: string }[] }>('GET', '/agents/long/history?limit=200');
    for (let n = 1; n <= 12; n += 1) expect(JSON.stringify(body)).toContain(`restart ${n}: generation ${n} was killed`);
  }, 60_000);

  it('hands a live process over to the next run: its end is told there', async () => {
    const agent = { agent_id: 'busy', command: ['sleep', '3600'] };
    const first = (await daemon.call<AgentView>('POST', '/agents', agent)).body;
    let view = first;
    // Commands that change nothing make history, and no new process.
    while (view.run_id === first.run_id) {
      await daemon.call('POST', '/agents/busy/start');
      view = (await daemon.agent('busy'))!;
    }
    expect([view.pid, view.generation]).toEqual([first.pid, 1]);
    process.kill(view.pid!, 'SIGKILL');
    const next = await daemon.untilAgent('busy', (a) => a.state === 'running' && a.generation === 2, 'replaced');
    expect(next).toMatchObject({ restarts: 1, last_exit: { signal: 'SIGKILL' } });
  }, 60_000);
});
