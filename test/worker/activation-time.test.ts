import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import { expect, inject, it } from 'vitest';
import { UNHURRIED } from '../../src/worker/workers.ts';
import { startDevServer } from '../support/dev-server.ts';

it('a workflow is given a minute for an activation, although the types of the SDK do not know the option', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-test-worker-'));
  const server = await startDevServer({ cli: inject('temporalCli'), folder });
  const connection = await NativeConnection.connect({ address: server.address });
  try {
    const codePath = inject('workflowBundle') ?? 'missing';
    const worker = await Worker.create({ connection, taskQueue: 'any', workflowBundle: { codePath }, ...UNHURRIED });
    expect(worker.options.isolateExecutionTimeoutMs).toBe(60_000);
    await worker.runUntil(Promise.resolve());
  } finally {
    await connection.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
