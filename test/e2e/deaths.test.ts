import { afterEach, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const TWENTY = 20;
/** Seconds that no other test sleeps. */
const SLEEP = '36007';

describe('the death of anything', () => {
  let daemon: TestDaemon | undefined;
  afterEach(async () => daemon?.end());

  const fleet = async (count = TWENTY): Promise<{ daemon: TestDaemon; pids: Map<string, number> }> => {
    const agents = Object.fromEntries(
      Array.from({ length: count }, (_, n) => [`a${n}`, { command: ['sleep', SLEEP] }]),
    );
    daemon = await TestDaemon.make({
      agents,
      defaults: { backoff: { initial: '200ms' }, stop: { grace: '2s' } },
    });
    await daemon.start();
    return { daemon, pids: await running(daemon, count) };
  };

  it('of the daemon stops no agent: the same pids, adopted; an exit meanwhile is recorded once, the policy applied once', async () => {
    const { daemon, pids } = await fleet();
    const { body: seven } = await daemon.call<AgentView>('POST', '/agents', {
      agent_id: 'seven',
      command: ['sh', '-c', 'trap "exit 7" USR1; while :; do sleep 0.05; done'],
    });
    await daemon.signal('SIGKILL');
    process.kill(seven.pid!, 'SIGUSR1');
    await until(() => !isAlive(seven.pid!), { what: 'exit 7' });
    await daemon.start();
    const again = await daemon.untilAgent('seven', (a) => a.state === 'running' && a.generation === 2, 'running again');
    expect(again).toMatchObject({ restarts: 1, last_exit: { code: 7, signal: null } });
    expect(await running(daemon)).toEqual(pids);
    const history = JSON.stringify((await daemon.call('GET', '/agents/seven/history')).body);
    expect(history.split('generation 1 exited with code 7').length - 1).toBeLessThanOrEqual(2); // back-off, restart
  }, 90_000);

  it('of Temporal stops no agent, and it comes back by itself', async () => {
    const { daemon, pids } = await fleet();
    const temporal = (await daemon.custody()).entries.find((entry) => entry.agent === '_temporal')!.live!;
    process.kill(temporal.pid, 'SIGKILL');
    process.kill(pids.get('a0')!, 'SIGKILL');
    const replaced = await daemon.untilAgent(
      'a0',
      (a) => a.state === 'running' && a.generation === 2,
      'replaced',
      60_000,
    );
    expect(replaced.restarts).toBe(1);
    expect(new Map(await running(daemon)).set('a0', 0)).toEqual(new Map(pids).set('a0', 0));
  }, 120_000);

  it('of daemon, Temporal and custodian at once doubles nothing and loses nothing', async () => {
    const { daemon, pids } = await fleet();
    const held = await daemon.custody();
    const temporal = held.entries.find((entry) => entry.agent === '_temporal')!.live!;
    process.kill(held.pid, 'SIGKILL');
    process.kill(temporal.pid, 'SIGKILL');
    await daemon.signal('SIGKILL');
    process.kill(pids.get('a0')!, 'SIGKILL');
    await until(() => !isAlive(pids.get('a0')!), { what: 'the death of a0' });
    await daemon.start();
    const first = await daemon.untilAgent('a0', (a) => a.state === 'running' && a.generation === 2, 'replaced', 60_000);
    expect(first).toMatchObject({ restarts: 0, last_exit: { code: null, signal: null } });
    expect(new Map(await running(daemon)).set('a0', 0)).toEqual(new Map(pids).set('a0', 0));
    expect(await sleepers()).toHaveLength(TWENTY);
  }, 120_000);

  it('of the custodian alone is made good by the daemon', async () => {
    const { daemon, pids } = await fleet();
    const { pid } = await daemon.custody();
    process.kill(pid, 'SIGKILL');
    await until(async () => (await daemon.custody().catch(() => undefined))?.pid !== pid, {
      what: 'another custodian',
    });
    process.kill(pids.get('a1')!, 'SIGKILL');
    const replaced = await daemon.untilAgent(
      'a1',
      (a) => a.state === 'running' && a.generation === 2,
      'replaced',
      40_000,
    );
    expect(replaced.last_exit).toMatchObject({ code: null, signal: null });
    expect(new Map(await running(daemon)).set('a1', 0)).toEqual(new Map(pids).set('a1', 0));
  }, 90_000);

  it('Ctrl-C ends everything in order and the next start brings back exactly what should run', async () => {
    const { daemon, pids } = await fleet(5);
    await daemon.call('POST', '/agents/a1/stop');
    await daemon.call('POST', '/agents', { agent_id: 'once', command: ['true'] });
    await daemon.untilAgent('once', (a) => a.state === 'completed', 'completed');
    const held = await daemon.custody();
    expect(await daemon.signal('SIGINT')).toBe(0);
    await until(() => !isAlive(held.pid), { what: 'the end of the custodian' });
    for (const { live } of held.entries) if (live) expect(isAlive(live.pid)).toBe(false);

    await daemon.start();
    for (const id of ['a0', 'a2', 'a3', 'a4']) {
      const view = await daemon.untilAgent(id, (a) => a.state === 'running', 'running');
      expect([view.restarts, view.pid === pids.get(id)]).toEqual([0, false]);
    }
    expect((await daemon.agent('a1'))?.state).toBe('stopped');
    expect((await daemon.agent('once'))?.state).toBe('completed');
  }, 90_000);

  it('of a critical agent is a fail-stop: all down, exit 78, no start before it is cleared', async () => {
    daemon = await TestDaemon.make({
      agents: {
        vital: { command: ['sh', '-c', 'sleep 3600'], fault_domain: 'critical' },
        other: { command: ['sleep', '3600'] },
      },
    });
    await daemon.start();
    const vital = await daemon.untilAgent('vital', (a) => a.state === 'running', 'running');
    const other = await daemon.untilAgent('other', (a) => a.state === 'running', 'running');
    const ended = new Promise<number | null>((resolve) => daemon!.process!.once('exit', resolve));
    process.kill(vital.pid!, 'SIGKILL');
    expect(await ended).toBe(78);
    expect(isAlive(other.pid!)).toBe(false);
    const refused = daemon.launch(['start']);
    expect(await new Promise((resolve) => refused.once('exit', resolve))).toBe(78);
    await daemon.start(['--clear-failstop']);
    await daemon.untilAgent('vital', (a) => a.state === 'running', 'running');
  }, 90_000);

  it('between the dispatch of a start and the start itself loses nothing: it is dispatched again', async () => {
    daemon = await TestDaemon.make({
      agents: { b0: { command: ['sleep', SLEEP], backoff: { initial: '1s' } } },
    });
    await daemon.start();
    const first = await daemon.untilAgent('b0', (a) => a.state === 'running', 'running');
    const { address } = (await daemon.status()).temporal;
    const held = await daemon.custody();
    process.kill(first.pid!, 'SIGKILL');
    await daemon.untilAgent('b0', (a) => a.state === 'backoff', 'in back-off');
    process.kill(held.pid, 'SIGSTOP'); // the daemon will have the call, and wait for the custodian's answer
    const describe = ['workflow', 'describe', '--workflow-id', 'agent/b0', '-o', 'json', '--address', address];
    await until(
      async () => {
        const shown = JSON.parse((await run(inject('temporalCli'), describe)).stdout) as {
          pendingActivities?: { activityId: string; state: string }[];
        };
        return shown.pendingActivities?.some((a) => a.activityId === 'run/2' && a.state.endsWith('STARTED'));
      },
      { what: 'the dispatch of generation 2' },
    );
    await daemon.signal('SIGKILL');
    process.kill(held.pid, 'SIGCONT');
    await daemon.start();
    const view = await daemon.untilAgent('b0', (a) => a.state === 'running', 'running', 40_000);
    expect([view.generation, view.restarts]).toEqual([2, 1]);
  }, 90_000);

  it('a second daemon on the same directory is refused', async () => {
    const { daemon } = await fleet(1);
    const first = daemon.process;
    const second = daemon.launch(['start']);
    expect(await new Promise((resolve) => second.once('exit', resolve))).toBe(5);
    expect(daemon.output).toContain('DAEMON_RUNNING');
    daemon.process = first;
  }, 60_000);

  it('a hundred agents run, and one that is killed is replaced', async () => {
    const { daemon, pids } = await fleet(100);
    process.kill(pids.get('a42')!, 'SIGKILL');
    await daemon.untilAgent('a42', (a) => a.state === 'running' && a.generation === 2, 'replaced');
    const cli = inject('temporalCli');
    const { temporal } = await daemon.status();
    const { stdout } = await run(cli, [
      'workflow',
      'count',
      '--query',
      "AgentState='running'",
      '--address',
      temporal.address,
    ]);
    expect(stdout).toContain('100');
  }, 120_000);
});

async function running(daemon: TestDaemon, count = TWENTY): Promise<Map<string, number>> {
  const all = await until(
    async () => {
      const views = (await daemon.agents()).filter((view) => /^a\d+$/.test(view.agent_id));
      return views.length === count && views.every((view) => view.state === 'running') ? views : undefined;
    },
    { deadlineMs: 60_000, what: `${count} running agents` },
  );
  return new Map(all.map((view) => [view.agent_id, view.pid!]));
}

async function sleepers(): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'stat,args']);
  return stdout.split('\n').filter((line) => line.trim().endsWith(`sleep ${SLEEP}`) && !line.startsWith('Z'));
}
