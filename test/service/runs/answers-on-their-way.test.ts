import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqliteBus } from '../../../src/adapters/sqlite/bus.ts';
import { RUNS_QUEUE } from '../../../src/contract/run-workflow.ts';
import { DAEMON_SENDER, type Json } from '../../../src/domain/messages/message.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/domain/messages/queue-settings.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { runActivities, type RunActivityDeps } from '../../../src/service/runs/run-activities.ts';
import { RunAnswers, type RunAnswersDeps } from '../../../src/service/runs/run-answers.ts';
import { until } from '../../support/wait.ts';

let folder: string;
let bus: MessageBus;
let answers: RunAnswers;
/** What runs were told, by their workflow id. */
let told: [string, unknown][];
let refuse: (workflowId: string) => boolean;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-answers-'));
  bus = await openSqliteBus(path.join(folder, 'bus.db'), {
    defaults: DEFAULT_QUEUE_SETTINGS,
    ageingMs: 30_000,
    deadLettersKeptMs: 3_600_000,
    topics: { keepCount: 100, keepMs: 3_600_000 },
    warn: () => undefined,
  });
  told = [];
  refuse = () => false;
  const facts = new Map<string, string>();
  const getHandle = (workflowId: string) => ({
    signal: async (_name: string, answer: unknown) => {
      if (refuse(workflowId)) throw new Error('Temporal is away');
      told.push([workflowId, answer]);
    },
  });
  const client = { workflow: { getHandle }, withDeadline: (_at: number, call: () => unknown) => call() };
  answers = new RunAnswers({
    bus,
    client: client as unknown as RunAnswersDeps['client'],
    roster: {
      getFact: async (name) => facts.get(name),
      setFact: async (name, value) => void facts.set(name, value),
    },
    warn: () => undefined,
  });
});
afterEach(async () => {
  await answers.stop();
  await bus.close();
  await rm(folder, { recursive: true, force: true });
});

const answer = (from: string, correlationId: string, payload: Json, type = 'TASK_RESULT') =>
  bus.send([{ queue: RUNS_QUEUE, from, type, payload, correlationId }]);
const collect = (run_id: string) =>
  runActivities({ answers, agents: {}, logs: { tail: async () => [] } } as unknown as RunActivityDeps).collectRun({
    run_id,
    agent_id: 'worker',
    via: 'process',
    since_ms: 0,
  });

it('finds the answer that a daemon held when it died', async () => {
  await answer('other', 'r-1', { ok: true });
  await answer('worker', 'r-1', { done: 1 }, 'TASK_PROGRESS');
  await answer('worker', 'r-1', { ok: false, reason: 'no paper' });
  await answer('worker', 'r-1', { ok: true });
  // The daemon that took them acknowledges none.
  const held = await bus.receive({ queues: [RUNS_QUEUE], consumer: DAEMON_SENDER, max: 20, leaseMs: 30_000 });
  expect(held).toHaveLength(4);
  const found = await collect('r-1');
  expect(told).toEqual([]);
  expect(found.answer).toEqual({
    from: 'worker',
    ok: false,
    reason: 'no paper',
    payload: { ok: false, reason: 'no paper' },
  });
  expect((await collect('r-2')).answer).toBeNull();
});

it('takes an answer to its run while that of another one cannot be handed over', async () => {
  await answer('worker', 'r-1', { ok: true });
  await answer('worker', 'r-2', { ok: true });
  refuse = (workflowId) => workflowId === 'run/r-1';
  await answers.start();
  // Well within the lease that the second was taken with.
  await until(() => told.length > 0, { what: 'the second answer', deadlineMs: 10_000 });
  expect(told[0]).toEqual(['run/r-2', { from: 'worker', ok: true, reason: null, payload: { ok: true } }]);
});
