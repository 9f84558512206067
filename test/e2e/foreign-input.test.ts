import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);

/** What somebody with Temporal's own tools hands to a workflow is not what the API would have let through. */
describe('input from Temporal', () => {
  let daemon: TestDaemon;
  let address = '';
  const temporal = (...args: string[]) => run(inject('temporalCli'), [...args, '--address', address]);
  const signal = (agentId: string, name: string, input: unknown) =>
    temporal(
      'workflow',
      'signal',
      '--workflow-id',
      `agent/${agentId}`,
      '--name',
      name,
      '--input',
      JSON.stringify(input),
    );
  const start = (agentId: string, ...inputs: unknown[]) =>
    temporal(
      ...['workflow', 'start', '--type', 'agent', '--task-queue', 'orchestrator', '--workflow-id', `agent/${agentId}`],
      ...inputs.flatMap((input) => ['--input', JSON.stringify(input)]),
    );
  const statusOf = async (agentId: string): Promise<string> => {
    const { stdout } = await temporal('workflow', 'describe', '--workflow-id', `agent/${agentId}`, '--output', 'json');
    return (JSON.parse(stdout) as { workflowExecutionInfo: { status: string } }).workflowExecutionInfo.status;
  };

  beforeAll(async () => {
    const command = ['sleep', '36066'];
    const agents = Object.fromEntries(['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7'].map((id) => [id, { command }]));
    daemon = await TestDaemon.make({ agents });
    await daemon.start();
    ({ address } = (await daemon.status()).temporal);
  });
  afterAll(() => daemon.end());

  it.each([
    ['a template_id that is a number', [{ template_id: 5 }]],
    ['a template_id that is too long', [{ template_id: 'T'.repeat(4000) }]],
    ['an origin that is a number', [{ template_id: 'T', origin: 5 }]],
    ['labels that are none', [{ template_id: 'T', labels: 5 }]],
    ['half a restore', [{ template_id: 'T', restore: { generation: 3 } }]],
    ['a life of its own', [{ template_id: 'T' }, { state: { phase: { kind: 'live' } } }]],
    ['a file that it claims to come from', [{ template_id: 'T', origin: 'file /etc/x.yaml' }]],
  ])('%s: the workflow ends as failed, and the id is free', async (what, [first, ...more]) => {
    const agentId = what.replaceAll(' ', '-');
    await start(agentId, { agent_id: agentId, ...first }, ...more);
    await expect.poll(() => statusOf(agentId), { timeout: 10_000 }).toBe('WORKFLOW_EXECUTION_STATUS_FAILED');
    await expect.poll(() => daemon.agent(agentId)).toBeUndefined();
  });

  it('a spec that cannot be read is not taken: the agent can still be commanded', async () => {
    await signal('a1', 'configure', { spec: { agent_id: 'a1', template_id: 5 } });
    const answer = await daemon.call<AgentView>('POST', '/agents/a1/restart');
    expect(answer).toMatchObject({ status: 200, body: { state: 'running', template_id: null, generation: 2 } });
  });

  it('a spec without signature changes nothing, also not at the next start', async () => {
    const before = await daemon.untilAgent('a2', (a) => a.state === 'running', 'running');
    await signal('a2', 'configure', { spec: { agent_id: 'a2', command: ['sleep', '1'] } });
    await daemon.untilAgent('a2', (a) => a.reason.startsWith('keeps its definition'), 'with the refusal');
    process.kill(before.pid as number, 'SIGKILL');
    const after = await daemon.untilAgent('a2', (a) => a.generation === 2 && a.state === 'running', 'restarted');
    expect(after.origin).toBe(before.origin);
  });

  it('a spec without signature does not end a back-off', async () => {
    await daemon.call('POST', '/agents', { agent_id: 'b1', command: ['false'], backoff: { initial: '2s', jitter: 0 } });
    await daemon.untilAgent('b1', (a) => a.state === 'backoff', 'in back-off');
    await signal('b1', 'configure', { spec: { agent_id: 'b1', command: ['sleep', '1'] } });
    await daemon.untilAgent('b1', (a) => a.generation === 2, 'started again');
  });

  const ended = { generation: 1, code: 0, signal: null, cause: 'self', at: '2026-01-01T00:00:00Z', ran_ms: 1 };
  it.each([
    ['a4', 'a fence beyond what was ever asked for', { fence: 9_000_000_000_000_000 }],
    ['a5', 'an end that has not been', { fence: 1, last_exit: ended }],
    ['a6', 'a later decision than any', { fence: 1, sequence: Number.MAX_SAFE_INTEGER }],
  ])('%s is told %s: what the custodian says counts, and it is watched as before', async (id, _what, told) => {
    const before = await daemon.untilAgent(id, (a) => a.state === 'running', 'running');
    await signal(id, 'reconcile', told);
    // A command that changes nothing: the signal before it has been dealt with.
    expect(await daemon.call('POST', `/agents/${id}/start`)).toMatchObject({ status: 200 });
    expect(await daemon.agent(id)).toMatchObject({ pid: before.pid, generation: 1, restarts: 0, state: 'running' });
    process.kill(before.pid!, 'SIGKILL');
    const after = await daemon.untilAgent(id, (a) => a.generation === 2 && a.state === 'running', 'replaced');
    expect(after.last_exit).toMatchObject({ signal: 'SIGKILL' });
  });

  it('a signal to the process that is failed by hand is not delivered, and the agent can still be commanded', async () => {
    await daemon.untilAgent('a7', (a) => a.state === 'running', 'running');
    const custodian = await daemon.custody();
    process.kill(custodian.pid, 'SIGSTOP'); // the daemon will have the call, and wait for an answer
    try {
      await signal('a7', 'signal', { name: 'SIGHUP' });
      const describe = ['workflow', 'describe', '--workflow-id', 'agent/a7', '--output', 'json'];
      const call = await until(
        async () => {
          const shown = JSON.parse((await temporal(...describe)).stdout) as {
            pendingActivities?: { activityId: string; activityType: { name: string } }[];
          };
          return shown.pendingActivities?.find(({ activityType }) => activityType.name === 'signalProcess');
        },
        { what: 'the call to be under way' },
      );
      const which = ['--workflow-id', 'agent/a7', '--activity-id', call.activityId];
      await temporal('activity', 'fail', ...which, '--reason', 'not any more');
    } finally {
      process.kill(custodian.pid, 'SIGCONT');
    }
    expect(await daemon.call('POST', '/agents/a7/restart')).toMatchObject({ status: 200, body: { generation: 2 } });
  });

  it('a request_id that no environment can hold keeps no process from starting', async () => {
    await signal('a3', 'restart', { request_id: { of: 'somebody' } });
    await daemon.untilAgent('a3', (a) => a.generation === 2 && a.state === 'running', 'restarted');
  });
});
