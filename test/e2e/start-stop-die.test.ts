/** The table "Start, stop, die", row by row; what dies by itself stands in deaths.test.ts, reload in reload.test.ts. */
import { afterEach, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const isRunning = (agent: { state: string }): boolean => agent.state === 'running';
const SLEEPER = { command: ['sleep', '36051'] };

interface Pids {
  agents: Record<string, number>;
  custodian: number;
  temporal: number;
}

describe('start, stop, die', () => {
  let daemon: TestDaemon | undefined;
  afterEach(async () => daemon?.end());

  const cli = (...args: string[]) => {
    const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');
    return run(process.execPath, [entry, ...args], { env: daemon!.env, cwd: daemon!.dir });
  };

  /** Two that should run, one that an operator has stopped. */
  async function fleet(
    agents: Record<string, unknown> = { a: SLEEPER, b: SLEEPER, off: SLEEPER },
  ): Promise<TestDaemon> {
    daemon = await TestDaemon.make({ agents, defaults: { stop: { grace: '60s' }, backoff: { initial: '50ms' } } });
    await daemon.start();
    for (const id of Object.keys(agents)) await daemon.untilAgent(id, isRunning, 'running');
    if ('off' in agents) await daemon.call('POST', '/agents/off/stop');
    return daemon;
  }

  async function pidsOf(which: TestDaemon): Promise<Pids> {
    const { pid: custodian, entries } = await which.custody();
    const live = entries.filter((entry) => entry.live).map((entry): [string, number] => [entry.agent, entry.live!.pid]);
    const { _temporal: temporal = 0, ...agents } = Object.fromEntries(live);
    return { agents, custodian, temporal };
  }

  const gone = (pids: number[]) =>
    until(() => pids.every((pid) => !isAlive(pid)), { what: `the end of ${pids.join(', ')}` });

  it.each([
    ['SIGINT', (running: TestDaemon) => running.signal('SIGINT')],
    ['SIGTERM', (running: TestDaemon) => running.signal('SIGTERM')],
    [
      '`stop`',
      async (running: TestDaemon) => {
        const exit = once(running.process!, 'exit');
        await cli('stop');
        return (await exit)[0] as number;
      },
    ],
  ])(
    '%s stops agents, custodian and Temporal; the next start runs what should run',
    async (_, stop) => {
      const running = await fleet();
      const before = await pidsOf(running);
      expect(Object.keys(before.agents).toSorted()).toEqual(['a', 'b']);
      expect(await stop(running)).toBe(0);
      await gone([...Object.values(before.agents), before.custodian, before.temporal]);

      await running.start();
      for (const id of ['a', 'b']) {
        const again = await running.untilAgent(id, isRunning, 'running');
        expect(again).toMatchObject({ restarts: 0, generation: 2, last_exit: { signal: 'SIGTERM' } });
      }
      expect((await running.agent('off'))?.state).toBe('stopped');
    },
    90_000,
  );

  it('a stop ends dependents first: the Master Agent last', async () => {
    daemon = await TestDaemon.make({
      master: { agent_id: 'boss', command: ['sh', '-c', noting('boss')] },
      agents: { worker: { command: ['sh', '-c', noting('worker')] } },
    });
    await daemon.start();
    for (const id of ['boss', 'worker']) await daemon.untilAgent(id, isRunning, 'running');
    const notes = path.join(daemon.dir, 'notes');
    const read = async (): Promise<string[]> => (await readFile(notes, 'utf8').catch(() => '')).trim().split('\n');
    await until(async () => (await read()).length === 2, { what: 'both traps' });
    await daemon.signal('SIGINT');
    expect((await read()).slice(2)).toEqual(['worker ends', 'boss ends']);
  }, 60_000);

  it('nobody who reads what it says is no reason to end, nor not to stop', async () => {
    const running = await fleet({ a: SLEEPER });
    const before = await pidsOf(running);
    const { process: child } = running;
    for (const stream of [child!.stdout, child!.stderr]) stream!.destroy();
    process.kill(before.agents['a']!, 'SIGKILL'); // it would tell of that
    const again = await running.untilAgent(
      'a',
      ({ generation, state }) => generation === 2 && state === 'running',
      'again',
    );
    expect(await running.signal('SIGTERM')).toBe(0);
    await gone([again.pid!, before.custodian, before.temporal]);
  }, 60_000);

  it('a stop is carried out although nothing can be written down any more', async () => {
    const running = await fleet({ a: SLEEPER });
    const before = await pidsOf(running);
    // What it writes first would be written here.
    await mkdir(path.join(running.stateDir, `daemon.json.${running.process!.pid}.tmp`));
    expect(await running.signal('SIGTERM')).toBe(0);
    await gone([...Object.values(before.agents), before.custodian, before.temporal]);
  }, 60_000);

  it('a stop during the start ends what has been started', async () => {
    daemon = await TestDaemon.make({ agents: { a: SLEEPER }, defaults: { stop: { grace: '2s' } } });
    for (let round = 0; round < 2; round += 1) {
      const child = daemon.launch(['start', '--config', path.join(daemon.dir, 'openstarry.yaml')]);
      const exit = once(child, 'exit');
      await until(() => existsSync(path.join(daemon!.stateDir, 'daemon.json')), {
        what: 'the daemon',
        deadlineMs: 20_000,
      });
      child.kill('SIGTERM');
      expect([(await exit)[0], daemon.output]).toEqual([0, expect.stringContaining('Stopped.')]);
      expect(await daemon.custody().catch(() => undefined)).toBeUndefined();
    }
  }, 90_000);

  it('a second signal forces what does not want to end', async () => {
    const running = await fleet({
      deaf: { command: ['sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 1; done'] },
    });
    await until(async () => JSON.stringify((await running.call('GET', '/agents/deaf/logs')).body).includes('deaf'), {
      what: 'the trap',
    });
    const before = await pidsOf(running);
    running.process!.kill('SIGTERM');
    await until(() => running.output.includes('once more to stop at once'), { what: 'the first signal' });
    expect(isAlive(before.agents['deaf']!)).toBe(true);
    const began = performance.now();
    expect(await running.signal('SIGTERM')).toBe(0);
    expect(performance.now() - began).toBeLessThan(20_000);
    await gone([...Object.values(before.agents), before.custodian, before.temporal]);
  }, 90_000);

  it.each([
    ['SIGUSR2', (running: TestDaemon) => running.signal('SIGUSR2')],
    ['kill -9', (running: TestDaemon) => running.signal('SIGKILL')],
    [
      '`stop --keep-agents`',
      async (running: TestDaemon) => {
        const exit = once(running.process!, 'exit');
        await cli('stop', '--keep-agents');
        return (await exit)[0] as number;
      },
    ],
  ])(
    '%s leaves agents, custodian and Temporal as they are; the next start takes them over',
    async (_, leave) => {
      const running = await fleet();
      const before = await pidsOf(running);
      await leave(running);
      expect(await pidsOf(running)).toEqual(before);
      await running.start();
      for (const [id, pid] of Object.entries(before.agents)) {
        const adopted = await running.untilAgent(id, isRunning, 'running');
        expect(adopted).toMatchObject({ pid, generation: 1, restarts: 0 });
      }
      expect(await pidsOf(running)).toEqual(before);
      expect((await running.agent('off'))?.state).toBe('stopped');
    },
    90_000,
  );

  it('a fail-stop stops all, names the reason at each start, and once cleared everything runs again', async () => {
    const running = await fleet({ vital: { ...SLEEPER, fault_domain: 'critical' }, a: SLEEPER, off: SLEEPER });
    const before = await pidsOf(running);
    const exit = once(running.process!, 'exit');
    process.kill(before.agents['vital']!, 'SIGKILL');
    expect((await exit)[0]).toBe(78);
    await gone([...Object.values(before.agents), before.custodian, before.temporal]);
    for (let n = 0; n < 2; n += 1) {
      const refused = once(running.launch(['start']), 'exit');
      expect((await refused)[0]).toBe(78);
      for (const part of ['FAIL_STOPPED', 'vital', 'SIGKILL', '--clear-failstop'])
        expect(running.output).toContain(part);
    }
    await running.start(['--clear-failstop']);
    for (const id of ['vital', 'a']) await running.untilAgent(id, isRunning, 'running');
    expect((await running.agent('off'))?.state).toBe('stopped');
    await running.signal('SIGINT');
    await running.start();
    await running.untilAgent('vital', isRunning, 'running');
  }, 120_000);
});

const noting = (name: string): string =>
  `trap "echo ${name} ends >> notes; exit 0" TERM; echo ${name} >> notes; while :; do sleep 0.05; done`;
