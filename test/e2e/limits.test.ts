import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
/** Burns processor time in a child, not in the main process: a limit is for the whole tree. */
const BURN = ['sh', '-c', 'sh -c "while :; do :; done" & wait'];
/** Holds as many MiB as it is told. */
const HOG = 'import sys, time; x = bytearray(int(sys.argv[1]) * 2**20); print("full", flush=True); time.sleep(36000)';

describe('limits', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.make({ defaults: { backoff: { initial: '50ms' }, stop: { grace: '2s' } } });
    await writeFile(path.join(daemon.dir, 'hog.py'), HOG);
    await daemon.start();
  }, 90_000);
  afterAll(async () => daemon?.end());

  const post = async (body: Record<string, unknown>): Promise<AgentView> =>
    (await daemon.call<AgentView>('POST', '/agents', body)).body;
  const hog = (mib: number): string[] => ['python3', path.join(daemon.dir, 'hog.py'), String(mib)];
  const history = async (agentId: string): Promise<string> =>
    JSON.stringify((await daemon.call('GET', `/agents/${agentId}/history`)).body);

  it('shows what a tree takes, in the API, the metrics and the command line', async () => {
    await post({ agent_id: 'hog', command: hog(100), limits: { memory: '1GiB' } });
    const enough = (a: AgentView): boolean => (a.resources?.memory_bytes ?? 0) > 100 * 2 ** 20;
    const seen = await daemon.untilAgent('hog', enough, 'with its memory', 20_000);
    expect(seen.limits).toEqual({ memory_bytes: 2 ** 30, cpu_percent: null, for_ms: 10_000, action: 'restart' });
    const { body } = await daemon.call<string>('GET', '/metrics');
    expect(Number(/^agent_memory_bytes\{agent="hog"\} (\d+)/m.exec(body)?.[1])).toBeGreaterThan(100 * 2 ** 20);
    expect(body).toMatch(/^agent_cpu_percent\{agent="hog"\} [\d.]+/m);
    const show = async (...args: string[]): Promise<string> => {
      const entry = path.join(import.meta.dirname, '../../dist/cli/main.js');
      return (await run(process.execPath, [entry, ...args], { env: daemon.env, cwd: daemon.dir })).stdout;
    };
    expect(await show('agents', 'show', 'hog')).toMatch(/cpu [\d.]+%, memory 1\d\d MiB of 1 GiB/);
    expect(await show('agents', 'ls')).toMatch(/hog .* 1\d\d MiB/);
  });

  it('restart: a worker over its cpu limit is ended and started again, which counts as a failure', async () => {
    // Low, because the machine may be busy with other tests.
    const limits = { cpu: '5%', for: '1s' };
    const { pid } = await post({ agent_id: 'burner', command: BURN, limits });
    const replaced = await daemon.untilAgent('burner', (a) => a.generation === 2, 'replaced', 30_000);
    expect(isAlive(pid!)).toBe(false);
    expect(replaced).toMatchObject({ restarts: 1, last_exit: { signal: 'SIGTERM' } });
    expect(replaced.last_exit?.reason).toMatch(
      /^generation 1 was stopped over its limit: cpu \d+%, over its limit of 5% for [\d.]+ s \(SIGTERM\) after /,
    );
    const gone = await daemon.untilAgent('burner', (a) => a.state === 'disabled', 'given up', 60_000);
    expect(gone).toMatchObject({ restarts: 3, pid: null });
  }, 120_000);

  it('kill: SIGKILL at once for one that takes too much memory', async () => {
    const stubborn = `import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n${HOG}`;
    await writeFile(path.join(daemon.dir, 'stubborn.py'), stubborn);
    const limits = { memory: '64MiB', for: '0s', action: 'kill' };
    const command = ['python3', path.join(daemon.dir, 'stubborn.py'), '200'];
    await post({ agent_id: 'greedy', command, limits, stop: { grace: '1h' } });
    const replaced = await daemon.untilAgent('greedy', (a) => a.generation === 2, 'replaced', 30_000);
    expect(replaced.last_exit).toMatchObject({ signal: 'SIGKILL' });
    expect(replaced.last_exit?.reason).toContain('over its limit of 64 MiB');
    await daemon.call('DELETE', '/agents/greedy?grace=0s');
  });

  it('stop: for good, and people are told', async () => {
    const limits = { memory: '64MiB', for: '0s', action: 'stop' };
    await post({ agent_id: 'once', command: hog(200), limits });
    const stopped = await daemon.untilAgent('once', (a) => a.state === 'stopped', 'stopped', 30_000);
    expect(stopped).toMatchObject({ desired: 'stopped', pid: null, restarts: 0 });
    expect(stopped.reason).toContain('over its limit of 64 MiB');
    expect(await history('once')).toContain('notice of once: stopped for good: memory');
  });

  it('notify: the agent runs on, and its history tells, once', async () => {
    const limits = { memory: '64MiB', for: '0s', action: 'notify' };
    const { pid } = await post({ agent_id: 'watched', command: hog(200), limits });
    await daemon.untilAgent('watched', (a) => (a.resources?.memory_bytes ?? 0) > 2 ** 27, 'full', 20_000);
    await daemon.untilAgent('watched', () => true, 'seen');
    expect(await daemon.agent('watched')).toMatchObject({ state: 'running', pid });
    const told = await history('watched');
    expect(told.split('notice of watched: memory').length - 1).toBe(1);
  });

  it('a paused agent is held to no limit before it goes on', async () => {
    const limits = { memory: '64MiB', for: '1s' };
    const { pid } = await post({ agent_id: 'still', command: hog(200), limits });
    await daemon.call('POST', '/agents/still/pause');
    const since = Date.now();
    await until(() => Date.now() - since > 5_000, { what: 'several samples' });
    expect(await daemon.agent('still')).toMatchObject({ state: 'paused', pid, generation: 1 });
    await daemon.call('POST', '/agents/still/resume');
    await daemon.untilAgent('still', (a) => a.generation === 2, 'replaced', 20_000);
  });
});
