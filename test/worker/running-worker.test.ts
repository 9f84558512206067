import { NativeConnection, Worker } from '@temporalio/worker';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { RunningWorker } from '../../src/worker/running-worker.ts';
import { until } from '../support/wait.ts';

/** A worker that fails as soon as it runs. */
const broken = { getState: () => 'FAILED', run: () => Promise.reject(new Error('broken')), shutdown: () => undefined };

test('RunningWorker lets go of a worker that is made while it is stopped', async () => {
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  let make = (): void => undefined;
  const making = new Promise<void>((resolve) => (make = resolve));
  const made: Worker[] = [];
  let isAsked = false;
  const worker = new RunningWorker(
    broken as unknown as Worker,
    async () => {
      isAsked = true;
      await making;
      const own = { taskQueue: `running-worker-${process.pid}`, activities: { nothing: async () => undefined } };
      made.push(await Worker.create({ connection, ...own }));
      return made[0]!;
    },
    () => undefined,
  );
  worker.start();
  await until(() => isAsked, { what: 'another worker to be asked for' });
  const stopped = worker.stop();
  expect(await Promise.race([stopped.then(() => 'stopped'), delay(20, 'waits')])).toBe('waits');
  make();
  await stopped;
  expect(made.map((one) => one.getState())).toEqual(['STOPPED']);
  await connection.close(); // refused while a worker holds it
});
