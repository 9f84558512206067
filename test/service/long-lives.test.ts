import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { until } from '../support/wait.ts';
import { ADMIN, startLives, type Lives } from './lives.ts';

/** So early does this server suggest a new run; by default after 4,096 events. */
const SUGGEST_AT_EVENTS = 40;

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({
    cli: inject('temporalCli'),
    bundle: inject('workflowBundle') ?? 'missing',
    serverArgs: ['--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${SUGGEST_AT_EVENTS}`],
  });
});
afterAll(() => lives?.end());

test('signals that were accepted are delivered, also by the last pass of a run; and they alone bring a new run', async () => {
  const agent_id = 'signalled';
  const { agent } = await lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
  const runIds = new Set([agent?.run_id]);
  const accepted: string[] = [];
  while (runIds.size < 2 && accepted.length < 30) {
    await lives.orchestrator.signal(ADMIN, agent_id, 'SIGUSR1');
    accepted.push('SIGUSR1');
    await until(() => lives.host.signals.length >= accepted.length, { what: `signal ${accepted.length}` });
    runIds.add((await lives.orchestrator.get(ADMIN, agent_id)).run_id);
  }
  expect(lives.host.signals).toEqual(accepted);
  expect(runIds.size).toBe(2);
}, 60_000);
