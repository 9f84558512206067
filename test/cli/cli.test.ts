import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { listen, type Listening } from '../../src/api/listen.ts';
import { isAlive } from '../../src/daemon/process-mark.ts';
import { agentView, apiFixture, refusal, TOKEN, type ApiFixture } from '../api/api-fixture.ts';
import { until } from '../support/wait.ts';

let home: string;
let api: ApiFixture;
let server: Listening;
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'openstarry-test-cli-'));
  await mkdir(path.join(home, 'orchestrator'));
  await writeFile(path.join(home, 'orchestrator', 'token'), `${TOKEN}\n`, { mode: 0o600 });
  api = apiFixture({ commandLimit: { perSecond: 1000, burst: 1000 } });
  server = await listen(api.app, { port: 0, name: 'api' });
});
beforeEach(async () => {
  api.state.answer = undefined;
  api.asked.length = 0;
  await writeDaemonFile(process.pid);
});
afterAll(async () => {
  await server.close();
  await rm(home, { recursive: true, force: true });
});

async function writeDaemonFile(pid: number): Promise<void> {
  const file = path.join(home, 'orchestrator', 'daemon.json');
  await writeFile(file, JSON.stringify({ pid, version: '0.1.0', ports: { api: server.port } }));
}

const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function start(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { PATH: process.env['PATH'], HOME: home, OPENSTARRY_HOME: home, ...env },
    stdio: 'pipe',
  });
  const ran: Ran = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  return { child, ran };
}

async function cli(args: string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const { child, ran } = start(args, env);
  child.stdin.end(input);
  await once(child, 'close');
  return { ...ran, code: child.exitCode };
}

const lastAsked = () => api.asked.at(-1)!;

describe('status', () => {
  test('prints what the daemon is, without colours into a pipe', async () => {
    const { code, out } = await cli(['status']);
    expect(code).toBe(0);
    expect(out).toMatch(/^Daemon +0\.1\.0, pid \d+, run, up /);
    expect(out).toContain('Agents    2 (1 running, 1 stopped)');
    expect(out).not.toContain('\u001b');
  });
  test('--json prints the answer of the API, wherever it stands', async () => {
    for (const args of [
      ['status', '--json'],
      ['--json', 'status'],
    ]) {
      expect(JSON.parse((await cli(args)).out)).toMatchObject({ phase: 'run', agents: { total: 2 } });
    }
  });
  test('exits 3 when no daemon is running', async () => {
    const none = await cli(['status'], '', { OPENSTARRY_HOME: path.join(home, 'elsewhere') });
    expect(none).toMatchObject({
      code: 3,
      out: '',
      err: expect.stringMatching(/DAEMON_NOT_RUNNING No daemon is running.*\n.*openstarry-daemon start/),
    });
    await writeDaemonFile(2 ** 22 + 1); // no pid is that high
    const dead = await cli(['status', '--json']);
    expect([dead.code, JSON.parse(dead.err).error.code]).toEqual([3, 'DAEMON_NOT_RUNNING']);
  });
  test('exits 3 while the daemon does not listen yet, and tells its phase', async () => {
    const file = path.join(home, 'orchestrator', 'daemon.json');
    await writeFile(file, JSON.stringify({ pid: process.pid, version: '0.1.0', phase: 'start', ports: {} }));
    expect(await cli(['status'])).toMatchObject({ code: 3, err: expect.stringContaining('is in phase start') });
  });
  test('exits 3 when nobody answers, 4 without the token', async () => {
    expect(await cli(['--url', 'http://127.0.0.1:1', 'status'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('No answer from'),
    });
    const missing = await cli(['--token-file', '/nowhere/token', 'status']);
    expect(missing).toMatchObject({ code: 4, err: expect.stringContaining('/nowhere/token') });
  });
  test('exits 4 with the wrong token, and says where the right one is', async () => {
    const wrong = path.join(home, 'wrong');
    await writeFile(wrong, 'wrong');
    for (const args of [['ls'], ['ls', '--watch'], ['logs', '-f', 'a']]) {
      const { code, out, err } = await cli(['--token-file', wrong, 'agents', ...args]);
      expect([code, out]).toEqual([4, '']);
      expect(err).toMatch(/^UNAUTHORIZED .*the admin token is in \S+\n {2}.*--token-file\n$/);
    }
  });
  test('exits 3 where something else answers than the API of a daemon', async () => {
    const page = createServer((request, response) => {
      const isFound = request.method === 'GET';
      response.writeHead(isFound ? 200 : 405, { 'content-type': 'text/html' }).end('<!doctype html>');
    });
    const health = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"error":{"code":"ROUTE_NOT_FOUND","message":"There is no GET /agents","remedy":""}}');
    });
    for (const server of [page, health]) {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const commands = [
        ['agents', 'ls'],
        ['agents', 'logs', 'a'],
        ['agents', 'spawn', 'x', '--', 'true'],
        ['agents', 'ls', '--watch'],
      ];
      for (const args of commands) {
        const { code, out, err } = await cli(['--url', url, ...args]);
        expect([code, out]).toEqual([3, '']);
        const [message, remedy, ...rest] = err.trimEnd().split('\n');
        expect(message).toMatch(/^DAEMON_NOT_RUNNING What answers at \S+ \(HTTP \d+\) is not the API of a daemon/);
        expect([remedy, rest]).toEqual([expect.stringContaining('--url'), []]);
      }
      server.close();
    }
  });
  test('--url reaches a daemon elsewhere', async () => {
    await writeDaemonFile(2 ** 22 + 1);
    const { code, out } = await cli([
      '--url',
      `http://[::1]:${server.port}/`,
      '--token-file',
      path.join(home, 'orchestrator', 'token'),
      'status',
    ]);
    expect([code, out.includes('Daemon')]).toEqual([0, true]);
    expect((await cli(['--url', 'ftp://x', 'status'])).code).toBe(2);
  });
});

describe('agents', () => {
  test('ls prints a table', async () => {
    const { code, out } = await cli(['agents', 'ls', '--state', 'running', '--label', 'a=b', '--label', 'c']);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^AGENT +STATE +PID +GEN +RESTARTS +UP +CPU +MEM +TEMPLATE +REASON$/);
    expect(out).toMatch(/^a +running +42 +1 +0 +\S.* T +created$/m);
    expect(lastAsked().args[0]).toEqual({ state: 'running', labels: ['a=b', 'c'] });
    api.state.answer = [];
    expect((await cli(['agents', 'ls'])).out).toBe('No agents\n');
  });
  test('spawn sends what is given', async () => {
    const args = [
      'agents',
      'spawn',
      'w1',
      '--template',
      'T',
      '--var',
      'a=1=2',
      '--label',
      'x=y',
      '--task',
      'do it',
      '--wake-on-message',
      '--wait',
      '5s',
    ];
    const { code, out } = await cli(args);
    expect([code, out]).toEqual([0, 'w1 is running, pid 42, generation 1: created\n']);
    expect(lastAsked().args).toEqual([
      {
        agent_id: 'w1',
        template_id: 'T',
        variables: { a: '1=2' },
        labels: { x: 'y' },
        task: 'do it',
        wake_on_message: true,
      },
      { wait: 'running', waitMs: 5000 },
    ]);
  });
  test('spawn gives variables the types that the template declares', async () => {
    const typed = ['--var', 'depth=2.5', '--var', 'deep=false', '--var', 'other=7'];
    await cli(['agents', 'spawn', 'w1', '--template', 'T', ...typed]);
    expect(lastAsked().args[0]).toMatchObject({ variables: { depth: 2.5, deep: false, other: '7' } });
    await cli(['agents', 'spawn', 'w1', '--template', 'T', '--var', 'depth=two', '--var', 'deep=']);
    expect(lastAsked().args[0]).toMatchObject({ variables: { depth: 'two', deep: '' } });
    await cli(['agents', 'spawn', '--input', '-', '--var', 'depth=1'], '{"agent_id":"w2","template_id":"T"}');
    expect(lastAsked().args[0]).toMatchObject({ variables: { depth: 1 } });
    // What no template tells stays a text.
    await cli(['agents', 'spawn', 'w1', '--template', 'Unknown', '--var', 'depth=1']);
    expect(lastAsked().args[0]).toMatchObject({ variables: { depth: '1' } });
    await cli(['agents', 'spawn', 'w1', '--var', 'depth=1', '--', 'echo', '{{depth}}']);
    expect(lastAsked().args[0]).toMatchObject({ variables: { depth: '1' } });
  });
  test('spawn takes a command after --, with its own options', async () => {
    await cli(['agents', 'spawn', 'c1', '--env', 'A=b', '--', 'python3', 'x.py', '--json', '-f']);
    expect(lastAsked().args[0]).toEqual({
      agent_id: 'c1',
      env: { A: 'b' },
      command: ['python3', 'x.py', '--json', '-f'],
      cwd: process.cwd(),
    });
  });
  test('spawn runs a command where it was typed, and elsewhere as the other side takes it', async () => {
    const spawned = async (...args: string[]) => {
      await cli(['agents', 'spawn', 'c1', ...args]);
      return (lastAsked().args[0] as { cwd?: string }).cwd;
    };
    expect(await spawned('--cwd', '../x', '--', 'true')).toBe(path.resolve('../x'));
    expect(await spawned('--cwd', '/srv', '--', 'true')).toBe('/srv');
    expect(await spawned('--cwd', 'sub', '--template', 'T')).toBe(path.resolve('sub'));
    expect(await spawned('--template', 'T')).toBeUndefined();
    const url = `http://127.0.0.1:${server.port}`;
    expect(await spawned('--url', url, '--', 'true')).toBeUndefined();
    expect(await spawned('--url', url, '--cwd', 'sub', '--', 'true')).toBe('sub');
  });
  test('spawn reads the whole description from a file or the standard input', async () => {
    await cli(
      ['agents', 'spawn', '--input', '-', '--task', 'other'],
      '{"agent_id":"w2","template_id":"T","variables":{"n":3}}',
    );
    expect(lastAsked().args[0]).toEqual({ agent_id: 'w2', template_id: 'T', variables: { n: 3 }, task: 'other' });
    expect(await cli(['agents', 'spawn', '--input', '-'], 'no json')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--input'),
    });
    expect(await cli(['agents', 'spawn'])).toMatchObject({ code: 2, err: expect.stringContaining('agent_id') });
  });
  test('spawn exits with the code of the refusal', async () => {
    api.state.answer = refusal('AGENT_EXISTS');
    expect(await cli(['agents', 'spawn', 'w', '--template', 'T'])).toMatchObject({
      code: 5,
      out: '',
      err: expect.stringMatching(/^AGENT_EXISTS /),
    });
    api.state.answer = refusal('SPAWN_FAILED');
    const json = await cli(['agents', 'spawn', 'w', '--template', 'T', '--json']);
    expect([json.code, JSON.parse(json.err).error]).toMatchObject([
      6,
      { code: 'SPAWN_FAILED', message: 'SPAWN_FAILED it is' },
    ]);
  });
  test.for<[string[], string]>([
    [['nonsense'], "Unknown command 'nonsense'"],
    [['agents'], 'A command is missing; --help lists them'],
    [['agents', 'show'], "Missing required argument 'agent_id'"],
    [['agents', 'ls', '--zzz'], "Unknown option '--zzz'"],
  ])('--json %s is refused in JSON alone', async ([args, message]) => {
    const { code, out, err } = await cli(['--json', ...args]);
    expect([code, out, JSON.parse(err).error]).toMatchObject([2, '', { code: 'INVALID_REQUEST', message }]);
  });
  test('--json after -- belongs to the command of the agent', async () => {
    const { code, err } = await cli(['agents', 'nonsense', '--', '--json']);
    expect([code, err]).toEqual([2, expect.stringMatching(/^error: unknown command/)]);
  });
  test('--json tells a refusal in the shape of the API, its request id included', async () => {
    const error = { code: 'AGENT_NOT_FOUND', message: 'm', remedy: 'r', details: { agent_id: 'w' }, request_id: 'R-1' };
    const server = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { err } = await cli(['--json', '--url', `http://127.0.0.1:${port}`, 'agents', 'show', 'w']);
    server.close();
    expect(JSON.parse(err).error).toMatchObject({ ...error, remedy: expect.any(String) });
    expect(Object.keys(JSON.parse(err).error)).toEqual(Object.keys(error));
  });
  test.for(['start', 'stop', 'restart'])('%s prints where it has come to', async (verb) => {
    expect(await cli(['agents', verb, 'a'])).toMatchObject({
      code: 0,
      out: 'a is running, pid 42, generation 1: created\n',
    });
    expect(lastAsked()).toMatchObject({ method: verb, args: ['a', { waitMs: 30_000 }] });
  });
  test('stop of one that takes longer tells why', async () => {
    const agent = agentView('a', { state: 'stopping', reason: 'stopped by an operator' });
    api.state.answer = { agent_id: 'a', revision: null, settled: false, agent, note: 'the custodian has it' };
    const { out } = await cli(['agents', 'stop', 'a', '--grace', '2s', '--wait', 'none']);
    expect(out).toBe(
      'a is stopping, pid 42, generation 1: stopped by an operator\n  not there yet: the custodian has it\n',
    );
    expect(lastAsked().args[1]).toEqual({ waitMs: 0, grace: '2s' });
  });
  test('rm, signal, show and history', async () => {
    expect((await cli(['agents', 'rm', 'a', '--purge'])).out).toBe('a is deleted\n');
    expect(lastAsked().args[1]).toMatchObject({ purge: true });
    expect((await cli(['agents', 'signal', 'a', 'SIGHUP'])).code).toBe(0);
    api.state.answer = agentView('a', {
      last_exit: { code: 7, signal: null, reason: 'it failed', at: 'then', log_tail: 'boom\nbang\n' },
    });
    expect((await cli(['agents', 'show', 'a'])).out).toContain('last exit: it failed (then)\n    boom\n    bang\n');
    api.state.answer = agentView('a', {
      template_version: '0123456789abcdef',
      labels: { team: 'research', tier: '2' },
      fault_domain: 'data',
      origin: 'file /etc/openstarry.yaml',
      started_at: new Date(Date.now() - 90_000).toISOString(),
    });
    const { out } = await cli(['agents', 'show', 'a']);
    expect(out).toMatch(/\n  up 1 min 3\d s, since \d{4}-/);
    expect(out).toContain(
      '\n  template T, version 0123456789ab\n  labels: team=research, tier=2\n  fault domain data, from file /etc/openstarry.yaml\n',
    );
    api.state.answer = agentView('a', { template_id: null, template_version: null, pid: null, started_at: null });
    const bare = (await cli(['agents', 'show', 'a'])).out;
    for (const none of ['template', 'labels', 'up ']) expect(bare).not.toContain(none);
    api.state.answer = agentView('a', { state: 'disabled' });
    expect((await cli(['agents', 'show', 'a'])).out).toContain('openstarry-daemon agents start a\n');
    api.state.answer = undefined;
    expect((await cli(['agents', 'history', 'a', '-n', '2'])).out).toMatch(
      /^ID +AT +GEN +STATE +REASON\n30 +1970-01-01T00:00:00\.000Z +1 +starting +created\n/,
    );
  });
  test('logs prints lines, as JSON with --json', async () => {
    expect((await cli(['agents', 'logs', 'a', '-n', '5'])).out).toBe('one\ntwo\n');
    expect(lastAsked()).toMatchObject({ method: 'logs', args: ['a', { tail: 5 }] });
    expect((await cli(['agents', 'logs', 'a', '--json'])).out).toBe('{"line":"one"}\n{"line":"two"}\n');
  });
  test('logs -f prints lines as they come, and the follower ends with it', async () => {
    let signal: AbortSignal | undefined;
    let say: (line: string) => void = () => undefined;
    api.state.answer = (call: { signal: AbortSignal }) => {
      signal = call.signal;
      return (async function* () {
        yield 'first';
        yield await new Promise<string>((resolve) => (say = resolve));
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      })();
    };
    const { child, ran } = start(['agents', 'logs', '-f', 'a']);
    await until(() => ran.out === 'first\n', { what: 'the first line' });
    say('second');
    await until(() => ran.out === 'first\nsecond\n', { what: 'the second line' });
    child.kill('SIGINT');
    await once(child, 'close');
    await until(() => signal?.aborted, { what: 'the follower to end' });
  });
  test('a reader that has seen enough is no error', async () => {
    api.state.answer = Array.from({ length: 50_000 }, (_, n) => `line ${n} ${'x'.repeat(100)}`);
    const { child, ran } = start(['agents', 'logs', 'a']);
    child.stdout.once('data', () => child.stdout.destroy());
    await once(child, 'close');
    expect([child.exitCode, ran.err]).toEqual([0, '']);
  });
});

describe('stop', () => {
  test('waits until the process of the daemon is gone and says what it has stopped', async () => {
    const daemon = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    await once(daemon, 'spawn');
    await writeDaemonFile(daemon.pid!);
    api.state.shutdowns.length = 0;
    const { child, ran } = start(['stop']);
    await until(() => api.state.shutdowns.length === 1, { what: 'the shutdown' });
    expect(api.state.shutdowns).toEqual([{ keepAgents: false }]);
    expect(child.exitCode).toBeNull();
    daemon.kill('SIGKILL');
    await once(child, 'close');
    expect([child.exitCode, ran.err]).toEqual([0, '']);
    expect(ran.out).toContain('is stopped, and so are its agents (1 running: a)');
    expect(isAlive(daemon.pid!)).toBe(false);
  });
  test('gives up waiting after --timeout, --keep-agents is handed on', async () => {
    api.state.shutdowns.length = 0;
    const { code, err } = await cli(['stop', '--keep-agents', '--timeout', '0.1']);
    expect([code, err]).toEqual([7, expect.stringContaining('still going down after 100 ms')]);
    expect(api.state.shutdowns).toEqual([{ keepAgents: true }]);
  });
  test('exits 3 when no daemon is running', async () => {
    expect((await cli(['stop'], '', { OPENSTARRY_HOME: path.join(home, 'elsewhere') })).code).toBe(3);
  });
});

describe('restart', () => {
  test('leaves a daemon to systemd that is run by it', async () => {
    // As systemd does, with the pid of what it executes.
    const unit = ['-c', 'export SYSTEMD_EXEC_PID=$$; exec "$0" -e "setInterval(() => {}, 1000)"', process.execPath];
    const daemon = spawn('sh', unit, { stdio: 'ignore' });
    await once(daemon, 'spawn');
    await writeDaemonFile(daemon.pid!);
    await until(() => readFileSync(`/proc/${daemon.pid}/environ`, 'utf8').includes('SYSTEMD_'), { what: 'the exec' });
    api.state.shutdowns.length = 0;
    const { code, err } = await cli(['restart']);
    expect([code, err]).toEqual([2, expect.stringContaining('systemctl restart openstarry-daemon')]);
    expect(api.state.shutdowns).toEqual([]);
    daemon.kill('SIGKILL');
  });
});

describe('help and wrong use', () => {
  test('--help has examples and exits 0', async () => {
    for (const args of [['--help'], ['agents', 'spawn', '--help']]) {
      const { code, out } = await cli(args);
      expect([code, out]).toEqual([0, expect.stringContaining('Examples:')]);
    }
    expect((await cli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
  test.for([
    ['explode'],
    ['agents', 'ls', '--nope'],
    ['agents', 'stop'],
    ['agents', 'spawn', 'a', '--var', 'novalue'],
    ['stop', '--timeout', 'soon'],
  ])('%j exits 2', async (args) => {
    const { code, err } = await cli(args);
    expect(code).toBe(2);
    expect(err).not.toBe('');
  });
});
