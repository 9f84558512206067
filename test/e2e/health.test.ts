import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

/** Answers 200 while the file that it is given exists, else 503; ends the process on demand. */
const SERVER = `
import http.server, os, sys
port, flag = int(sys.argv[1]), sys.argv[2]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(flag) else 503)
        self.end_headers()
    def log_message(self, *args): pass
print("up", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
`;

/** Sends heartbeats with its own token, as long as the file exists. */
const BEATER = `
import json, os, sys, time, urllib.request
flag = sys.argv[1]
url = os.environ["OPENSTARRY_API_URL"] + "/agents/" + os.environ["OPENSTARRY_AGENT_ID"] + "/heartbeat"
headers = {"Authorization": "Bearer " + os.environ["OPENSTARRY_TOKEN"], "Content-Type": "application/json"}
n = 0
while True:
    if os.path.exists(flag):
        n += 1
        body = json.dumps({"progress": "step %d" % n, "usage": {"tokens": n * 10}}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            print(answer.status, answer.read().decode(), flush=True)
    time.sleep(0.2)
`;

const freePort = async (): Promise<number> => (await choosePorts({ agent: 0 })).agent;
const DEFAULTS = { backoff: { initial: '50ms' }, stop: { grace: '2s' } };

describe('health', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.make({ defaults: DEFAULTS });
    await writeFile(path.join(daemon.dir, 'server.py'), SERVER);
    await writeFile(path.join(daemon.dir, 'beater.py'), BEATER);
    await daemon.start();
  }, 90_000);
  afterAll(async () => daemon?.end());

  const file = (name: string): string => path.join(daemon.dir, name);
  const touch = (name: string): Promise<void> => writeFile(file(name), '');
  const remove = async (name: string): Promise<void> => (await import('node:fs/promises')).rm(file(name));
  const post = (body: Record<string, unknown>, wait = '') => daemon.call<AgentView>('POST', `/agents${wait}`, body);
  const up = async (agentId: string): Promise<string | undefined> => {
    const { body } = await daemon.call<string>('GET', '/metrics');
    return new RegExp(`^agent_state\\{agent="${agentId}"\\} (\\d)`, 'm').exec(body)?.[1];
  };

  it('readiness: unready until its check succeeds, and again when it fails; the process lives on', async () => {
    const port = await freePort();
    const readiness = { http: `http://127.0.0.1:${port}/ready`, period: '200ms', failure_threshold: 2 };
    const server = { command: ['python3', 'server.py', String(port), file('r1')], health: { readiness } };
    const created = await post({ agent_id: 'r1', ...server });
    expect(created).toMatchObject({ status: 201, body: { state: 'unready', health: 'starting' } });
    const { pid } = created.body;
    const refused = await daemon.untilAgent('r1', (a) => a.reason.includes('answered 503'), 'with the reason');
    expect(refused.reason).toBe(
      `waiting for its readiness check to succeed: GET http://127.0.0.1:${port}/ready answered 503`,
    );
    expect(await up('r1')).toBe('0');
    await touch('r1');
    expect(await daemon.untilAgent('r1', (a) => a.state === 'running', 'ready')).toMatchObject({
      health: 'healthy',
      pid,
    });
    expect(await up('r1')).toBe('1');
    await remove('r1');
    const unready = await daemon.untilAgent('r1', (a) => a.state === 'unready', 'unready again');
    expect(unready).toMatchObject({ health: 'unhealthy', pid, generation: 1, restarts: 0 });
    expect(unready.reason).toBe(`not ready: GET http://127.0.0.1:${port}/ready answered 503`);
    await touch('r1');
    await daemon.untilAgent('r1', (a) => a.state === 'running' && a.pid === pid, 'ready again');
  });

  it('?wait=ready waits for it; without the time for it the answer says what is missing', async () => {
    const port = await freePort();
    const readiness = { tcp: port, period: '100ms' };
    await touch('r2');
    const server = { command: ['python3', 'server.py', String(port), file('r2')], health: { readiness } };
    expect(await post({ agent_id: 'r2', ...server }, '?wait=ready')).toMatchObject({
      status: 201,
      body: { state: 'running', health: 'healthy', settled: true },
    });
    const restarted = await daemon.call<AgentView>('POST', '/agents/r2/restart?wait=ready');
    expect(restarted).toMatchObject({ status: 200, body: { state: 'running', generation: 2 } });
  });

  it('readiness is kept over a new daemon, which finds the process as it was', async () => {
    await daemon.signal('SIGKILL');
    await daemon.start();
    await daemon.untilAgent('r2', (a) => a.state === 'running', 'running');
    const { body } = await daemon.call<{ entries: { reason: string }[] }>('GET', '/agents/r2/history');
    expect(JSON.stringify(body)).not.toContain('unhealthy');
  }, 60_000);

  it('liveness: a process that answers no more is ended and replaced, with the reason in its exit', async () => {
    await touch('l1');
    const exec = ['sh', '-c', 'echo looking for $OPENSTARRY_AGENT_ID; test -e l1'];
    const health = { liveness: { exec, period: '100ms', failure_threshold: 2 } };
    const created = await post({ agent_id: 'l1', command: ['sleep', '36200'], cwd: daemon.dir, health });
    expect(created).toMatchObject({ status: 201, body: { state: 'running' } });
    await remove('l1');
    const replaced = await daemon.untilAgent('l1', (a) => a.generation > 1, 'replaced');
    expect(isAlive(created.body.pid!)).toBe(false);
    expect(replaced.last_exit?.reason).toMatch(
      /^generation 1 was stopped as unhealthy: the liveness check failed: sh ended with code 1: looking for l1 \(\d+ in a row\) \(SIGTERM\) after /,
    );
    await touch('l1');
    await daemon.untilAgent('l1', (a) => a.state === 'running', 'running');
    const { body } = await daemon.call('GET', '/agents/l1/history');
    expect(JSON.stringify(body)).toContain('stopping generation 1: the liveness check failed');
  });

  it('startup: a process that never comes up is given up like a crash loop', async () => {
    const startup = { tcp: await freePort(), period: '50ms', failure_threshold: 2 };
    const health = { startup, liveness: { heartbeat: '50ms' } };
    await post({ agent_id: 's1', command: ['sleep', '36201'], health, backoff: { initial: '20ms', max: '20ms' } });
    const gone = await daemon.untilAgent('s1', (a) => a.state === 'disabled', 'given up', 30_000);
    expect(gone).toMatchObject({ restarts: 3, pid: null });
    expect(gone.reason).toContain('the startup check failed');
  });

  it('heartbeats: an agent that sends them with its own token runs; one that falls silent is replaced', async () => {
    await touch('b1');
    const health = { liveness: { heartbeat: '2s' } };
    await post({ agent_id: 'b1', command: ['python3', 'beater.py', file('b1')], cwd: daemon.dir, health });
    const seen = await daemon.untilAgent('b1', (a) => (a.heartbeat?.usage?.['tokens'] ?? 0) >= 120, 'beating', 20_000);
    expect(seen).toMatchObject({
      state: 'running',
      generation: 1,
      heartbeat: { progress: expect.stringMatching(/^step \d+$/) as string },
    });
    await remove('b1');
    const replaced = await daemon.untilAgent('b1', (a) => a.generation === 2, 'replaced');
    expect(replaced.last_exit?.reason).toContain('the liveness check failed: no heartbeat for 2');
    await touch('b1');
    await daemon.untilAgent('b1', (a) => a.heartbeat !== undefined, 'beating again');
  });

  it('heartbeats: a pause owes none', async () => {
    await daemon.call('POST', '/agents/b1/pause');
    const { generation } = (await daemon.agent('b1'))!;
    const since = Date.now();
    await until(() => Date.now() - since > 3_000, { what: 'longer than the period' });
    expect(await daemon.agent('b1')).toMatchObject({ state: 'paused', generation });
    await daemon.call('POST', '/agents/b1/resume');
    const beats = (await daemon.agent('b1'))?.heartbeat?.usage?.['tokens'];
    await daemon.untilAgent('b1', (a) => (a.heartbeat?.usage?.['tokens'] ?? 0) > (beats ?? 0), 'beating on');
    expect(await daemon.agent('b1')).toMatchObject({ state: 'running', generation });
  });

  it('heartbeats of others, of nobody and of nonsense are refused', async () => {
    const say = (agentId: string, body?: unknown) => daemon.call('POST', `/agents/${agentId}/heartbeat`, body);
    expect(await say('b1')).toMatchObject({ status: 200, body: { agent_id: 'b1', period_ms: 2000 } });
    expect(await say('r1', { progress: 0.5 })).toMatchObject({ status: 200, body: { period_ms: null } });
    expect(await say('s1')).toMatchObject({ status: 409, body: { error: { code: 'AGENT_NOT_RUNNING' } } });
    expect(await say('nobody')).toMatchObject({ status: 404 });
    expect(await say('b1', { progres: 1 })).toMatchObject({
      status: 400,
      body: { error: { code: 'INVALID_REQUEST' } },
    });
  });

  it('checks that change on reload take effect without a restart', async () => {
    const agents = { c1: { command: ['sleep', '36202'] } };
    await daemon.configure({ defaults: DEFAULTS, agents });
    await daemon.call('POST', '/reload');
    const { pid } = await daemon.untilAgent('c1', (a) => a.state === 'running', 'running');
    const health = { readiness: { tcp: await freePort(), period: '100ms' } };
    await daemon.configure({ defaults: DEFAULTS, agents: { c1: { ...agents.c1, health } } });
    await daemon.call('POST', '/reload');
    expect(await daemon.untilAgent('c1', (a) => a.health !== 'healthy' || a.pid !== pid, 'checked')).toMatchObject({
      pid,
    });
  });
});
