import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

interface Report {
  raw: { processors: number; samples: { total_ticks: number; busy_ticks: number; total_kib: number }[] };
  summary: { cpu_percent: { mean: number } | null };
}

/** The README's first command, in a checkout of its own: everything but the download of the dependencies. */
describe('npm start', () => {
  let dir: string;
  let clone: string;
  let daemon: ChildProcess | undefined;
  let output = '';

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-quickstart-'));
    clone = path.join(dir, 'clone');
    const root = inject('root');
    const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
    const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
    for (const file of files) {
      await cp(path.join(root, file), path.join(clone, file)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error; // deleted, and not committed yet
      });
    }
    await symlink(path.join(root, 'node_modules'), path.join(clone, 'node_modules'));
    // Other daemons may have the usual ports on this machine.
    const ports = '\nports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }\n';
    await appendFile(path.join(clone, 'examples', 'quickstart', 'openstarry.yaml'), ports);
  }, 60_000);

  afterAll(async () => {
    daemon?.kill('SIGINT');
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });

  const start = async (until_: string): Promise<number> => {
    const begun = performance.now();
    output = '';
    daemon = spawn('npm', ['start'], {
      cwd: clone,
      env: { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [daemon.stdout!, daemon.stderr!]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    await until(() => output.includes(until_), { deadlineMs: 90_000, what: until_ }).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${output}`);
    });
    return performance.now() - begun;
  };

  const stop = async (): Promise<void> => {
    const state = path.join(dir, 'home', 'orchestrator');
    const custodian = await connectCustodian(state, { role: 'observer', version: 'test' });
    const { entries } = await custodian.request('list', {});
    custodian.close();
    const ended = once(daemon!, 'exit');
    daemon!.kill('SIGINT');
    await ended;
    for (const { agent, live } of entries) if (live) expect([agent, isAlive(live.pid)]).toEqual([agent, false]);
    await until(() => !isAlive(custodian.hello.pid), { what: 'the end of the custodian' });
  };

  it('ends with the report of a worker that measured this machine', async () => {
    await start('has done its work');
    for (const line of [
      'master running',
      'I ask the daemon for a worker: data_worker_007',
      'data_worker_007 completed',
    ]) {
      expect(output).toContain(line);
    }
    const reports = path.join(clone, 'examples', 'quickstart', 'reports');
    const { raw, summary } = JSON.parse(await readFile(path.join(reports, 'machine_report.json'), 'utf8')) as Report;
    expect(raw.processors).toBe(os.cpus().length);
    expect(raw.samples[0]!.total_kib).toBeCloseTo(os.totalmem() / 1024, -2);
    const busy = raw.samples.slice(1).flatMap((sample, i) => {
      const before = raw.samples[i]!;
      const total = sample.total_ticks - before.total_ticks;
      return total > 0 ? [(100 * (sample.busy_ticks - before.busy_ticks)) / total] : [];
    });
    expect(summary.cpu_percent!.mean).toBeCloseTo(busy.reduce((a, b) => a + b, 0) / busy.length, 6);
    const text = await readFile(path.join(reports, 'machine_report.md'), 'utf8');
    expect(text).toContain(`busy ${summary.cpu_percent!.mean.toFixed(1)} % of the time`);
  }, 120_000);

  it('ends at Ctrl-C and leaves no process', async () => {
    await stop();
    expect(output).toContain('Stopped.');
  }, 60_000);

  it('resumes: the master runs again, the worker that has completed does not', async () => {
    const ms = await start('master running');
    process.stdout.write(`npm start, the second time: first agent alive after ${(ms / 1000).toFixed(1)} s\n`);
    await until(() => output.includes('data_worker_007 exists already; it is completed'), {
      what: 'the word of the master',
    });
    expect(output).not.toContain('data_worker_007 running');
    await stop();
  }, 90_000);
});
