import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, describe, expect, it } from 'vitest';
import { workflowIdOf } from '../../src/contract/names.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const isRunning = ({ state }: { state: string }): boolean => state === 'running';
const fleet = () =>
  TestDaemon.make({
    agents: {
      vital: { command: ['sleep', '36101'], fault_domain: 'critical' },
      other: { command: ['sleep', '36101'] },
    },
  });

describe('a fail-stop', () => {
  let daemon: TestDaemon | undefined;
  afterEach(() => daemon?.end());
  const isWritten = (): boolean => existsSync(path.join(daemon!.stateDir, 'failstop.json'));

  it('of which Temporal has not heard that it was carried out is not carried out again', async () => {
    daemon = await fleet();
    daemon.env['OPENSTARRY_FAILPOINT'] = 'daemon.in-fail-stop';
    await daemon.start();
    const vital = await daemon.untilAgent('vital', isRunning, 'running');
    const other = await daemon.untilAgent('other', isRunning, 'running');
    const died = once(daemon.process!, 'exit');
    process.kill(vital.pid!, 'SIGKILL');
    await died;
    expect(isWritten()).toBe(true);
    delete daemon.env['OPENSTARRY_FAILPOINT'];
    await daemon.start(['--clear-failstop']);

    const connection = await Connection.connect({ address: (await daemon.status()).temporal.address });
    const client = new Client({ connection });
    const pending = async () => {
      const { raw } = await client.workflow.getHandle(workflowIdOf('vital')).describe();
      return (raw.pendingActivities ?? []).find(({ activityType }) => activityType?.name === 'failStop');
    };
    const { activityId } = (await pending())!;
    // Sooner than by its time-out, Temporal finds that the call was lost, and makes it again.
    await client.activity.fail({ workflowId: workflowIdOf('vital'), activityId: activityId! }, new Error('lost'));
    await until(async () => (await pending()) === undefined, { what: 'the second call' });
    await connection.close();

    await daemon.untilAgent('vital', isRunning, 'running');
    expect((await daemon.status()).phase).toBe('run');
    expect(isWritten()).toBe(false);
    expect(isAlive(other.pid!)).toBe(true);
  }, 90_000);

  it('for a death while the daemon was down is carried out by the next start', async () => {
    daemon = await fleet();
    await daemon.start();
    const vital = await daemon.untilAgent('vital', isRunning, 'running');
    const other = await daemon.untilAgent('other', isRunning, 'running');
    await daemon.signal('SIGKILL');
    process.kill(vital.pid!, 'SIGKILL');
    const next = daemon.launch(['start']);
    expect((await once(next, 'exit'))[0]).toBe(78);
    expect(isWritten()).toBe(true);
    expect(isAlive(other.pid!)).toBe(false);
    await daemon.start(['--clear-failstop']);
    for (const id of ['vital', 'other']) await daemon.untilAgent(id, isRunning, 'running');
  }, 90_000);

  it('of an agent that is gone is cleared all the same, with a warning', async () => {
    daemon = await fleet();
    await daemon.start();
    const vital = await daemon.untilAgent('vital', isRunning, 'running');
    const ended = once(daemon.process!, 'exit');
    process.kill(vital.pid!, 'SIGKILL');
    expect((await ended)[0]).toBe(78);
    const next = path.join(daemon.dir, 'next.yaml');
    const before = await readFile(path.join(daemon.dir, 'openstarry.yaml'), 'utf8');
    await writeFile(next, before.replace('vital:', 'else:').replace('fault_domain: critical', 'fault_domain: default'));
    const child = daemon.launch(['start', '--config', next, '--switch-config', '--clear-failstop']);
    const status = await until(() => daemon!.status().catch(() => undefined), { what: 'a daemon that runs' });
    await daemon.untilAgent('other', isRunning, 'running');
    await until(() => daemon!.output.includes('OpenStarry Orchestrator Daemon'), { what: 'the banner' });
    expect([status.pid, child.exitCode]).toEqual([child.pid, null]);
    expect(daemon.output).toContain('but vital is not started again: There is no agent vital');
    expect(isWritten()).toBe(false);
  }, 90_000);
});
