import { readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon | undefined;
afterEach(async () => {
  await daemon?.end();
  daemon = undefined;
});

const SLEEPER = { command: ['sleep', '100000'] };

/** Runs the command line to its end. */
async function cli(self: TestDaemon, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = self.launch(args);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: self.output };
}

const configOf = (self: TestDaemon): string => path.join(self.dir, 'openstarry.yaml');
const pidOf = async (self: TestDaemon): Promise<number> => (await self.status()).pid;

/** The pid of the daemon, once it is another one and runs. */
const nextPid = (self: TestDaemon, before: number): Promise<number> =>
  until(
    async () => {
      const status = await self.status().catch(() => undefined);
      return status !== undefined && status.pid !== before && status.phase === 'run' ? status.pid : undefined;
    },
    { deadlineMs: 20_000, what: 'the next daemon' },
  );

describe('start -d', () => {
  it('survives its terminal, comes back when it is killed, restarts, and stops for good; its agent runs on until then', async () => {
    daemon = await TestDaemon.make({ agents: { a: SLEEPER } });
    const started = await cli(daemon, 'start', '-d', '--config', configOf(daemon));
    expect([started.code, started.output]).toEqual([0, expect.stringContaining('runs in the background (pid ')]);
    const agent = await daemon.untilAgent('a', ({ state }) => state === 'running', 'runs');
    const first = await pidOf(daemon);
    expect((await daemon.status()).phases.map(({ phase }) => phase)).toEqual(['init', 'start', 'run', 'supervise']);

    const again = await cli(daemon, 'start', '-d', '--config', configOf(daemon));
    expect([again.code, again.output]).toEqual([5, expect.stringContaining('DAEMON_RUNNING')]);

    process.kill(first, 'SIGKILL');
    const second = await nextPid(daemon, first);
    const restarted = await cli(daemon, 'restart', '--json');
    expect([restarted.code, restarted.output]).toEqual([0, expect.any(String)]);
    const third = (JSON.parse(restarted.output) as { pid: number }).pid;
    expect(new Set([first, second, third]).size).toBe(3);
    expect(isAlive(second)).toBe(false);
    const adopted = await daemon.untilAgent('a', ({ state }) => state === 'running', 'still runs');
    expect([adopted.pid, adopted.generation]).toEqual([agent.pid, 1]);

    const stopped = await cli(daemon, 'stop');
    expect([stopped.code, stopped.output]).toEqual([0, expect.stringContaining('is stopped, and so are its agents')]);
    expect([third, agent.pid!].filter(isAlive)).toEqual([]);
    await until(
      () =>
        daemon!.custody().then(
          () => false,
          () => true,
        ),
      { what: 'the end of the custodian' },
    );
  });

  it('comes back also after its custodian was killed, and stays away after stop --keep-agents', async () => {
    daemon = await TestDaemon.make({ agents: { a: SLEEPER } });
    expect((await cli(daemon, 'start', '-d', '--config', configOf(daemon))).code).toBe(0);
    const { pid: agentPid } = await daemon.untilAgent('a', ({ state }) => state === 'running', 'runs');
    const first = await pidOf(daemon);
    const custodian = (await daemon.custody()).pid;
    process.kill(custodian, 'SIGKILL');
    const log = path.join(daemon.stateDir, 'custodian.log');
    await until(async () => (await readFile(log, 'utf8')).split('should it crash').length === 3, {
      what: 'the daemon to have told the new custodian how to start it again',
    });
    expect((await daemon.status()).pid).toBe(first);
    process.kill(first, 'SIGKILL');
    const second = await nextPid(daemon, first);
    expect((await daemon.agent('a'))?.pid).toBe(agentPid);

    expect((await cli(daemon, 'stop', '--keep-agents')).code).toBe(0);
    expect([isAlive(second), isAlive(agentPid!)]).toEqual([false, true]);
    // The process may be gone before the custodian has reaped it.
    const ended = async (): Promise<boolean> =>
      (await daemon!.custody()).entries.every(({ agent, live }) => agent !== '_daemon' || live === undefined);
    await until(ended, { what: 'the custodian to have noted the end of the daemon' });
  });

  it('does not clear a later fail-stop because this one start has cleared one', async () => {
    daemon = await TestDaemon.make({ agents: { a: SLEEPER } });
    expect((await cli(daemon, 'start', '-d', '--config', configOf(daemon), '--clear-failstop')).code).toBe(0);
    const first = await pidOf(daemon);
    const decided = { agent_id: 'a', reason: 'gave up', decided_at_ms: 1, at: '2026-01-31T09:00:00.000Z' };
    await writeFile(path.join(daemon.stateDir, 'failstop.json'), JSON.stringify(decided));
    process.kill(first, 'SIGKILL');
    const end = await until(
      async () => {
        const { entries } = await daemon!.custody();
        const own = entries.find(({ agent }) => agent === '_daemon');
        return own?.live === undefined && own?.custody.last_exit?.generation === 2 ? own.custody.last_exit : undefined;
      },
      { deadlineMs: 20_000, what: 'the end of the next daemon' },
    );
    expect(end.code).toBe(78);
  });

  it('tells why it could not start, and leaves nothing running', async () => {
    daemon = await TestDaemon.make({ agents: { a: { command: [] } } });
    const failed = await cli(daemon, 'start', '-d', '--config', configOf(daemon));
    expect([failed.code, failed.output]).toEqual([2, expect.stringMatching(/^CONFIG_INVALID .*agents\.a\.command/)]);
    await until(
      async () =>
        await daemon!.custody().then(
          () => false,
          () => true,
        ),
      { what: 'the end of the custodian' },
    );
  });
});
