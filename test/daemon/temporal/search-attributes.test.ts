import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Http2Server } from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../../src/contract/names.ts';
import { createCommand, ensureSearchAttributes } from '../../../src/daemon/temporal/search-attributes.ts';
import { runCommand } from '../../../src/daemon/run-command.ts';
import { startDevServer, type DevServer } from '../../support/dev-server.ts';

let folder: string;
let server: DevServer;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-attributes-'));
  server = await startDevServer({ cli: inject('temporalCli'), folder, searchAttributes: [] });
});

afterAll(async () => {
  await server.connection.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function newNamespace(name: string): Promise<{ namespace: string; address: string }> {
  const args = ['operator', 'namespace', 'create', '--namespace', name, '--address', server.address];
  const { code, output } = await runCommand(inject('temporalCli'), args, { timeoutMs: 20_000 });
  expect(code, output).toBe(0);
  return { namespace: name, address: server.address };
}

describe('ensureSearchAttributes', () => {
  test('creates all five on a bare server, and then has nothing to do', async () => {
    const options = { namespace: 'default', address: server.address };
    expect(await ensureSearchAttributes(server.connection, options)).toEqual([...SEARCH_ATTRIBUTES]);
    const { customAttributes } = await server.connection.operatorService.listSearchAttributes({ namespace: 'default' });
    expect(Object.keys(customAttributes ?? {}).toSorted()).toEqual([...SEARCH_ATTRIBUTES].toSorted());
    expect(await ensureSearchAttributes(server.connection, options)).toEqual([]);
  });

  test('creates only those that are missing', async () => {
    const options = await newNamespace('partly');
    await server.connection.operatorService.addSearchAttributes({ namespace: 'partly', searchAttributes: { Host: 2 } });
    expect(await ensureSearchAttributes(server.connection, options)).toEqual(
      SEARCH_ATTRIBUTES.filter((name) => name !== 'Host'),
    );
  });

  test('says with a command how to mend an attribute of another type', async () => {
    const options = await newNamespace('wrong-type');
    await server.connection.operatorService.addSearchAttributes({
      namespace: 'wrong-type',
      searchAttributes: { AgentId: 3 },
    });
    const failure = (await ensureSearchAttributes(server.connection, options).catch(
      (error: unknown) => error,
    )) as Error;
    expect(failure).toMatchObject({ code: 'SEARCH_ATTRIBUTES' });
    expect(failure.message).toContain('search-attribute remove');
    expect(failure.message).toContain(createCommand(['AgentId'], options));
  });

  test('gives the exact command where the server refuses', async () => {
    const { address, close } = await refusingServer();
    const connection = Connection.lazy({ address });
    const options = { namespace: 'prod', address };
    const failure = (await ensureSearchAttributes(connection, options).catch((error: unknown) => error)) as Error;
    await connection.close();
    await close();
    expect(failure).toMatchObject({ code: 'SEARCH_ATTRIBUTES' });
    expect(failure.message).toContain('no rights');
    expect(failure.message).toContain(
      `temporal operator search-attribute create --address ${address} --namespace prod --name AgentId --type Keyword`,
    );
  });

  test('its command does what it says', async () => {
    const options = await newNamespace('by-hand');
    const [, ...args] = createCommand(SEARCH_ATTRIBUTES, options).split(' ');
    const { code, output } = await runCommand(inject('temporalCli'), args, { timeoutMs: 20_000 });
    expect(code, output).toBe(0);
    expect(await ensureSearchAttributes(server.connection, options)).toEqual([]);
  });
});

/** A server that answers every gRPC call with PERMISSION_DENIED, as a cluster does to who is not its operator. */
async function refusingServer(): Promise<{ address: string; close: () => Promise<void> }> {
  const refusing: Http2Server = createServer();
  const sessions = new Set<{ destroy: () => void }>();
  refusing.on('session', (session) => void sessions.add(session));
  refusing.on('stream', (stream) => {
    const trailersOnly = {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '7',
      'grpc-message': 'no rights',
    };
    stream.respond(trailersOnly, { endStream: true });
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      for (const session of sessions) session.destroy();
      refusing.close(() => resolve());
    });
  return { address: `127.0.0.1:${(refusing.address() as { port: number }).port}`, close };
}
