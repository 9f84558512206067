import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Keeper } from '../../src/custodian/keeper.ts';
import type { CustodyEntry } from '../../src/custodian/protocol.ts';
import type { ExitRecord } from '../../src/domain/custody.ts';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { createTestHost, isAlive } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

const LOG = { max_bytes: 1_000_000, keep: 1 };

let host: TestHost;

/** Spawns a daemon that the custodian is to keep, and speaks for it. */
async function keptDaemon(script: string): Promise<number> {
  const command = ['sh', '-c', script];
  const { pid } = await host.spawn('_daemon', 1, command);
  host.client.close();
  await host.client.closed;
  const connect = () =>
    connectCustodian(host.stateDir, { role: 'daemon', version: 'test', pid }).catch(() => undefined);
  host.client = await until(connect, { what: 'a connection' });
  const env = { PATH: process.env['PATH'] ?? '', BENCH_RUN: host.env['BENCH_RUN'] ?? '' };
  await host.client.request('keep', { spawn: { command, env, cwd: host.stateDir, log: LOG } });
  return pid;
}

const entry = async (): Promise<CustodyEntry> => (await host.entry('_daemon'))!;
const generation = async (): Promise<number> => (await entry()).custody.fence;

describe('Keeper', () => {
  const exit = (more: Partial<ExitRecord>): ExitRecord => ({
    generation: 1,
    code: null,
    signal: null,
    cause: 'self',
    at: '2026-01-01T00:00:00.000Z',
    ran_ms: 10,
    ...more,
  });
  const rule = { command: ['x'], env: {}, cwd: '/', log: LOG };
  const make = () => {
    const spawned: number[] = [];
    const delays: unknown[] = [];
    const log = { info: () => {}, error: () => {}, warn: (_: string, fields?: object) => void delays.push(fields) };
    const keeper = new Keeper({
      spawn: ({ generation }) => void spawned.push(generation),
      fence: () => spawned.length + 1,
      log,
      random: () => 0.5,
    });
    return { keeper, spawned, delayOf: (n: number) => (delays[n] as { delay_ms: number } | undefined)?.delay_ms };
  };
  afterEach(() => vi.useRealTimers());

  test.for<[boolean, Partial<ExitRecord>]>([
    [false, { code: 0 }],
    [false, { code: 78 }],
    [true, { code: 1 }],
    [true, { signal: 'SIGKILL' }],
    [true, {}], // adopted: nobody knows how it ended
    [false, { code: 1, cause: 'operator' }],
    [false, { signal: 'SIGTERM', cause: 'shutdown' }],
  ])('starts it again: %s after %j', ([again, ended]) => {
    const { keeper } = make();
    keeper.keep(rule);
    keeper.exited('_daemon', exit(ended));
    expect(keeper.isWaiting).toBe(again);
    keeper.close();
    expect(keeper.isWaiting).toBe(false);
  });

  test('has no rule unless it was given one, and none for others', () => {
    const { keeper } = make();
    keeper.exited('_daemon', exit({ code: 1 }));
    keeper.keep(rule);
    keeper.exited('_temporal', exit({ code: 1 }));
    expect(keeper.isWaiting).toBe(false);
  });

  test('waits ever longer up to 30 s, and begins anew after a run of a minute', () => {
    vi.useFakeTimers();
    const { keeper, spawned, delayOf } = make();
    keeper.keep(rule);
    for (let n = 0; n < 10; n += 1) {
      keeper.exited('_daemon', exit({ code: 1 }));
      vi.runAllTimers();
    }
    expect(spawned).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([0, 1, 2, 7, 8, 9].map(delayOf)).toEqual([200, 400, 800, 25_600, 30_000, 30_000]);
    keeper.exited('_daemon', exit({ code: 1, ran_ms: 60_000 }));
    expect(delayOf(10)).toBe(200);
    keeper.close();
  });
});

describe('keep', () => {
  beforeEach(async () => {
    host = await createTestHost();
  });
  afterEach(() => host.cleanUp());

  test('starts a daemon again that was killed, each time as the next generation', async () => {
    await keptDaemon('exec sleep 1000');
    for (const next of [2, 3]) {
      process.kill((await entry()).live!.pid, 'SIGKILL');
      await until(async () => (await entry()).live?.generation === next, { what: `generation ${next}` });
    }
  });

  test('leaves a daemon alone that was stopped', async () => {
    const pid = await keptDaemon('exec sleep 1000');
    const stop = { agent: '_daemon', generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: 1000 } as const;
    await host.client.request('stop', stop);
    await until(async () => (await entry()).live === undefined, { what: 'its end' });
    expect(isAlive(pid)).toBe(false);
    expect((await host.spawn('_daemon', 2, ['sleep', '1000'])).adopted).toBe(false);
  });

  test('null takes it back', async () => {
    const pid = await keptDaemon('exec sleep 1000');
    await host.client.request('keep', { spawn: null });
    process.kill(pid, 'SIGKILL');
    await until(async () => (await entry()).live === undefined, { what: 'its end' });
    expect((await host.spawn('_daemon', 2, ['sleep', '1000'])).adopted).toBe(false);
  });

  test('is refused to a daemon that is no child of the custodian', async () => {
    await expect(host.client.request('keep', { spawn: null })).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  });

  test('gives way to a daemon that somebody else has started meanwhile', async () => {
    const pid = await keptDaemon('exec sleep 1000');
    for (let n = 0; n < 3; n += 1) {
      process.kill((await entry()).live?.pid ?? pid, 'SIGKILL');
      await until(async () => (await generation()) === n + 2, { what: 'the next one' });
    }
    process.kill((await entry()).live!.pid, 'SIGKILL'); // now it waits 1.6 s
    host.client.close();
    await host.client.closed;
    host.client = await until(() => host.connect().catch(() => undefined), { what: 'the connection of another' });
    await until(async () => (await entry()).live === undefined, { what: 'its end' });
    expect((await host.spawn('_daemon', 5, ['sleep', '1000'])).adopted).toBe(false);
  });
});
