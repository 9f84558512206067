import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdCustodian } from '../../src/daemon/hold-custodian.ts';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { createTestHost, type TestHost } from '../support/custodian.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

it('holdCustodian waits for a daemon whose process is over, until the custodian has noticed it', async () => {
  host.client.close();
  await host.client.closed;
  const { pid } = spawnSync('true');
  const gone = await connectCustodian(host.stateDir, { role: 'daemon', version: 'test', pid });
  const next = holdCustodian(host.stateDir, 'test');
  // Requests are answered in their order: the first attempt has been refused by now.
  const observer = await connectCustodian(host.stateDir, { role: 'observer', version: 'test' });
  await observer.request('list', {});
  gone.close();
  await using held = await next;
  expect(held.isOpen).toBe(true);
  observer.close();
});

it('holdCustodian is refused at once where another daemon lives', async () => {
  const second = holdCustodian(host.stateDir, 'test', 3_600_000);
  await expect(second).rejects.toMatchObject({ code: 'DAEMON_RUNNING', pid: process.pid });
});
