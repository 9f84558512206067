import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { EmbeddedTemporal, type EmbeddedTemporalOptions } from '../../../src/daemon/temporal/embedded.ts';
import { RETENTION_DAYS } from '../../../src/daemon/temporal/retention.ts';
import { TEMPORAL_CLI_VERSION } from '../../../src/daemon/temporal/version.ts';
import { PlainCustody } from '../../support/plain-custody.ts';
import { until } from '../../support/wait.ts';

let stateDir: string;
let custody: PlainCustody;
let logged: string[];
const opened: EmbeddedTemporal[] = [];

beforeEach(async () => {
  stateDir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-embedded-'));
  custody = new PlainCustody(stateDir);
  logged = [];
});

afterEach(async () => {
  for (const temporal of opened.splice(0)) await temporal.detach();
  await custody.kill();
  await rm(stateDir, { recursive: true, force: true });
});

function embedded(options: Partial<EmbeddedTemporalOptions> = {}): EmbeddedTemporal {
  const note = (_fields: object, message: string): void => void logged.push(message);
  const temporal = new EmbeddedTemporal({
    custody,
    binary: { path: inject('temporalCli'), version: TEMPORAL_CLI_VERSION, source: 'cache' },
    stateDir,
    ports: { temporal: 0, ui: 0 },
    log: { info: note, warn: note },
    ...options,
  });
  custody.onExit = (event) => temporal.noteExit(event);
  opened.push(temporal);
  return temporal;
}

async function script(body: string): Promise<{ path: string; version: string; source: 'environment' }> {
  const file = path.join(stateDir, 'fake-temporal');
  await writeFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return { path: file, version: '9.9.9', source: 'environment' };
}

async function serves(address: string): Promise<boolean> {
  const connection = Connection.lazy({ address });
  try {
    await connection.withDeadline(Date.now() + 1000, () => connection.workflowService.getSystemInfo({}));
    return true;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}

describe('EmbeddedTemporal', () => {
  test('start launches a server with a Web UI and 30 days of retention, and stop ends it', async () => {
    const temporal = embedded();
    const running = await temporal.start();
    expect(running.adopted).toBe(false);
    expect(running.version).toBe(TEMPORAL_CLI_VERSION);

    const connection = await Connection.connect({ address: running.address });
    const { config } = await connection.workflowService.describeNamespace({ namespace: running.namespace });
    await connection.close();
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(RETENTION_DAYS * 86_400);

    const page = await fetch(running.uiUrl);
    expect(page.status).toBe(200);
    await page.text();
    expect(existsSync(path.join(stateDir, 'temporal', `temporal-${TEMPORAL_CLI_VERSION}.db-wal`))).toBe(true);
    await temporal.stop();
    expect(custody.pid).toBeUndefined();
    expect(await serves(running.address)).toBe(false);
  });

  test('start adopts a live server with the ports that it has', async () => {
    const first = embedded();
    const before = await first.start();
    await first.detach();

    const after = await embedded({ ports: { temporal: 1, ui: 1 } }).start();
    expect(after).toEqual({ ...before, adopted: true });
    expect(custody.spawned).toHaveLength(1);
  });

  test('start replaces a live server whose ports nobody knows', async () => {
    const first = embedded();
    const { pid } = await first.start();
    await first.detach();
    await rm(path.join(stateDir, 'temporal.json'));

    const after = await embedded().start();
    expect(after.adopted).toBe(false);
    expect(after.pid).not.toBe(pid);
    expect(custody.spawned.map((params) => params.generation)).toEqual([1, 2]);
  });

  test('a killed server is started again on the same ports above the fence', async () => {
    const running = await embedded().start();
    process.kill(running.pid, 'SIGKILL');
    await until(() => custody.pid !== undefined && custody.pid !== running.pid, { what: 'another server' });
    await until(() => serves(running.address), { what: 'an answer on the same port', deadlineMs: 20_000 });
    expect(custody.spawned.map((params) => params.generation)).toEqual([1, 2]);
    expect(logged.some((line) => line.includes('SIGKILL'))).toBe(true);
  });

  test('check finds an exit that was not told', async () => {
    const temporal = embedded();
    const running = await temporal.start();
    custody.deaf = true;
    process.kill(running.pid, 'SIGKILL');
    await until(() => custody.pid === undefined, { what: 'the end of the server' });
    custody.deaf = false;
    await temporal.check();
    await until(() => custody.pid !== undefined, { what: 'another server' });
    await until(() => serves(running.address), { what: 'an answer', deadlineMs: 20_000 });
  });

  test('start names a port that is taken and starts nothing', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const port = (blocker.address() as { port: number }).port;
    const temporal = embedded({ ports: { temporal: 0, ui: port } });
    await expect(temporal.start()).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(String(port)),
    });
    expect(custody.spawned).toEqual([]);
    await new Promise((resolve) => blocker.close(resolve));
  });

  test('start shows the end of the log of a server that ends at once', async () => {
    const binary = await script('echo "Error: the disk is on fire"; exit 3');
    const failure = await embedded({ binary })
      .start()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
    expect((failure as Error).message).toMatch(/exit code 3[^]*the disk is on fire/);
    expect(custody.pid).toBeUndefined();
  });

  test('start stops a server that never answers', async () => {
    const binary = await script('exec sleep 600');
    await expect(embedded({ binary, readyMs: 300 }).start()).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
    expect(custody.pid).toBeUndefined();
  });

  test('start chooses other ports if one is taken from under a server, which then hangs', async () => {
    const once = path.join(stateDir, 'once');
    const binary = await script(`if [ ! -e "${once}" ]; then
  : > "${once}"
  echo '{"level":"FATAL","msg":"listen tcp 127.0.0.1:36239: bind: address already in use"}'
  exec sleep 600
fi
exec "${inject('temporalCli')}" "$@"`);
    const running = await embedded({ binary }).start();
    expect(await serves(running.address)).toBe(true);
    expect(custody.spawned.map((params) => params.generation)).toEqual([1, 2]);
    const [first, second] = custody.spawned.map(({ command }) => command[command.indexOf('--ui-port') + 1]);
    expect(first).not.toBe(second);
    expect(logged.join()).toContain('bind: address already in use');
  });

  test('start gives up on ports that are taken again and again, and stops what hangs', async () => {
    const binary = await script(`echo 'listen tcp 127.0.0.1:1: bind: address already in use'; exec sleep 600`);
    await expect(embedded({ binary }).start()).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    expect(custody.spawned).toHaveLength(5);
    expect(custody.pid).toBeUndefined();
  });

  test('start refuses a database of another version and says what to do', async () => {
    await mkdir(path.join(stateDir, 'temporal'));
    const other = path.join(stateDir, 'temporal', 'temporal-1.4.0.db');
    await writeFile(other, 'data');
    const failure = (await embedded()
      .start()
      .catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'TEMPORAL_DATABASE', details: { found: ['1.4.0'] } });
    expect(failure.message).toMatch(/OPENSTARRY_TEMPORAL_CLI[^]*mv /);
    expect(custody.spawned).toEqual([]);
    expect(await readFile(other, 'utf8')).toBe('data');
  });
});
