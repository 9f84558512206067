import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { workflowIdOf } from '../../src/contract/names.ts';
import type { Caller } from '../../src/service/caller.ts';
import { ADMIN, codesOf, startLives, type Lives } from './lives.ts';
import { until } from '../support/wait.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

let last = 0;
const freshId = (): string => `agent-${(last += 1)}`;

test('create waits until the process runs', async () => {
  const agent_id = freshId();
  const created = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok', labels: { team: 'a' } });
  expect(created).toMatchObject({
    settled: true,
    agent: {
      agent_id,
      state: 'running',
      generation: 1,
      origin: 'api',
      labels: { team: 'a' },
      stale: false,
      desired: 'running',
    },
  });
  expect(created.agent.pid).toBeGreaterThan(1000);
  const { decision } = (await lives.roster.get(agent_id))!;
  expect(decision.input).toMatchObject({ signature: 'signed', origin: 'api', request_id: 'test' });
});

test('create of an agent that exists throws AGENT_EXISTS', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  await expect(lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' })).rejects.toMatchObject({
    code: 'AGENT_EXISTS',
  });
});

test('create twice at once makes one agent and one AGENT_EXISTS', async () => {
  const agent_id = freshId();
  const both = await Promise.allSettled(
    ['first', 'second'].map((request_id) =>
      lives.orchestrator.create({ ...ADMIN, request_id }, { agent_id, template_id: 'ok' }),
    ),
  );
  expect(both.map((one) => one.status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(both.find((one) => one.status === 'rejected')?.reason).toMatchObject({ code: 'AGENT_EXISTS' });
});

test('create from an unknown template throws TEMPLATE_NOT_FOUND and creates nothing', async () => {
  const agent_id = freshId();
  await expect(lives.orchestrator.create(ADMIN, { agent_id, template_id: 'none' })).rejects.toMatchObject({
    code: 'TEMPLATE_NOT_FOUND',
  });
  await expect(lives.client.workflow.getHandle(workflowIdOf(agent_id)).describe()).rejects.toThrow(/not found/);
});

test('create of what cannot be spawned throws SPAWN_FAILED and frees the id at once', async () => {
  const agent_id = freshId();
  await expect(lives.orchestrator.create(ADMIN, { agent_id, template_id: 'unspawnable' })).rejects.toMatchObject({
    code: 'SPAWN_FAILED',
    message: expect.stringContaining('ENOENT'),
  });
  await expect(lives.orchestrator.get(ADMIN, agent_id)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  const again = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  expect(again).toMatchObject({ settled: true, agent: { state: 'running' } });
});

test('create returns what holds when the time is up', async () => {
  const agent_id = freshId();
  const created = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'slow' }, { waitMs: 300 });
  expect(created).toMatchObject({ settled: false, agent: { agent_id, desired: 'running', pid: null } });
});

test('create with wait accepted returns an agent that can be read at once', async () => {
  const agent_id = freshId();
  const created = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'slow' }, { wait: 'accepted' });
  expect(created.settled).toBe(false);
  expect(await lives.orchestrator.get(ADMIN, agent_id)).toMatchObject({ agent_id });
});

test('create of an agent that completes at once is settled', async () => {
  const agent_id = freshId();
  const created = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'short' });
  expect(created.settled).toBe(true);
  const completed = async (): Promise<boolean> => (await lives.orchestrator.get(ADMIN, agent_id)).state === 'completed';
  await until(completed, { what: 'completed' });
});

test('stop, start, restart wait for what was asked for', async () => {
  const agent_id = freshId();
  const first = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  expect(await lives.orchestrator.command(ADMIN, 'stop', agent_id)).toMatchObject({
    settled: true,
    revision: 1,
    agent: { state: 'stopped', desired: 'stopped', pid: null, last_exit: { code: 0, log_tail: 'last words' } },
  });
  const started = await lives.orchestrator.command(ADMIN, 'start', agent_id);
  expect(started).toMatchObject({ settled: true, revision: 2, agent: { state: 'running', generation: 2 } });
  expect(started.agent?.pid).not.toBe(first.agent.pid);
  expect(await lives.orchestrator.command(ADMIN, 'start', agent_id)).toMatchObject({
    settled: true,
    agent: { generation: 2 },
  });
  expect(await lives.orchestrator.command(ADMIN, 'restart', agent_id)).toMatchObject({
    settled: true,
    agent: { state: 'running', generation: 3 },
  });
});

test('stop of a process that does not end is returned as stopping with the reason', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'stubborn' });
  const slow = await lives.orchestrator.command(ADMIN, 'stop', agent_id, { waitMs: 200 });
  expect(slow).toMatchObject({
    settled: false,
    agent: { state: 'stopping', reason: expect.stringContaining('stopped by an operator') },
  });
  expect(slow.agent?.pid).toBeGreaterThan(1000);
  const waiting = lives.orchestrator.command(ADMIN, 'stop', agent_id);
  await lives.host.release();
  expect(await waiting).toMatchObject({ settled: true, agent: { state: 'stopped' } });
});

test('stop waiting for its end is told when another command overtakes it', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'stubborn' });
  const stopping = lives.orchestrator.command(ADMIN, 'stop', agent_id);
  await until(async () => (await lives.orchestrator.get(ADMIN, agent_id)).state === 'stopping', { what: 'stopping' });
  const started = lives.orchestrator.command(ADMIN, 'start', agent_id);
  expect(await stopping).toMatchObject({ settled: false, note: expect.stringContaining('overtaken') });
  await lives.host.release();
  expect(await started).toMatchObject({ settled: true, agent: { state: 'running', generation: 2 } });
});

test('stop ends its waiting when the caller is gone', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'stubborn' });
  const gone = new AbortController();
  const stopping = lives.orchestrator.command({ ...ADMIN, signal: gone.signal }, 'stop', agent_id);
  await until(async () => (await lives.orchestrator.get(ADMIN, agent_id)).state === 'stopping', { what: 'stopping' });
  gone.abort();
  expect(await stopping).toMatchObject({ settled: false, agent: { state: 'stopping' } });
  await lives.host.release();
});

test('remove deletes the agent, and its id can be used again at once', async () => {
  const agent_id = freshId();
  for (let round = 0; round < 3; round += 1) {
    const { agent } = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
    expect(agent.state).toBe('running');
    expect(await lives.orchestrator.remove(ADMIN, agent_id)).toMatchObject({ settled: true, agent: null });
    await expect(lives.orchestrator.get(ADMIN, agent_id)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  }
  const history = await lives.orchestrator.history(ADMIN, agent_id, { limit: 100 });
  expect(history.filter((entry) => entry.state === 'closed')).toHaveLength(3);
});

test('remove with purge takes logs and history too, also of an agent that is deleted already', async () => {
  const [now, later] = [freshId(), freshId()];
  for (const agent_id of [now, later]) {
    await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
    lives.logs.write(agent_id, 'hello');
  }
  await lives.orchestrator.remove(ADMIN, now, { purge: true });
  await lives.orchestrator.remove(ADMIN, later);
  expect(await lives.orchestrator.logs(ADMIN, later, { tail: 10 })).toEqual(['hello']);
  expect(await lives.orchestrator.remove(ADMIN, later, { purge: true })).toMatchObject({ settled: true });
  for (const agent_id of [now, later]) {
    expect(lives.logs.purged).toContain(agent_id);
    await expect(lives.orchestrator.history(ADMIN, agent_id, { limit: 1 })).rejects.toMatchObject({
      code: 'AGENT_NOT_FOUND',
    });
    await expect(lives.orchestrator.logs(ADMIN, agent_id, { tail: 1 })).rejects.toMatchObject({
      code: 'AGENT_NOT_FOUND',
    });
  }
});

test('remove with purge that takes longer than the wait purges when the agent is gone', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'stubborn' });
  expect(await lives.orchestrator.remove(ADMIN, agent_id, { purge: true, waitMs: 100 })).toMatchObject({
    settled: false,
  });
  expect(lives.logs.purged).not.toContain(agent_id);
  await lives.host.release();
  await until(() => lives.logs.purged.includes(agent_id), { what: 'purged' });
});

test('many equal commands at once become few, and all are answered', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  const results = await Promise.all(
    Array.from({ length: 50 }, () => lives.orchestrator.command(ADMIN, 'stop', agent_id)),
  );
  expect(results.every((result) => result.settled && result.agent?.state === 'stopped')).toBe(true);
  expect((await lives.orchestrator.get(ADMIN, agent_id)).revision).toBeLessThanOrEqual(3);
});

test('signal reaches a live process and is refused for another', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  await lives.orchestrator.signal(ADMIN, agent_id, 'SIGUSR1');
  await until(() => lives.host.signals.includes('SIGUSR1'), { what: 'signal' });
  await expect(lives.orchestrator.signal(ADMIN, agent_id, 'SIGNOPE')).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
  });
  await lives.orchestrator.command(ADMIN, 'stop', agent_id);
  await expect(lives.orchestrator.signal(ADMIN, agent_id, 'SIGUSR1')).rejects.toMatchObject({
    code: 'AGENT_NOT_RUNNING',
    message: expect.stringContaining('it is stopped'),
  });
});

test('commands and reads of an unknown agent throw AGENT_NOT_FOUND', async () => {
  const { orchestrator } = lives;
  const calls = [
    orchestrator.get(ADMIN, 'nobody'),
    orchestrator.command(ADMIN, 'start', 'nobody'),
    orchestrator.command(ADMIN, 'stop', 'nobody'),
    orchestrator.command(ADMIN, 'restart', 'nobody'),
    orchestrator.remove(ADMIN, 'nobody'),
    orchestrator.remove(ADMIN, 'nobody', { purge: true }),
    orchestrator.signal(ADMIN, 'nobody', 'SIGHUP'),
    orchestrator.logs(ADMIN, 'nobody', { tail: 1 }),
    orchestrator.followLogs(ADMIN, 'nobody', { tail: 1 }),
    orchestrator.history(ADMIN, 'nobody', { limit: 1 }),
  ];
  expect(await codesOf(calls)).toEqual(calls.map(() => 'AGENT_NOT_FOUND'));
});

test('list filters by state, template and labels', async () => {
  const [one, two] = [freshId(), freshId()];
  await lives.orchestrator.create(ADMIN, { agent_id: one, template_id: 'ok', labels: { mark: 'list', size: 's' } });
  await lives.orchestrator.create(ADMIN, { agent_id: two, template_id: 'ok', labels: { mark: 'list', size: 'l=xl' } });
  await lives.orchestrator.command(ADMIN, 'stop', two);
  const ids = async (filter: Parameters<typeof lives.orchestrator.list>[1]): Promise<string[]> =>
    (await lives.orchestrator.list(ADMIN, filter)).map((agent) => agent.agent_id);
  expect(await ids({ labels: ['mark=list'] })).toEqual([one, two]);
  expect(await ids({ labels: ['mark', 'size=l=xl'] })).toEqual([two]);
  expect(await ids({ labels: ['mark'], state: 'running' })).toEqual([one]);
  expect(await ids({ labels: ['mark'], template_id: 'other' })).toEqual([]);
});

test('an agent reads all, creates within its rights and commands only its own', async () => {
  const { orchestrator } = lives;
  const [master, other, worker] = [freshId(), freshId(), freshId()];
  await orchestrator.create(ADMIN, { agent_id: master, template_id: 'ok' });
  await orchestrator.create(ADMIN, { agent_id: other, template_id: 'ok' });
  const caller: Caller = { kind: 'agent', agent_id: master, generation: 1, may: { start: ['ok'] } };
  const call = { caller, request_id: 'from-master' };
  expect(await orchestrator.get(call, other)).toMatchObject({ agent_id: other });
  await orchestrator.create(call, { agent_id: worker, template_id: 'ok', task: 'work' });
  expect((await lives.roster.get(worker))?.decision.input).toMatchObject({
    created_by: master,
    request_id: 'from-master',
  });
  expect(await orchestrator.command(call, 'stop', worker)).toMatchObject({ settled: true });
  const refused = [
    orchestrator.create(call, { agent_id: freshId(), template_id: 'short' }),
    orchestrator.create(call, { agent_id: freshId(), template_id: 'ok', env: { A: 'b' } }),
    orchestrator.command(call, 'stop', other),
    orchestrator.command(call, 'stop', master),
    orchestrator.remove(call, other),
    orchestrator.signal(call, other, 'SIGHUP'),
    orchestrator.logs(call, other, { tail: 1 }),
  ];
  expect(await codesOf(refused)).toEqual(refused.map(() => 'FORBIDDEN'));
  expect(await orchestrator.logs(call, master, { tail: 1 })).toEqual([]);
  await orchestrator.command(ADMIN, 'restart', master);
  await expect(orchestrator.list(call)).rejects.toMatchObject({ code: 'STALE_INCARNATION' });
});

test('followLogs tells the tail and what comes, until the agent is deleted', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  lives.logs.write(agent_id, 'one', 'two', 'three');
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of await lives.orchestrator.followLogs(ADMIN, agent_id, { tail: 2 })) seen.push(line);
  })();
  await until(() => lives.logs.readers === 1 && seen.length === 2, { what: 'following' });
  lives.logs.write(agent_id, 'four');
  await until(() => seen.length === 3, { what: 'the new line' });
  await lives.orchestrator.remove(ADMIN, agent_id);
  await reading;
  expect(seen).toEqual(['two', 'three', 'four']);
  expect(lives.logs.readers).toBe(0);
});

test('a lost workflow: stop and delete go to the custodian, start is refused as not found', async () => {
  const agent_id = freshId();
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  await lives.client.workflow.getHandle(workflowIdOf(agent_id)).terminate();
  expect(await lives.orchestrator.command(ADMIN, 'stop', agent_id)).toMatchObject({ settled: false, revision: null });
  expect(lives.orders.at(-1)).toEqual([agent_id, 'stop', { signal: 'SIGINT', graceMs: 1234 }]);
  await expect(lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' })).rejects.toMatchObject({
    code: 'AGENT_EXISTS',
  });
});
