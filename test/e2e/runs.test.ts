import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '../../src/contract/run-view.ts';
import { TestDaemon, type Answer } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

/** Takes its own messages and answers tasks, as any program could: with nothing but HTTP. */
const SERVER = `
const { OPENSTARRY_API_URL: url, OPENSTARRY_TOKEN: token, OPENSTARRY_AGENT_ID: id } = process.env;
const api = async (method, path, body) => {
  const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };
  const answer = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};
for (;;) {
  const { messages } = await api('GET', '/agents/' + id + '/messages?wait=5s&max=1');
  for (const { id: message, lease, type, payload, reply_to, correlation_id } of messages) {
    if (type === 'TASK_DELEGATE' && payload.task === 'ignore') continue;
    if (type === 'TASK_DELEGATE') {
      const answer = { type: 'TASK_RESULT', payload: { ok: payload.task !== 'fail', said: payload.task.toUpperCase() }, correlation_id };
      await api('POST', '/queues/' + reply_to + '/messages', answer);
    }
    await api('POST', '/agents/' + id + '/messages/' + message + '/ack', { lease });
  }
}`;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.make({
    agents: { server: { command: [process.execPath, '--input-type=module', '-e', SERVER] } },
  });
  await daemon.template('Echo', {
    command: ['sh', '-c', 'echo "did $OPENSTARRY_TASK in $OPENSTARRY_RUN_ID"; echo {{task}}'],
  });
  await daemon.template('Failing', {
    command: ['sh', '-c', 'echo no; exit 3'],
    backoff: { initial: '10ms', max: '10ms' },
  });
  await daemon.template('Unspawnable', { command: ['/nowhere/to/be/found'] });
  await daemon.template('Forever', { command: ['sleep', '1000'], stop: { grace: '1s' } });
  await daemon.template('Restarting', {
    command: ['sh', '-c', 'echo once >> lines; [ $(wc -l < lines) -ge 3 ]'],
    cwd: '.',
    restart: 'always',
    backoff: { initial: '10ms', max: '10ms' },
  });
  await daemon.start();
}, 60_000);
afterAll(() => daemon.end());

const run = (body: object, wait = '20s'): Promise<Answer<RunView>> =>
  daemon.call<RunView>('POST', `/runs?wait=${wait}`, body);

describe('POST /runs', () => {
  it('makes an agent, gives it the task and keeps what has come of it', async () => {
    const { status, body } = await run({ agentId: 'one', template_id: 'Echo', task: 'hello' });
    expect([status, body.reason]).toEqual([201, expect.stringContaining('exited with code 0')]);
    expect(body).toMatchObject({
      agent_id: 'one',
      state: 'succeeded',
      via: 'process',
      exit: { code: 0, signal: null },
      cleanup: 'keep',
    });
    expect(body.output).toBe(`did hello in ${body.run_id}\nhello`);
    expect(await daemon.agent('one')).toMatchObject({ state: 'completed', desired: 'stopped' });
    expect((await daemon.call('GET', `/runs/${body.run_id}`)).body).toEqual(body);
    expect((await daemon.call('GET', `/sessions/${body.run_id}`)).body).toEqual(body);
    // Incidents and runs share a table: whoever listens to the one must not trip over the other.
    expect(await readFile(path.join(daemon.stateDir, 'daemon.log'), 'utf8')).not.toContain(
      'A listener of the roster failed',
    );
  });

  it('starts an agent that is at rest, each time with the task of the run', async () => {
    const first = await run({ agent_id: 'two', template_id: 'Echo', task: 'first' });
    const second = await run({ agent_id: 'two', task: 'second' });
    expect([first.body.generation, second.body.generation]).toEqual([1, 2]);
    expect(second.body.output).toContain('did second');
    expect(second.body.output).not.toContain('did first');
    const plain = await daemon.call<{ generation: number }>('POST', '/agents/two/start');
    expect([plain.status, plain.body.generation]).toEqual([200, 3]);
    await until(
      async () => (await daemon.call<string>('GET', '/agents/two/logs?tail=2')).body.includes('did first in \nfirst'),
      { what: 'the output of the plain start' },
    );
  });

  it('deletes the agent afterwards, if that is wanted', async () => {
    const { body } = await run({ agent_id: 'gone', template_id: 'Echo', task: 'x', cleanup: 'delete' });
    expect(body.state).toBe('succeeded');
    expect(await daemon.agent('gone')).toBeUndefined();
  });

  it('lets restarts by the policy count within the run, and none follow a success', async () => {
    const { body } = await run({ agent_id: 'again', template_id: 'Restarting', task: 'x' });
    expect(body).toMatchObject({ state: 'succeeded', generation: 3 });
    expect((await readFile(path.join(daemon.dir, 'lines'), 'utf8')).trim().split('\n')).toHaveLength(3);
    await writeFile(path.join(daemon.dir, 'lines'), '');
  });

  it('fails with its agent', async () => {
    const { body } = await run({ agent_id: 'bad', template_id: 'Failing', task: 'x' });
    expect(body).toMatchObject({ state: 'failed', exit: { code: 3, signal: null } });
    expect(body.reason).toContain('gave up');
    expect(body.output).toContain('no');
  });

  it('tries a start that fails three times, then fails and says so', async () => {
    const { body } = await run({ agent_id: 'ghost', template_id: 'Unspawnable', task: 'x' });
    expect(body).toMatchObject({ state: 'failed', exit: null });
    expect(body.reason).toContain('/nowhere/to/be/found');
    expect(Date.parse(body.ended_at ?? '') - Date.parse(body.started_at)).toBeGreaterThan(6000);
    expect(await daemon.agent('ghost')).toBeUndefined();
  }, 40_000);

  it('stops the agent when time is up', async () => {
    const { body } = await run({
      agent_id: 'slow',
      template_id: 'Forever',
      task: 'x',
      timeout: '1s',
      cleanup: 'delete',
    });
    expect(body).toMatchObject({
      state: 'timed_out',
      reason: 'it took longer than 1 s',
      exit: { code: null, signal: 'SIGTERM' },
    });
    expect(await daemon.agent('slow')).toBeUndefined();
  });

  it('can be cancelled, and refuses a second one while it lasts', async () => {
    const { body } = await run({ agent_id: 'long', template_id: 'Forever', task: 'x' }, '0s');
    await daemon.untilAgent('long', ({ state }) => state === 'running', 'runs');
    const busy = await run({ agent_id: 'long', task: 'y' });
    expect([busy.status, (busy.body as unknown as { error: { code: string } }).error.code]).toEqual([
      409,
      'AGENT_BUSY',
    ]);
    const cancelled = await daemon.call<RunView>('POST', `/runs/${body.run_id}/cancel`);
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled']);
    expect(await daemon.agent('long')).toMatchObject({ state: 'stopped' });
  });

  it('gives a running agent the task by its mailbox, and takes its answer', async () => {
    await daemon.untilAgent('server', ({ state }) => state === 'running', 'runs');
    const { body } = await run({ agent_id: 'server', task: 'count' });
    expect(body).toMatchObject({ state: 'succeeded', via: 'mailbox', result: { ok: true, said: 'COUNT' }, exit: null });
    const failed = await run({ agent_id: 'server', task: 'fail' });
    expect(failed.body).toMatchObject({ state: 'failed', result: { ok: false } });
    const late = await run({ agent_id: 'server', task: 'ignore', timeout: '1s' });
    expect(late.body).toMatchObject({ state: 'timed_out', via: 'mailbox' });
    expect(await daemon.agent('server')).toMatchObject({ state: 'running', generation: 1 });
  });

  it('refuses what it cannot run, and lists what it has', async () => {
    const codes = await Promise.all(
      [
        { agent_id: 'nobody', task: 'x' },
        { agent_id: 'nobody', template_id: 'Missing', task: 'x' },
        { agent_id: 'one', template_id: 'Forever', task: 'x' },
        { agent_id: 'server' },
        { agent_id: 'one', cleanup: 'maybe' },
        { agent_id: 'one', timeout: '1' },
        { task: 'x' },
      ].map(async (body) => ((await run(body)).body as unknown as { error: { code: string } }).error.code),
    );
    expect(codes).toEqual([
      'AGENT_NOT_FOUND',
      'TEMPLATE_NOT_FOUND',
      'AGENT_EXISTS',
      'AGENT_BUSY',
      'INVALID_REQUEST',
      'INVALID_REQUEST',
      'INVALID_REQUEST',
    ]);
    const { runs } = (await daemon.call<{ runs: RunView[] }>('GET', '/runs?state=timed_out')).body;
    expect(runs.map(({ agent_id }) => agent_id)).toEqual(['server', 'slow']);
    expect((await daemon.call('GET', '/runs/nothing')).status).toBe(404);
  });

  it('is the same run under the same run_id', async () => {
    const body = { run_id: 'mine', agent_id: 'three', template_id: 'Echo', task: 'x' };
    const [first, second] = [await run(body), await run(body)];
    expect(second.body).toEqual(first.body);
    expect(first.body.generation).toBe(1);
  });
});
