import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);

describe('a life through the daemon', () => {
  let daemon: TestDaemon;
  let temporal: (...args: string[]) => Promise<string>;

  beforeAll(async () => {
    daemon = await TestDaemon.make({ defaults: { backoff: { initial: '100ms' }, stop: { grace: '2s' } } });
    await daemon.template('Sleeper_v1', {
      command: ['sleep', '{{seconds}}'],
      variables: { seconds: { type: 'number', default: 3600 } },
    });
    await daemon.template('Missing_v1', { command: ['/no/such/program'] });
    await daemon.start();
    const { temporal: server } = await daemon.status();
    temporal = async (...args) => (await run(inject('temporalCli'), [...args, '--address', server.address])).stdout;
  }, 60_000);

  afterAll(async () => daemon?.end());

  it('creates an agent: 201 once its process runs', async () => {
    const { status, body } = await daemon.call<AgentView>('POST', '/agents', {
      agent_id: 'one',
      template_id: 'Sleeper_v1',
    });
    expect([status, body.state, body.generation]).toEqual([201, 'running', 1]);
    expect(isAlive(body.pid!)).toBe(true);
    expect((await daemon.call('POST', '/agents', { agent_id: 'one', template_id: 'Sleeper_v1' })).status).toBe(409);
  });

  it('replaces a killed process, and tells start, exit and reason of each of three', async () => {
    await daemon.call('POST', '/agents', { agent_id: 'thrice', template_id: 'Sleeper_v1' });
    let generation = 1;
    for (; generation <= 3; generation += 1) {
      const { pid } = await daemon.untilAgent(
        'thrice',
        (a) => a.state === 'running' && a.generation === generation,
        'running',
      );
      process.kill(pid!, 'SIGKILL');
    }
    const last = await daemon.untilAgent('thrice', (a) => a.state === 'running' && a.generation === 4, 'running again');
    expect(last.restarts).toBe(3);
    expect(last.last_exit).toMatchObject({ signal: 'SIGKILL', code: null });

    const shown = JSON.parse(await temporal('workflow', 'show', '--workflow-id', 'agent/thrice', '-o', 'json')) as {
      events: { eventType: string }[];
    };
    const text = JSON.stringify(shown.events.map((event) => decode(event)));
    for (const n of [1, 2, 3]) expect(text).toContain(`restart ${n}: generation ${n} was killed by SIGKILL`);
    expect(shown.events.length / 4).toBeLessThanOrEqual(16);
    const history = (await daemon.call<{ entries?: unknown[]; history?: unknown[] }>('GET', '/agents/thrice/history'))
      .body;
    expect(JSON.stringify(history)).toContain('generation 2 was killed by SIGKILL');
  });

  it('writes no event while an agent is healthy', async () => {
    const count = async (): Promise<number> => {
      const text = await temporal('workflow', 'describe', '--workflow-id', 'agent/one', '-o', 'json');
      return Number(
        (JSON.parse(text) as { workflowExecutionInfo: { historyLength: string } }).workflowExecutionInfo.historyLength,
      );
    };
    const before = await count();
    await daemon.call('GET', '/agents/one');
    const pendingSince = Date.now();
    await until(() => Date.now() - pendingSince > 3_000, { what: 'three healthy seconds' });
    expect(await count()).toBe(before);
  });

  it('refuses what cannot start and leaves nothing behind', async () => {
    const missing = await daemon.call('POST', '/agents', { agent_id: 'ghost', template_id: 'Missing_v1' });
    expect(missing).toMatchObject({ status: 422, body: { error: { code: 'SPAWN_FAILED' } } });
    const unknown = await daemon.call('POST', '/agents', { agent_id: 'ghost', template_id: 'Nobody_v1' });
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'TEMPLATE_NOT_FOUND' } } });
    expect((await daemon.call('GET', '/agents/ghost')).status).toBe(404);
    const now = await daemon.call('POST', '/agents', { agent_id: 'ghost', template_id: 'Sleeper_v1' });
    expect(now.status).toBe(201);
  });

  it('stops, stays stopped, starts again, restarts', async () => {
    const first = (await daemon.call<AgentView>('POST', '/agents', { agent_id: 'two', template_id: 'Sleeper_v1' }))
      .body;
    const stopped = await daemon.call<AgentView>('POST', '/agents/two/stop');
    expect(stopped.status).toBe(200);
    expect(isAlive(first.pid!)).toBe(false);
    expect((await daemon.agent('two'))?.state).toBe('stopped');
    expect((await daemon.call('POST', '/agents/two/start')).status).toBe(200);
    const second = await daemon.untilAgent('two', (a) => a.state === 'running', 'running');
    expect(second.generation).toBe(2);
    expect((await daemon.call('POST', '/agents/two/restart')).status).toBe(200);
    const third = await daemon.untilAgent('two', (a) => a.state === 'running' && a.generation === 3, 'running');
    expect(third.restarts).toBe(0);
  });

  it('deletes an agent with its whole tree, setsid and double-forked children too', async () => {
    const script = 'setsid sleep 3601 & (sleep 3602 & ) ; sleep 3603 & wait';
    await daemon.call('POST', '/agents', { agent_id: 'tree', command: ['sh', '-c', script] });
    const sleepers = async (): Promise<number[]> => {
      const { stdout } = await run('ps', ['-eo', 'pid,args']);
      return stdout
        .split('\n')
        .filter((line) => /sleep 360[123]$/.test(line))
        .map((line) => Number.parseInt(line, 10));
    };
    await until(async () => (await sleepers()).length === 3, { what: 'three children' });
    const gone = await daemon.call('DELETE', '/agents/tree');
    expect(gone.status).toBe(200);
    expect(await sleepers()).toEqual([]);
    expect((await daemon.call('GET', '/agents/tree')).status).toBe(404);
    const again = await daemon.call<AgentView>('POST', '/agents', { agent_id: 'tree', template_id: 'Sleeper_v1' });
    expect(again.status).toBe(201);
    expect(again.body.generation).toBeGreaterThan(1);
  });

  it('is the same through the official CLI: start, list, show, signal, update', async () => {
    const input = { agent_id: 'direct', template_id: 'Sleeper_v1', variables: { seconds: 1800 } };
    const start = (id: string, body: unknown) =>
      temporal(
        'workflow',
        'start',
        '--type',
        'agent',
        '--task-queue',
        'orchestrator',
        '--workflow-id',
        id,
        '--input',
        JSON.stringify(body),
      );
    await start('agent/direct', input);
    const view = await daemon.untilAgent('direct', (a) => a.state === 'running', 'running');
    expect(view.origin).toBe('temporal');
    await until(
      async () =>
        (await temporal('workflow', 'list', '--query', "AgentId='direct' AND AgentState='running'")).includes(
          'agent/direct',
        ),
      { what: 'the list' },
    );
    await temporal('workflow', 'update', 'execute', '--workflow-id', 'agent/direct', '--name', 'restart');
    await daemon.untilAgent('direct', (a) => a.state === 'running' && a.generation === 2, 'restarted');
    await temporal('workflow', 'signal', '--workflow-id', 'agent/direct', '--name', 'stop');
    await daemon.untilAgent('direct', (a) => a.state === 'stopped', 'stopped');
    expect(await temporal('workflow', 'query', '--workflow-id', 'agent/direct', '--type', 'status')).toContain(
      'stopped',
    );
  });

  it('does not run what an unsigned start is not allowed to say', async () => {
    const bad = { agent_id: 'evil', command: ['touch', '/tmp/evil'] };
    const args = ['workflow', 'start', '--type', 'agent', '--task-queue', 'orchestrator'];
    await temporal(...args, '--workflow-id', 'agent/evil', '--input', JSON.stringify(bad));
    await until(
      async () =>
        (await temporal('workflow', 'show', '-o', 'json', '--workflow-id', 'agent/evil')).includes('UNSIGNED_FIELD'),
      { what: 'the refusal' },
    );
    await temporal(
      ...args,
      '--workflow-id',
      'agent/other',
      '--input',
      JSON.stringify({ agent_id: 'evil', template_id: 'Sleeper_v1' }),
    );
    await until(
      async () =>
        (await temporal('workflow', 'show', '-o', 'json', '--workflow-id', 'agent/other')).includes('ID_MISMATCH'),
      { what: 'the refusal' },
    );
    expect((await daemon.call('GET', '/agents/evil')).status).toBe(404);
  });

  it('adopts a process whose workflow was terminated or reset, and never doubles it', async () => {
    const before = (await daemon.agent('one'))!;
    await temporal('workflow', 'terminate', '--workflow-id', 'agent/one', '--reason', 'test');
    const adopted = await daemon.untilAgent(
      'one',
      (a) => a.run_id !== before.run_id && a.state === 'running',
      'adopted',
      70_000,
    );
    expect([adopted.pid, adopted.generation]).toEqual([before.pid, before.generation]);
    await temporal(
      'workflow',
      'reset',
      '--workflow-id',
      'agent/one',
      '--type',
      'FirstWorkflowTask',
      '--reason',
      'test',
    );
    const reset = await daemon.untilAgent(
      'one',
      (a) => a.run_id !== adopted.run_id && a.state === 'running',
      'adopted',
      70_000,
    );
    expect([reset.pid, reset.generation]).toEqual([before.pid, before.generation]);
    process.kill(reset.pid!, 'SIGKILL');
    const next = await daemon.untilAgent('one', (a) => a.state === 'running' && a.pid !== before.pid, 'replaced');
    expect(next.generation).toBe(before.generation + 1);
  }, 180_000);
});

/** Payloads are base64 inside of `workflow show -o json`. */
function decode(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) =>
      key === 'data' && typeof inner === 'string' ? Buffer.from(inner, 'base64').toString() : inner,
    ),
  );
}
