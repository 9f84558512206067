import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CodedError } from '../../src/contract/errors.ts';
import type { BulkOptions } from '../../src/service/bulk.ts';
import { apiFixture, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';

let api: ApiFixture;
beforeEach(() => {
  api = apiFixture({ commandLimit: { perSecond: 1, burst: 2 } });
});
afterEach(() => api.app.close());

describe('POST /agents:<verb>', () => {
  test.for<[unknown, unknown]>([
    [{ all: true }, { kind: 'all' }],
    [{ labels: { team: 'a', rank: '1' } }, { kind: 'some', labels: ['team=a', 'rank=1'] }],
    [{ labels: ['team=a', 'rank'] }, { kind: 'some', labels: ['team=a', 'rank'] }],
    [{ fault_domain: 'data' }, { kind: 'some', labels: [], faultDomain: 'data' }],
    [
      { fault_domain: 'data', labels: { a: 'b' } },
      { kind: 'some', labels: ['a=b'], faultDomain: 'data' },
    ],
  ])('hands on %j', async ([json, selection]) => {
    const response = await send(api, 'POST', '/agents:stop?grace=1s&wait=none', { json });
    expect(response.json()).toEqual({
      results: [{ agent_id: 'a', settled: true, state: 'stopped' }],
      total: 1,
      settled: 1,
      failed: 0,
    });
    expect(api.asked[0]).toMatchObject({
      method: 'commandMany',
      args: ['stop', selection, { grace: '1s', waitMs: 0 }],
    });
  });

  test.for([undefined, {}, { all: false }, { all: true, labels: {} }, { labels: 5 }, { al: true }])(
    'nothing is never all: %j is refused',
    async (json) => {
      const response = await send(api, 'POST', '/agents:stop', json === undefined ? {} : { json });
      expect([response.statusCode, api.asked]).toEqual([400, []]);
    },
  );

  test('answers 202 while some are on their way, 207 if some have refused', async () => {
    api.state.answer = [
      { agent_id: 'a', settled: true },
      { agent_id: 'b', settled: false, note: 'later' },
    ];
    const later = await send(api, 'POST', '/agents:restart', { json: { all: true } });
    expect([later.statusCode, later.json()]).toMatchObject([202, { total: 2, settled: 1, failed: 0 }]);
    const { code, message, remedy } = new CodedError('TEMPORAL_UNAVAILABLE', 'away');
    api.state.answer = [{ agent_id: 'a', settled: false, error: { code, message, remedy } }];
    const refused = await send(api, 'POST', '/agents:restart', { json: { all: true } });
    expect([refused.statusCode, refused.json()]).toMatchObject([207, { failed: 1 }]);
    api.state.answer = [];
    expect((await send(api, 'POST', '/agents:restart', { json: { all: true } })).statusCode).toBe(200);
  });

  test('counts for the limit of each agent', async () => {
    await send(api, 'POST', '/agents:stop', { json: { all: true } });
    const { admit } = api.asked[0]!.args[2] as BulkOptions;
    admit?.('a');
    admit?.('a');
    expect(() => admit?.('a')).toThrow(/the limit is 1 a second/);
    expect((await send(api, 'POST', '/agents/a/stop')).statusCode).toBe(429);
    expect((await send(api, 'POST', '/agents/b/stop')).statusCode).toBe(200);
  });
});
