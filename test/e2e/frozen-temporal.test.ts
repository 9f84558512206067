import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, TestDaemon } from '../support/daemon.ts';

/** In every such span there is a call to Temporal under way, which then has no answer. */
const RECONCILED_EVERY_MS = 33_000;

describe('a Temporal that neither answers nor refuses', () => {
  let daemon: TestDaemon;

  beforeAll(async () => {
    daemon = await TestDaemon.make({ agents: { a1: { command: ['sleep', '36067'] } } });
    await daemon.start();
  });
  afterAll(() => daemon.end());

  it('does not keep a stop of the daemon from stopping the agents and itself', { timeout: 90_000 }, async () => {
    const { pid } = await daemon.untilAgent('a1', (a) => a.state === 'running', 'running');
    const { entries } = await daemon.custody();
    const server = entries.find(({ agent }) => agent === '_temporal')?.live?.pid as number;
    process.kill(server, 'SIGSTOP');
    await delay(RECONCILED_EVERY_MS);
    const begunMs = performance.now();
    expect(await daemon.signal('SIGTERM')).toBe(0);
    expect(performance.now() - begunMs).toBeLessThan(30_000);
    expect([pid as number, server].filter(isAlive)).toEqual([]);
  });
});
