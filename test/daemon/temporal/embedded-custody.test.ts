import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { EmbeddedTemporal } from '../../../src/daemon/temporal/embedded.ts';
import { TEMPORAL_CLI_VERSION } from '../../../src/daemon/temporal/version.ts';
import { connectCustodian, type CustodianClient, startCustodian } from '../../../src/host/custodian-client.ts';
import { until } from '../../support/wait.ts';

// The embedded server as a child of the real custodian.
let stateDir: string;
let client: CustodianClient;
const opened: EmbeddedTemporal[] = [];

beforeEach(async () => {
  stateDir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-custody-'));
  client = await reach();
});

afterEach(async () => {
  for (const temporal of opened.splice(0)) await temporal.detach();
  if (!client.isOpen) client = await reach();
  const live = await livePid();
  if (live !== undefined) process.kill(live, 'SIGKILL');
  await until(async () => (await livePid()) === undefined, { what: 'the end of the server' });
  await client.request('end', {});
  await client.closed;
  await rm(stateDir, { recursive: true, force: true });
});

async function reach(): Promise<CustodianClient> {
  await startCustodian(stateDir, path.join(inject('root'), 'dist', 'custodian.mjs'));
  return connectCustodian(stateDir, { role: 'daemon', version: 'test' });
}

async function livePid(): Promise<number | undefined> {
  const { entries } = await client.request('list', {});
  return entries.find((entry) => entry.agent === '_temporal')?.live?.pid;
}

function embedded(): EmbeddedTemporal {
  const temporal = new EmbeddedTemporal({
    custody: { call: (method, params) => client.request(method, params) },
    binary: { path: inject('temporalCli'), version: TEMPORAL_CLI_VERSION, source: 'cache' },
    stateDir,
    ports: { temporal: 0, ui: 0 },
    log: { info: () => {}, warn: () => {} },
  });
  client.on('exit', (event) => temporal.noteExit(event));
  opened.push(temporal);
  return temporal;
}

test('EmbeddedTemporal outlives daemon and custodian, is adopted, and stops last', async () => {
  const first = embedded();
  const before = await first.start();
  expect(await livePid()).toBe(before.pid);
  await first.detach();
  const gone = client.closed;
  process.kill(client.hello.pid, 'SIGKILL');
  await gone;

  client = await reach();
  const second = embedded();
  expect(await second.start()).toEqual({ ...before, adopted: true });

  process.kill(before.pid, 'SIGKILL');
  const another = async (): Promise<number | undefined> => {
    const pid = await livePid();
    return pid === before.pid ? undefined : pid;
  };
  const after = await until(another, { what: 'another server', deadlineMs: 20_000 });
  expect(after).not.toBe(before.pid);
  await second.stop();
  expect(await livePid()).toBeUndefined();
});

test('EmbeddedTemporal goes on above the fence when its end was seen by nobody', async () => {
  const temporal = embedded();
  const { pid } = await temporal.start();
  const gone = client.closed;
  process.kill(client.hello.pid, 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await gone;
  client = await reach();
  await temporal.check();
  await until(livePid, { what: 'another server', deadlineMs: 20_000 });
  const { entries } = await client.request('list', {});
  expect(entries[0]?.live?.generation).toBe(2);
  await temporal.stop();
});
