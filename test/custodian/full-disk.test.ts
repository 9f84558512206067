import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

/** A file system of its own can only be mounted by root; elsewhere these are skipped. */
const canMount =
  process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

let host: TestHost;
let isMounted = false;
beforeEach(async () => {
  host = await createTestHost({ isStarted: false });
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'tmpfs', host.stateDir]).status === 0;
});
afterEach(async () => {
  if (isMounted) spawnSync('umount', ['-l', host.stateDir]);
  await host.cleanUp();
});

function fill(): void {
  const path = join(host.stateDir, 'ballast');
  for (let piece = 64 * 1024; piece >= 1; piece = Math.floor(piece / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(piece), { flag: 'a' });
    } catch {
      // a smaller piece may still fit
    }
  }
}

test.runIf(canMount)('a full disk kills no agent, refuses starts and loses no exit', async () => {
  expect(isMounted).toBe(true);
  await host.start();
  const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
  await host.spawn('b', 1, ['sleep', '1000']);
  fill();
  // The last block of the journal still has room for some records.
  let tries = 0;
  const refused = await until(
    () => {
      tries += 1;
      return host.spawn(`full-${tries}`, 1, ['true']).then(
        () => undefined,
        (error: unknown) => error,
      );
    },
    { what: 'a refusal' },
  );
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', errno: 'ENOSPC' });
  expect(await host.client.request('custody', { agent: `full-${tries}` })).toEqual({ fence: 0 });
  process.kill(pid, 'SIGKILL');
  const { exit, custody } = await host.exitOf('a');
  expect(exit).toMatchObject({ signal: 'SIGKILL' });
  expect(custody.last_exit).toEqual(exit);
  await host.client.request('stop', {
    agent: 'b',
    generation: 1,
    cause: 'operator',
    signal: 'SIGTERM',
    grace_ms: 1000,
  });
  expect((await host.exitOf('b')).exit.cause).toBe('operator');
  rmSync(join(host.stateDir, 'ballast'));
  expect((await host.spawn('c', 1, ['sleep', '1000'])).adopted).toBe(false);
  expect(readFileSync(join(host.stateDir, 'custody.journal'), 'utf8')).toContain(JSON.stringify(exit));
  await host.kill();
  await host.start();
  expect((await host.entry('a'))?.custody.last_exit).toEqual(exit);
  expect((await host.entry('b'))?.custody.last_exit).toMatchObject({ cause: 'operator' });
  expect((await host.entry('c'))?.live).toBeDefined();
});

test.runIf(canMount)('an order that a full disk refuses is not carried out later', async () => {
  await host.start();
  const order = (agent: string, verb: 'stop' | 'delete') => host.client.request('order', { agent, verb });
  const orders = async () =>
    (await host.client.request('orders', {})).orders.map(({ agent, verb }) => ({ agent, verb }));
  await order('kept', 'stop');
  fill();
  let tries = 0;
  const refused = await until(
    () => {
      tries += 1;
      return order(`full-${tries}`, 'stop').then(
        () => undefined,
        (error: unknown) => error,
      );
    },
    { what: 'a refusal' },
  );
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await expect(order('kept', 'delete')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  const taken = await orders();
  expect(taken).toHaveLength(tries);
  expect(taken[0]).toEqual({ agent: 'kept', verb: 'stop' });
  expect(taken).not.toContainEqual({ agent: `full-${tries}`, verb: 'stop' });
  rmSync(join(host.stateDir, 'ballast'));
  expect((await host.spawn(`full-${tries}`, 1, ['sleep', '1000'])).adopted).toBe(false);
  await host.kill();
  await host.start();
  expect(await orders()).toEqual(taken);
});
