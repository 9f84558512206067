import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Call } from '../../src/service/caller.ts';
import { until } from '../support/wait.ts';
import { ADMIN, codesOf, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => lives?.end());

let last = 0;
const created = async (): Promise<string> => {
  const agent_id = `agent-${(last += 1)}`;
  await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  return agent_id;
};
const callOf = (agent_id: string, generation = 1): Call => ({
  caller: { kind: 'agent', agent_id, generation, may: { start: [] } },
  request_id: 'test',
});

test('pause waits until nothing moves, resume until the same process goes on', async () => {
  const id = await created();
  const paused = await lives.orchestrator.command(ADMIN, 'pause', id);
  expect(paused).toMatchObject({ settled: true, agent: { state: 'paused', desired: 'paused', generation: 1 } });
  expect((await lives.roster.get(id))?.process?.paused).toBe(true);
  expect(await lives.orchestrator.command(ADMIN, 'pause', id)).toMatchObject({
    settled: true,
    agent: { state: 'paused' },
  });
  const resumed = await lives.orchestrator.command(ADMIN, 'resume', id);
  expect(resumed).toMatchObject({ settled: true, agent: { state: 'running', generation: 1, pid: paused.agent?.pid } });
});

test('pause and resume one after the other, many times at once, end as the last one wants', async () => {
  const id = await created();
  const verbs = Array.from({ length: 9 }, (_, n) => (n % 2 === 0 ? ('pause' as const) : ('resume' as const)));
  await Promise.all(verbs.map((verb) => lives.orchestrator.command(ADMIN, verb, id, { waitMs: 0 })));
  expect(await lives.orchestrator.command(ADMIN, 'pause', id)).toMatchObject({
    settled: true,
    agent: { state: 'paused' },
  });
  expect((await lives.roster.get(id))?.process).toMatchObject({ generation: 1, paused: true });
});

test('pause and resume of what is stopped, completed or deleted are refused', async () => {
  const id = await created();
  await lives.orchestrator.command(ADMIN, 'stop', id);
  const short = `short-${id}`;
  await lives.orchestrator.create(ADMIN, { agent_id: short, template_id: 'short' });
  const isCompleted = async () => (await lives.roster.get(short))?.decision.phase.kind === 'completed';
  await until(isCompleted, { what: 'its completion' });
  const { orchestrator } = lives;
  const calls = [id, short].flatMap((one) => [
    orchestrator.command(ADMIN, 'pause', one),
    orchestrator.command(ADMIN, 'resume', one),
  ]);
  expect(new Set(await codesOf(calls))).toEqual(new Set(['AGENT_NOT_RUNNING']));
  expect(await codesOf([orchestrator.command(ADMIN, 'pause', 'nobody')])).toEqual(['AGENT_NOT_FOUND']);
  expect(await codesOf([orchestrator.command(callOf(await created()), 'pause', await created())])).toEqual([
    'FORBIDDEN',
  ]);
});

test('a heartbeat is taken from the agent itself, in its live incarnation, and from the admin', async () => {
  const id = await created();
  const other = await created();
  const beat = (call: Call, agentId = id) => lives.orchestrator.heartbeat(call, agentId, { progress: 0.5 });
  expect(await beat(callOf(id))).toEqual({ agent_id: id, generation: 1, period_ms: 5000 });
  expect(await beat(ADMIN)).toMatchObject({ generation: 1 });
  expect(await codesOf([beat(callOf(other)), beat(callOf(id, 7)), beat(ADMIN, 'nobody')])).toEqual([
    'FORBIDDEN',
    'STALE_INCARNATION',
    'AGENT_NOT_FOUND',
  ]);
  await lives.orchestrator.command(ADMIN, 'stop', id);
  expect(await codesOf([beat(ADMIN)])).toEqual(['AGENT_NOT_RUNNING']);
});
