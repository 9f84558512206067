import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { TestDaemon } from '../support/daemon.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const BINARY = inject('redisServer');
const MAIL = fileURLToPath(new URL('../fixtures/agents/mail.mjs', import.meta.url));

describe.skipIf(BINARY === undefined)('messages and state in a Redis that goes away', () => {
  let redis: RedisServer;
  let daemon: TestDaemon;
  let log: string;

  beforeAll(async () => {
    redis = await startRedis(BINARY as string);
    const { api } = await choosePorts({ api: 0 });
    const plugin = { use: 'redis', url: redis.url };
    daemon = await TestDaemon.make({
      ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
      plugins: { bus: plugin, state: plugin },
      defaults: { backoff: { initial: '50ms', max: '50ms' } },
      agents: { keeper: { command: [process.execPath, MAIL], env: { MAIL_LOG: '${MAIL_LOG}' } } },
    });
    log = path.join(daemon.dir, 'notes');
    daemon.env['MAIL_LOG'] = log;
    await daemon.start();
    await untilStarted(1);
  }, 90_000);
  afterAll(async () => {
    await daemon?.end();
    await redis?.stop();
  });

  const starts = (): { life: number; snapshot: unknown }[] => {
    const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line.includes('"started":true')).map((line) => JSON.parse(line) as never);
  };
  const untilStarted = (count: number) =>
    until(() => starts().length >= count, { what: `${count} starts`, deadlineMs: 60_000 });
  /** What Temporal knows of the calls that are under way. */
  const pending = async (): Promise<string> => {
    const { temporal } = await daemon.status();
    const args = ['workflow', 'describe', '--workflow-id', 'agent/keeper', '--address', temporal.address, '-o', 'json'];
    return (await run(inject('temporalCli'), args)).stdout;
  };
  const send = (payload: unknown) => daemon.call('POST', '/agents/keeper/messages', { type: 'TEXT', payload });

  it('an agent waits for what it has kept, and messages are refused until it is back', async () => {
    await send({ do: 'keep', value: { step: 7 } });
    await until(async () => (await daemon.call('GET', '/state/agents/keeper/snapshot')).status === 200, {
      what: 'the snapshot',
    });
    const { pid } = (await daemon.agent('keeper'))!;
    await redis.kill();
    process.kill(pid!, 'SIGKILL');
    // The life that is to come is asked for, and nothing has been started for it.
    await daemon.untilAgent('keeper', (view) => view.generation === 2 && view.state === 'starting', 'starting');
    await until(async () => (await pending()).includes('The snapshot of keeper cannot be read'), {
      what: 'a start that was tried',
      deadlineMs: 30_000,
    });
    expect(await send('x')).toMatchObject({ status: 503, body: { error: { code: 'BUS_UNAVAILABLE' } } });
    expect(starts()).toHaveLength(1);
    expect((await daemon.agent('keeper'))?.pid).toBeNull();

    await redis.start();
    await untilStarted(2);
    expect(starts()[1]).toMatchObject({ life: 2, snapshot: { step: 7 } });
    expect((await send({ n: 1 })).status).toBe(201);
    await until(() => readFileSync(log, 'utf8').includes('"got":{"n":1}'), { what: 'the message' });
  }, 120_000);
});
