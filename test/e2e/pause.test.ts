import { readFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);

function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
  } catch {
    return undefined;
  }
}

describe('pause', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.make({
      agents: { steady: { command: ['sleep', '36100'] } },
      defaults: { backoff: { initial: '50ms' }, stop: { grace: '2s' } },
    });
    await daemon.start();
  }, 90_000);
  afterAll(async () => daemon?.end());

  const post = (agentId: string, verb: string) => daemon.call<AgentView>('POST', `/agents/${agentId}/${verb}`);
  const spawn = async (agentId: string, command: string[] = ['sleep', '36101']): Promise<AgentView> =>
    (await daemon.call<AgentView>('POST', '/agents', { agent_id: agentId, command })).body;
  const metric = async (agentId: string): Promise<string | undefined> => {
    const { body } = await daemon.call<string>('GET', '/metrics');
    return new RegExp(`^agent_state\\{agent="${agentId}"\\} (\\d)`, 'm').exec(body)?.[1];
  };

  it('lets the process stand still: seen in the API and the metrics; resume lets the same go on', async () => {
    const { pid } = await spawn('p1');
    const paused = await post('p1', 'pause');
    expect(paused).toMatchObject({ status: 200, body: { state: 'paused', pid, desired: 'paused' } });
    expect(paused.body.reason).toContain('paused by an operator');
    expect(stateOf(pid!)).toBe('T');
    expect(await metric('p1')).toBe('0');
    expect((await daemon.call('POST', '/agents/p1/signal', { name: 'SIGCONT' })).status).toBe(409);
    const resumed = await post('p1', 'resume');
    expect(resumed).toMatchObject({ status: 200, body: { state: 'running', pid, restarts: 0 } });
    await until(() => stateOf(pid!) === 'S', { what: 'a process that goes on' });
    expect(await metric('p1')).toBe('1');
  });

  it('a stop, restart and start of what is paused do what they say', async () => {
    const { pid } = await spawn('p2');
    await post('p2', 'pause');
    const restarted = await post('p2', 'restart');
    expect(restarted).toMatchObject({ status: 200, body: { state: 'running', generation: 2, restarts: 0 } });
    expect(isAlive(pid!)).toBe(false);
    await post('p2', 'pause');
    expect((await post('p2', 'start')).body).toMatchObject({ state: 'running', generation: 2 });
    await post('p2', 'pause');
    expect((await post('p2', 'stop')).body).toMatchObject({ state: 'stopped', last_exit: { signal: 'SIGTERM' } });
    const refused = await post('p2', 'pause');
    expect(refused).toMatchObject({ status: 409, body: { error: { code: 'AGENT_NOT_RUNNING' } } });
    expect((await daemon.call('DELETE', '/agents/p2')).status).toBe(200);
  });

  it('a process that is killed while paused is replaced by the resume, and not before', async () => {
    const { pid } = await spawn('p3');
    await post('p3', 'pause');
    process.kill(pid!, 'SIGKILL');
    const lost = await daemon.untilAgent('p3', (a) => a.pid === null && a.restarts === 1, 'without a process');
    expect(lost).toMatchObject({ state: 'paused', last_exit: { signal: 'SIGKILL' } });
    expect((await post('p3', 'resume')).body).toMatchObject({ state: 'running', generation: 2 });
  });

  it('by the tools of Temporal is the same', async () => {
    const { pid } = await spawn('p4');
    const { temporal } = await daemon.status();
    const command = async (...args: string[]): Promise<void> => {
      await run(inject('temporalCli'), [
        'workflow',
        ...args,
        '--address',
        temporal.address,
        '--workflow-id',
        'agent/p4',
      ]);
    };
    await command('signal', '--name', 'pause');
    await daemon.untilAgent('p4', (a) => a.state === 'paused', 'paused');
    await until(() => stateOf(pid!) === 'T', { what: 'a process that stands' });
    await command('update', 'execute', '--name', 'resume');
    await daemon.untilAgent('p4', (a) => a.state === 'running' && a.pid === pid, 'running again');
  });

  it('outlives the death of the daemon and of its custodian; the same process goes on after all', async () => {
    const { pid } = await spawn('p5');
    await post('p5', 'pause');
    const { pid: custodian } = await daemon.custody();
    await daemon.signal('SIGKILL');
    process.kill(custodian, 'SIGKILL');
    await until(() => !isAlive(custodian), { what: 'the death of the custodian' });
    process.kill(pid!, 'SIGCONT');
    await daemon.start();
    expect(await daemon.untilAgent('p5', (a) => a.pid === pid, 'adopted')).toMatchObject({ state: 'paused' });
    await until(() => stateOf(pid!) === 'T', { what: 'a process that stands' });
    // A workflow task that the dead daemon has taken along comes back after its time-out.
    await until(async () => (await post('p5', 'resume')).status === 200, { deadlineMs: 30_000, what: 'the resume' });
    expect(await daemon.agent('p5')).toMatchObject({ state: 'running', pid });
    await until(() => stateOf(pid!) === 'S', { what: 'a process that goes on' });
  }, 60_000);

  it('outlives an ordered shutdown: nothing of it runs until it is resumed', async () => {
    await spawn('p6');
    await post('p6', 'pause');
    expect(await daemon.signal('SIGTERM')).toBe(0);
    await daemon.start();
    await daemon.untilAgent('steady', (a) => a.state === 'running', 'running');
    expect(await daemon.untilAgent('p6', (a) => a.pid === null, 'without a process')).toMatchObject({
      state: 'paused',
    });
    expect((await post('p6', 'resume')).body).toMatchObject({ state: 'running', generation: 2 });
  }, 60_000);

  it('and resume of many at once', async () => {
    const paused = await daemon.call<{ settled: number; failed: number }>('POST', '/agents:pause', { all: true });
    expect(paused.body.failed).toBe(0);
    const states = (await daemon.agents()).map(({ state }) => state);
    expect(new Set(states)).toEqual(new Set(['paused']));
    const resumed = await daemon.call<{ settled: number; total: number }>('POST', '/agents:resume', { all: true });
    expect(resumed.body.settled).toBe(resumed.body.total);
  });
});
