import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { agentView, apiFixture, type ApiFixture } from './api-fixture.ts';
import { send } from './client.ts';

let api: ApiFixture;
beforeEach(() => {
  api = apiFixture();
});
afterEach(() => api.app.close());

interface Page {
  agents: AgentView[];
  next_cursor: string | null;
}

describe('GET /agents in pages', () => {
  test('gives all of them without a limit', async () => {
    expect((await send(api, 'GET', '/agents')).json<Page>().next_cursor).toBeNull();
  });

  test('each agent comes once, also when others come and go in between', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    api.state.answer = ids.map((id) => agentView(id));
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page: Page = (await send(api, 'GET', `/agents?limit=2${query}`)).json();
      seen.push(...page.agents.map(({ agent_id }) => agent_id));
      api.state.answer = ids.filter((id) => id !== 'b').map((id) => agentView(id));
      ({ next_cursor: cursor } = page);
    }
    expect(seen).toEqual(ids);
  });

  test.for(['cursor=%20', 'cursor=', 'cursor=YQ==', 'limit=0', 'limit=10001'])('refuses ?%s', async (query) => {
    expect((await send(api, 'GET', `/agents?${query}`)).statusCode).toBe(400);
  });
});

describe('GET history in pages', () => {
  test('goes on with the cursor', async () => {
    const page = (await send(api, 'GET', '/agents/a/history?limit=3')).json<{ next_cursor: string }>();
    await send(api, 'GET', `/agents/a/history?limit=3&cursor=${page.next_cursor}`);
    expect(api.asked.at(-1)?.args[1]).toEqual({ limit: 3, before: 28 });
  });
  test('refuses the cursor of something else', async () => {
    const foreign = Buffer.from('some-agent').toString('base64url');
    expect((await send(api, 'GET', `/agents/a/history?cursor=${foreign}`)).statusCode).toBe(400);
  });
});

describe('GET /hosts', () => {
  test('tells of this machine and what runs on it', async () => {
    api.state.answer = [agentView('a'), agentView('b', { pid: null }), agentView('c', { host: 'another' })];
    const { hosts } = (await send(api, 'GET', '/hosts')).json();
    expect(hosts).toEqual([
      expect.objectContaining({
        host: 'h1',
        this: true,
        agents: 2,
        live: 1,
        tree: 'best-effort',
        cpus: expect.any(Number),
      }),
    ]);
  });
});
