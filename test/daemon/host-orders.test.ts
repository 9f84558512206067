import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CodedError } from '../../src/contract/errors.ts';
import { custodyRecords, hostOrders, UnansweredOrders } from '../../src/daemon/host-orders.ts';
import { CustodianError } from '../../src/host/custodian-client.ts';
import { createTestHost, isAlive, type TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
let kept = 0;
type Link = Parameters<typeof hostOrders>[0];
const link: Link = {
  call: (method, params) => host.client.request(method, params),
  callUntilAnswered: (method, params) => host.client.request(method, params),
};
const unanswered = new UnansweredOrders(link);
const ways = { onKept: async () => void (kept += 1), handOver: async () => undefined };
const control = hostOrders(link, unanswered, ways);
const records = custodyRecords(link, unanswered);
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
  const none: Link = {
    call: () => Promise.reject(new Error('no connection')),
    callUntilAnswered: () => Promise.reject(new Error('no connection')),
  };
  const broken = hostOrders(none, new UnansweredOrders(none), ways);
  await expect(broken.order('a', 'stop', STOP)).rejects.toMatchObject({ code: 'CUSTODIAN_UNAVAILABLE' });
  expect(kept).toBe(0);
});

/** The custodian does what it is asked for, and the answer to this method is not heard. */
const deafTo = (lost: string): Link => ({
  async call(method, params) {
    const answer = await link.call(method, params);
    if (method === lost) throw new CodedError('CUSTODIAN_UNAVAILABLE', `did not answer \`${method}\``);
    return answer;
  },
  callUntilAnswered: (method, params) => link.callUntilAnswered(method, params),
});

test('an order that was refused because the custodian did not answer is not carried out later', async () => {
  await control.order('deaf', 'stop', STOP);
  const [accepted] = await records.orders();
  const deaf = deafTo('order');
  await expect(hostOrders(deaf, unanswered, ways).order('deaf', 'delete', STOP)).rejects.toMatchObject({
    code: 'CUSTODIAN_UNAVAILABLE',
  });
  // What had been accepted before it still is.
  expect(await records.orders()).toEqual([accepted]);
  await records.orderDone(accepted!);
  await expect(hostOrders(deaf, unanswered, ways).order('deaf', 'delete', STOP)).rejects.toThrow('did not answer');
  expect(await records.orders()).toEqual([]);
});

test('an order that is kept is not refused because the process was not ended at once', async () => {
  const failing: Link = {
    call: link.call,
    callUntilAnswered: (method, params) =>
      method === 'stop' ? Promise.reject(new Error('no connection')) : link.callUntilAnswered(method, params),
  };
  await hostOrders(failing, unanswered, ways).order('later', 'stop', STOP);
  const [order] = await records.orders();
  expect(order).toMatchObject({ agent: 'later', verb: 'stop' });
  await records.orderDone(order!);
});

test('before an agent may run again, what was ordered for it is handed over', async () => {
  await control.handOver('again');
  await control.order('again', 'stop', STOP);
  await expect(control.handOver('again')).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
  const [order] = await records.orders();
  await hostOrders(link, unanswered, { ...ways, handOver: () => records.orderDone(order!) }).handOver('again');
  expect(await records.orders()).toEqual([]);
});

test('an order that cannot be put back for the moment does not keep the others from being read', async () => {
  let isFull = true;
  const asked: string[] = [];
  const call = async (method: string): Promise<unknown> => {
    asked.push(method);
    if (method === 'order' && isFull)
      throw new CustodianError({ code: 'RESOURCE_EXHAUSTED', message: 'the disk is full' });
    return method === 'orders' ? { orders: [] } : {};
  };
  const full = { call, callUntilAnswered: call } as unknown as Link;
  const refused = new UnansweredOrders(full);
  await refused.add('a', '2026-01-02', { agent: 'a', verb: 'stop', at: '2026-01-01' });
  expect(await custodyRecords(full, refused).orders()).toEqual([]);
  expect(refused.areOpen).toBe(true);
  isFull = false;
  await refused.takeBack();
  expect([refused.areOpen, asked.at(-1)]).toEqual([false, 'order']);
});
