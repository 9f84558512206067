import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const SLEEPER = { command: ['sleep', '100000'] };

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.make({
    agents: { a: { ...SLEEPER, labels: { team: 'x' } }, b: { ...SLEEPER, labels: { team: 'x' } }, c: SLEEPER },
  });
  await daemon.start();
  for (const id of ['a', 'b', 'c']) await daemon.untilAgent(id, ({ state }) => state === 'running', 'runs');
});
afterAll(() => daemon?.end());

async function killAndStart(): Promise<void> {
  await daemon.signal('SIGKILL');
  await daemon.start();
}

async function address(): Promise<{ url: string; token: string }> {
  const { ports } = JSON.parse(await readFile(path.join(daemon.stateDir, 'daemon.json'), 'utf8')) as {
    ports: { api: number };
  };
  const token = (await readFile(path.join(daemon.stateDir, 'token'), 'utf8')).trim();
  return { url: `http://127.0.0.1:${ports.api}`, token };
}

interface Followed {
  text: string;
  transitions(): { id: number; agent_id: string; state: string }[];
  hangUp(): void;
}

async function follow(query: string, lastId?: number): Promise<Followed> {
  const { url, token } = await address();
  const ending = new AbortController();
  const resume = lastId === undefined ? {} : { 'last-event-id': String(lastId) };
  const response = await fetch(`${url}/events${query}`, {
    headers: { authorization: `Bearer ${token}`, ...resume },
    signal: ending.signal,
  });
  const followed: Followed = {
    text: '',
    transitions: () =>
      [...followed.text.matchAll(/^event: transition\ndata: (.+)$/gm)].map(
        ([, data]) => JSON.parse(data as string) as { id: number; agent_id: string; state: string },
      ),
    hangUp: () => ending.abort(),
  };
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? [])
      followed.text += decoder.decode(chunk as Uint8Array, { stream: true });
  })().catch(() => undefined);
  return followed;
}

describe('POST /agents:<verb>', () => {
  it('commands those with a label and leaves the others alone', async () => {
    const before = await daemon.agent('c');
    const answer = await daemon.call<{ results: { agent_id: string; state: string }[] }>('POST', '/agents:restart', {
      labels: { team: 'x' },
    });
    expect([answer.status, answer.body]).toMatchObject([
      200,
      {
        results: [
          { agent_id: 'a', state: 'running' },
          { agent_id: 'b', state: 'running' },
        ],
        settled: 2,
        failed: 0,
      },
    ]);
    expect((await daemon.agent('a'))?.generation).toBe(2);
    expect(await daemon.agent('c')).toEqual(before);
  });
});

describe('GET /events', () => {
  it('tells every transition once, also to whoever resumes after the daemon was killed', async () => {
    const first = await follow('?agent_id=b');
    await daemon.call('POST', '/agents/b/stop');
    await until(() => first.transitions().at(-1)?.state === 'stopped', { what: 'the stop' });
    await until(() => first.text.includes('"state":"stopped","reason"'), { what: 'the agent as it is then' });
    const last = first.transitions().at(-1)!.id;
    first.hangUp();

    await daemon.call('POST', '/agents/b/start');
    await killAndStart();
    await daemon.call('POST', '/agents/b/stop');
    const second = await follow('?agent_id=b', last);
    await until(() => second.transitions().at(-1)?.state === 'stopped', { what: 'the second stop' });
    const history = (await daemon.call<{ entries: { id: number; state: string }[] }>('GET', '/agents/b/history')).body;
    const since = history.entries.filter(({ id }) => id > last).toReversed();
    expect(since.length).toBeGreaterThan(1);
    expect(second.transitions().map(({ id }) => id)).toEqual(since.map(({ id }) => id));
    second.hangUp();
  });
});

describe('Idempotency-Key', () => {
  const agent = { agent_id: 'once', command: ['sleep', '100000'] };
  const create = (key: string) => daemon.call<AgentView>('POST', '/agents', agent, { 'idempotency-key': key });

  it('gives the same answer again also after the daemon was killed, and creates one agent', async () => {
    const first = await create('k1');
    expect(first.status).toBe(201);
    await killAndStart();
    const again = await create('k1');
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([201, first.body, 'true']);
    expect((await create('k2')).status).toBe(409);
    const other = await daemon.call('POST', '/agents', { ...agent, task: 'x' }, { 'idempotency-key': 'k1' });
    expect(other.status).toBe(422);
  });

  it('takes up a creation whose answer nobody got', async () => {
    await daemon.template('Slow', { command: ['sleep', '100000'] });
    const { url, token } = await address();
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': 'lost',
    };
    const body = JSON.stringify({ agent_id: 'lost', template_id: 'Slow' });
    const ending = new AbortController();
    const attempt = fetch(`${url}/agents`, { method: 'POST', headers, body, signal: ending.signal });
    await until(async () => (await daemon.agents()).some(({ agent_id }) => agent_id === 'lost'), { what: 'the agent' });
    ending.abort();
    await attempt.catch(() => undefined);
    const again = await fetch(`${url}/agents`, { method: 'POST', headers, body });
    expect([again.status, await again.json()]).toMatchObject([
      201,
      { agent_id: 'lost', state: 'running', generation: 1 },
    ]);
  });

  it('lets a command take effect once', async () => {
    const before = (await daemon.agent('c'))!.generation;
    const restart = () => daemon.call<AgentView>('POST', '/agents/c/restart', undefined, { 'idempotency-key': 'r' });
    const answers = await Promise.all([restart(), restart(), restart()]);
    expect(answers.map(({ status, body }) => [status, body.generation])).toEqual(answers.map(() => [200, before + 1]));
    expect((await daemon.agent('c'))?.generation).toBe(before + 1);
  });
});

describe('docs/api.md', () => {
  it('shows requests that work as they stand', async () => {
    const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block as string);
    expect(blocks.join('')).toContain('curl ');
    const { url } = await address();
    const script = blocks
      .join('\n')
      .replaceAll('~/.openstarry', path.join(daemon.dir, 'home'))
      .replaceAll('http://127.0.0.1:5050', url)
      .replaceAll(/^(.*follow=true\S*).*$/gm, '$1 --max-time 1 || true')
      .replaceAll(/^(api |curl )/gm, 'echo; $1');
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
      encoding: 'utf8',
      timeout: 60_000,
      // What an agent finds in its environment; the admin's token does for its own.
      env: {
        ...process.env,
        OPENSTARRY_API_URL: url,
        OPENSTARRY_AGENT_ID: 'c',
        OPENSTARRY_TOKEN: (await readFile(path.join(daemon.stateDir, 'token'), 'utf8')).trim(),
      },
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).not.toContain('"error"');
    expect(stdout).toContain('"agent_id":"hello"');
    expect(await daemon.agent('hello')).toBeUndefined(); // its last line deletes it
  });
});
