import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { until } from '../support/wait.ts';
import { ADMIN, codesOf, startLives, type Lives } from './lives.ts';

let lives: Lives;
beforeAll(async () => {
  lives = await startLives({
    cli: inject('temporalCli'),
    bundle: inject('workflowBundle') ?? 'missing',
    temporalTimeoutMs: 1000,
  });
});
afterAll(() => lives?.end());

test.for([{ known: false }, { known: true }])(
  'without Temporal (known: $known) reads go on and stops go to the custodian',
  async ({ known }) => {
    const { orchestrator, orders, link } = lives;
    const agent_id = `kept-${known}`;
    await orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
    await lives.server.stop();
    link.up = !known;
    orders.length = 0;
    try {
      expect(await orchestrator.get(ADMIN, agent_id)).toMatchObject({ state: 'running', stale: known });
      const refused = [
        orchestrator.command(ADMIN, 'start', agent_id),
        orchestrator.command(ADMIN, 'restart', agent_id),
        orchestrator.signal(ADMIN, agent_id, 'SIGHUP'),
        orchestrator.create(ADMIN, { agent_id: 'new', template_id: 'ok' }),
      ];
      expect(await codesOf(refused)).toEqual(refused.map(() => 'TEMPORAL_UNAVAILABLE'));
      expect(await orchestrator.command(ADMIN, 'stop', agent_id, { grace: '2s' })).toMatchObject({
        settled: false,
        revision: null,
        agent: { agent_id },
        note: expect.stringContaining('custodian'),
      });
      expect(await orchestrator.remove(ADMIN, agent_id)).toMatchObject({ settled: false, revision: null });
      expect(orders).toEqual([
        [agent_id, 'stop', { signal: 'SIGINT', graceMs: 2000 }],
        [agent_id, 'delete', { signal: 'SIGINT', graceMs: 1234 }],
      ]);
    } finally {
      await lives.restartServer();
      link.up = true;
    }
    const works = (): Promise<boolean> =>
      orchestrator.command(ADMIN, 'start', agent_id).then(
        (result) => result.settled,
        () => false,
      );
    await until(works, { deadlineMs: 20_000, what: 'commands to work again' });
    expect(await orchestrator.get(ADMIN, agent_id)).toMatchObject({ state: 'running', stale: false });
  },
);
