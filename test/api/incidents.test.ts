import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorBody } from '../../src/contract/errors.ts';
import { AGENT_TOKEN, apiFixture, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';

let api: ApiFixture;
beforeEach(() => {
  api = apiFixture({ commandLimit: { perSecond: 1, burst: 3 } });
});
afterEach(() => api.app.close());

const proposal = { action: 'a text', reason: 'so', risk: 'low' };

describe('POST /incidents', () => {
  it.each<[string, unknown, string]>([
    ['no body', undefined, 'expected a mapping'],
    ['no summary', {}, 'summary is missing; expected a sentence that says what is wrong, such as'],
    ['a blank one', { summary: ' ' }, 'summary is " "'],
    [
      'an id that is none',
      { summary: 'x', incident_id: 'a/b' },
      'incident_id is "a/b" (string); expected the id of an incident',
    ],
    ['a mistyped field', { summary: 'x', severty: 'info' }, 'severty is not a known field; did you mean "severity"?'],
    ['an unknown severity', { summary: 'x', severity: 'bad' }, 'severity is "bad" (string); expected one of "info"'],
    ['details that are too much', { summary: 'x', details: 'y'.repeat(20_000) }, 'expected JSON of at most 16384'],
    ['no reason', { summary: 'x', proposal: { action: 'y', risk: 'low' } }, 'proposal.reason is missing'],
    ['no risk', { summary: 'x', proposal: { action: 'y', reason: 'z' } }, 'proposal.risk is missing'],
    [
      'no such command',
      { summary: 'x', proposal: { ...proposal, action: { command: 'delete', agent_id: 'w' } } },
      'or a command of the daemon such as { "command": "restart", "agent_id": "w1" }',
    ],
    [
      'an end without a time',
      { summary: 'x', proposal: { ...proposal, on_expiry: 'reject' } },
      'proposal.on_expiry is "reject" (string); expected proposal.expires beside it, such as "2h"',
    ],
    ['no duration', { summary: 'x', proposal: { ...proposal, expires: 'soon' } }, 'proposal.expires is "soon"'],
  ])('with %s is refused, naming the field', async (_case, json, says) => {
    const response = await send(api, 'POST', '/incidents', json === undefined ? {} : { json });
    const { error } = response.json<ErrorBody>();
    expect([response.statusCode, error.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(error.message).toContain(says);
    expect(api.asked).toEqual([]);
  });

  it('answers 201 for a new one, 200 for one that was open, 202 for one that is on its way', async () => {
    const statusOf = async (created: boolean, settled: boolean): Promise<number> => {
      api.state.answer = { created, settled, incident: { incident_id: 'x' } };
      return (await send(api, 'POST', '/incidents', { json: { summary: 'x' } })).statusCode;
    };
    expect([await statusOf(true, true), await statusOf(false, true), await statusOf(true, false)]).toEqual([
      201, 200, 202,
    ]);
  });

  it('is limited for an agent, which may be broken', async () => {
    const headers = { authorization: `Bearer ${AGENT_TOKEN}` };
    const statuses: number[] = [];
    for (let n = 0; n < 5; n += 1)
      statuses.push((await send(api, 'POST', '/incidents', { json: { summary: 'x' }, headers })).statusCode);
    expect(statuses).toEqual([201, 201, 201, 429, 429]);
  });
});

describe('the routes of incidents', () => {
  it('never fail for what comes in', async () => {
    const path = fc.constantFrom('/incidents', '/incidents/i/acknowledge', '/incidents/i/approve', '/notify/test');
    await fc.assert(
      fc.asyncProperty(path, fc.jsonValue(), async (url, json) => {
        const { statusCode } = await send(api, 'POST', url, { json });
        expect(statusCode).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
    const query = fc.record({
      name: fc.constantFrom('state', 'severity', 'agent_id', 'limit', 'cursor', 'x'),
      value: fc.string(),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ name, value }) => {
        const { statusCode } = await send(api, 'GET', `/incidents?${name}=${encodeURIComponent(value)}`);
        expect([200, 400]).toContain(statusCode);
      }),
      { numRuns: 100 },
    );
  });
});
