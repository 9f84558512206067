import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { runCommand } from '../../src/daemon/run-command.ts';
import { until } from '../support/wait.ts';

// The Python side alone, with a small HTTP server in the daemon's place.
const QUICKSTART = path.join(inject('root'), 'examples', 'quickstart');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-quickstart-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Sample {
  busy_ticks: number;
  total_ticks: number;
  total_kib: number;
  available_kib: number;
}
interface Process {
  name: string;
  cpu_seconds: number;
  rss_kib: number;
  threads: number;
}
interface Report {
  raw: {
    source: string;
    processors: number;
    samples: Sample[];
    processes_after: Record<string, Process>;
    file_systems: Array<{ path: string; used_bytes: number; free_bytes: number }>;
  };
  summary: Record<string, never> & {
    cpu_percent: Record<string, number> | null;
    memory_percent: Record<string, number> | null;
    process_count: number;
    top_memory: Array<{ pid: number; rss_kib: number }>;
    file_systems: Array<{ path: string; used_percent: number }>;
  };
}

async function analyse(...args: string[]): Promise<Report> {
  const script = path.join(QUICKSTART, 'data_analyst.py');
  const { code, output } = await runCommand('python3', [script, '--seconds', '0.8', ...args], {
    cwd: folder,
    timeoutMs: 20_000,
  });
  expect(code, output).toBe(0);
  return JSON.parse(await readFile(path.join(folder, 'reports', 'machine_report.json'), 'utf8')) as Report;
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('data_analyst.py', () => {
  test.runIf(process.platform === 'linux')(
    'writes figures that follow from what it measured on this machine',
    async () => {
      const { raw, summary } = await analyse();
      const busy = raw.samples.slice(1).flatMap((sample, index) => {
        const before = raw.samples[index] as Sample;
        const total = sample.total_ticks - before.total_ticks;
        return total > 0 ? [(100 * (sample.busy_ticks - before.busy_ticks)) / total] : [];
      });
      expect(busy.length).toBeGreaterThan(2);
      expect(summary.cpu_percent?.['mean']).toBeCloseTo(mean(busy), 6);
      expect(summary.cpu_percent?.['p95']).toBe([...busy].toSorted((a, b) => a - b)[Math.ceil(0.95 * busy.length) - 1]);
      const memory = raw.samples.map((sample) => 100 * (1 - sample.available_kib / sample.total_kib));
      expect(summary.memory_percent?.['mean']).toBeCloseTo(mean(memory), 6);

      // Against what Node sees of the same machine.
      expect(raw.samples[0]?.total_kib).toBeCloseTo(os.totalmem() / 1024, -2);
      expect(raw.processors).toBe(os.cpus().length);
      expect(raw.processes_after[String(process.pid)]?.rss_kib).toBeGreaterThan(10_000);

      expect(summary.process_count).toBe(Object.keys(raw.processes_after).length);
      const largest = Object.values(raw.processes_after)
        .map((entry) => entry.rss_kib)
        .toSorted((a, b) => b - a);
      expect(summary.top_memory.map((entry) => entry.rss_kib)).toEqual(largest.slice(0, 5));
      for (const [index, fs] of raw.file_systems.entries()) {
        const percent = (100 * fs.used_bytes) / (fs.used_bytes + fs.free_bytes);
        expect(summary.file_systems[index]?.used_percent).toBeCloseTo(percent, 6);
      }

      const text = await readFile(path.join(folder, 'reports', 'machine_report.md'), 'utf8');
      expect(text).toContain(`busy ${mean(busy).toFixed(1)} % of the time`);
      expect(await readdir(path.join(folder, 'reports'))).toEqual(['machine_report.json', 'machine_report.md']);
    },
  );

  test('says what is left out where there is no /proc', async () => {
    const { raw, summary } = await analyse('--portable');
    expect(raw.source).toBe('ps');
    expect(summary.cpu_percent).toBeNull();
    expect(summary.process_count).toBeGreaterThan(1);
    expect(await readFile(path.join(folder, 'reports', 'machine_report.md'), 'utf8')).toContain('has no /proc');
  });

  test('refuses a report outside its folder', async () => {
    const { code, output } = await runCommand(
      'python3',
      [path.join(QUICKSTART, 'data_analyst.py'), '--report', '../x'],
      { cwd: folder },
    );
    expect(code).toBe(2);
    expect(output).toContain('plain name');
  });
});

interface FakeDaemon {
  url: string;
  /** Method, path, and body if there was one. */
  calls: string[];
  /** What the next calls are answered with. */
  answer: (method: string, url: string) => { status: number; body: object };
  close: () => Promise<void>;
}

async function fakeDaemon(answer: FakeDaemon['answer']): Promise<FakeDaemon> {
  const daemon: FakeDaemon = { url: '', calls: [], answer, close: async () => {} };
  const server: Server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const method = request.method ?? '';
      const url = request.url ?? '';
      if (request.headers.authorization !== 'Bearer the-token') daemon.calls.push('wrong token');
      daemon.calls.push(`${method} ${url}${body}`);
      const { status, body: reply } = daemon.answer(method, url);
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  daemon.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  daemon.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return daemon;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

const worker = (state: string, more: object = {}): { status: number; body: object } => ({
  status: 200,
  body: { agent_id: 'data_worker_007', state, reason: `it is ${state}`, generation: 1, pid: 4711, ...more },
});
const refusal = (status: number, code: string): { status: number; body: object } => ({
  status,
  body: { error: { code, message: `refused for ${code}`, remedy: 'Do better' } },
});

describe('master.py', () => {
  let daemon: FakeDaemon;
  let master: ChildProcess | undefined;
  let output: string;

  afterEach(async () => {
    if (master !== undefined && master.exitCode === null && master.signalCode === null) {
      const ended = new Promise((resolve) => master?.once('exit', resolve));
      master.kill('SIGKILL');
      await ended;
    }
    await daemon.close();
  });

  function run(): Promise<number | null> {
    output = '';
    const child = spawn('python3', ['-u', path.join(QUICKSTART, 'master.py')], {
      cwd: folder,
      // A proxy that leads nowhere must not matter for a daemon on this machine.
      env: {
        PATH: process.env['PATH'],
        http_proxy: 'http://127.0.0.1:1',
        OPENSTARRY_API_URL: daemon.url,
        OPENSTARRY_TOKEN: 'the-token',
        OPENSTARRY_AGENT_ID: 'master',
      },
    });
    master = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    return new Promise((resolve) => child.once('exit', resolve));
  }

  const says = (text: string): Promise<boolean> =>
    until(() => output.includes(text), { what: `"${text}" in ${output}`, deadlineMs: 10_000 });

  test('asks for its worker, follows it to the report, and ends at once on SIGTERM', async () => {
    let state = 'running';
    daemon = await fakeDaemon((method) => (method === 'POST' ? { ...worker('running'), status: 201 } : worker(state)));
    const exit = run();
    await says('data_worker_007 runs (pid 4711)');
    expect(daemon.calls[0]).toMatch(/^POST \/agents\{/);
    expect(JSON.parse(daemon.calls[0]?.slice('POST /agents'.length) ?? '')).toEqual({
      agent_id: 'data_worker_007',
      template_id: 'DataAnalystAgent_v1',
      variables: { report: 'machine_report' },
    });
    await mkdir(path.join(folder, 'reports'));
    await writeFile(path.join(folder, 'reports', 'machine_report.md'), '# Title\n\n- The finding\n');
    state = 'completed';
    await says(path.join(folder, 'reports', 'machine_report.md'));
    await says('  The finding');
    await says('I stay');
    expect(daemon.calls).not.toContain('wrong token');
    master?.kill('SIGTERM');
    expect(await exit).toBe(0);
  });

  test('finds on a later start the worker that has completed', async () => {
    await mkdir(path.join(folder, 'reports'));
    await writeFile(path.join(folder, 'reports', 'machine_report.md'), '- The finding\n');
    daemon = await fakeDaemon((method) => (method === 'POST' ? refusal(409, 'AGENT_EXISTS') : worker('completed')));
    void run();
    await says('exists already; it is completed');
    await says('I stay');
    expect(daemon.calls.filter((call) => call.startsWith('POST'))).toHaveLength(1);
  });

  test('waits for a daemon that is not ready, and tells it once', async () => {
    let ready = false;
    daemon = await fakeDaemon((method) => {
      if (!ready) return refusal(503, 'TEMPORAL_UNAVAILABLE');
      return method === 'POST' ? { ...worker('running'), status: 201 } : worker('running');
    });
    void run();
    await until(() => daemon.calls.length >= 2, { what: 'another try' });
    ready = true;
    await says('data_worker_007 runs');
    expect(output.match(/does not answer/g)).toHaveLength(1);
  });

  test('tells what became of its worker when that fails', async () => {
    let view = worker('running');
    daemon = await fakeDaemon((method) => (method === 'POST' ? { ...worker('running'), status: 201 } : view));
    void run();
    await says('data_worker_007 runs');
    view = worker('backoff', { reason: 'exit code 1' });
    await says('data_worker_007 is backoff (pid 4711): exit code 1');
    view = worker('disabled', { reason: 'failed 4 times' });
    await says('data_worker_007 is disabled: failed 4 times');
  });

  test('ends with a message when its token does not allow the worker', async () => {
    daemon = await fakeDaemon(() => refusal(403, 'FORBIDDEN'));
    expect(await run()).toBe(1);
    expect(output).toContain('refused for FORBIDDEN (FORBIDDEN). Do better');
  });
});

describe('quickstart configuration', () => {
  const load = async (file: string): Promise<Record<string, never>> =>
    parse(await readFile(path.join(QUICKSTART, file), 'utf8')) as Record<string, never>;

  test('names templates that exist, and lets the master start the worker', async () => {
    const config = await load('openstarry.yaml');
    const master = await load(`templates/${String(config['master']?.['template_id'])}.yaml`);
    expect(config).toMatchObject({ version: 1, chief: 'master', master: { agent_id: 'master' } });
    expect(master['id']).toBe('MasterAgent_v1');
    for (const id of (master['may'] as unknown as { start: string[] }).start)
      expect((await load(`templates/${id}.yaml`))['id']).toBe(id);
  });
});
