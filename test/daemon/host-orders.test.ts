import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { custodyRecords, hostOrders } from '../../src/daemon/host-orders.ts';
import { createTestHost, isAlive, type TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
let kept = 0;
const link: Parameters<typeof hostOrders>[0] = { call: (method, params) => host.client.request(method, params) };
const control = hostOrders(link, async () => void (kept += 1));
const records = custodyRecords(link);
const STOP = { signal: 'SIGTERM', graceMs: 500 };

beforeAll(async () => void (host = await createTestHost()));
afterAll(() => host.cleanUp());
beforeEach(() => void (kept = 0));

test('an order ends the process, is kept over the death of the custodian, and handed over', async () => {
  const { pid } = await host.spawn('runs', 3, ['sleep', '36100']);
  await control.order('runs', 'stop', STOP);
  await until(() => !isAlive(pid), { what: 'the end of the process' });
  await host.kill();
  await host.start();
  expect(await records.orders()).toMatchObject([{ agent: 'runs', verb: 'stop' }]);
  expect(kept).toBe(1);
  const [order] = await records.orders();
  await records.orderDone(order!);
  expect(await records.orders()).toEqual([]);
});

test('an order for an agent that never ran: nothing is started until it has been handed over', async () => {
  await control.order('never', 'stop', STOP);
  // The start that the workflow has asked for before it heard of the stop.
  await expect(host.spawn('never', 1, ['sleep', '36100'])).rejects.toMatchObject({ code: 'ORDERED' });
  await host.kill();
  await host.start();
  await expect(host.spawn('never', 1, ['sleep', '36100'])).rejects.toMatchObject({ code: 'ORDERED' });
  const [order] = await records.orders();
  expect(order).toMatchObject({ agent: 'never', verb: 'stop' });
  await records.orderDone(order!);
  expect((await host.spawn('never', 1, ['sleep', '36100'])).custody.fence).toBe(1);
});

test('an order that cannot be kept is refused', async () => {
  const broken = hostOrders({ call: () => Promise.reject(new Error('no connection')) }, async () => void (kept += 1));
  await expect(broken.order('a', 'stop', STOP)).rejects.toMatchObject({ code: 'CUSTODIAN_UNAVAILABLE' });
  expect(kept).toBe(0);
});
