import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

test('exit carries the code of the process', async () => {
  await host.spawn('a', 1, ['sh', '-c', 'exit 7']);
  const { exit, custody } = await host.exitOf('a');
  expect(exit).toMatchObject({ generation: 1, code: 7, signal: null, cause: 'self' });
  expect(custody).toMatchObject({ fence: 1, last_exit: { generation: 1, code: 7 } });
  expect(custody.live).toBeUndefined();
});

test('exit carries the signal of the process', async () => {
  const { pid } = await host.spawn('a', 1, ['sleep', '100']);
  process.kill(pid, 'SIGKILL');
  const { exit } = await host.exitOf('a');
  expect(exit).toMatchObject({ code: null, signal: 'SIGKILL', cause: 'self' });
});
