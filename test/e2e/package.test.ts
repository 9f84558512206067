import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { until } from '../support/wait.ts';

/** What a user gets from the registry; its dependencies are borrowed from the checkout. */
describe('the package', () => {
  let dir: string;
  let files: string[];

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-package-'));
    const root = inject('root');
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', dir];
    const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as {
      filename: string;
      files: { path: string }[];
    }[];
    files = packed!.files.map((file) => file.path);
    execFileSync('tar', ['-xzf', path.join(dir, packed!.filename), '-C', dir]);
    await symlink(path.join(root, 'node_modules'), path.join(dir, 'package', 'node_modules'));
  }, 60_000);

  afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

  it('holds what runs, and nothing else', () => {
    for (const needed of [
      'dist/custodian.mjs',
      'dist/workflow-bundle.js',
      'tools/temporal/go.mod',
      'README.md',
      'LICENSE',
    ]) {
      expect(files).toContain(needed);
    }
    expect(files.filter((file) => /^(src|test|scripts|bench)\/|\.map$|reports\/|__pycache__/.test(file))).toEqual([]);
  });

  it('runs the quickstart from an empty folder', async () => {
    const config = path.join(dir, 'quickstart');
    await cp(path.join(dir, 'package', 'examples', 'quickstart'), config, { recursive: true });
    // Other daemons may have the usual ports on this machine.
    const ports = '\nports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }\n';
    await appendFile(path.join(config, 'openstarry.yaml'), ports);
    const command = [path.join(dir, 'package', 'bin', 'openstarry-daemon.mjs'), 'start', '--config', config];
    const daemon = spawn(process.execPath, command, {
      cwd: dir,
      env: { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [daemon.stdout, daemon.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = once(daemon, 'exit');
    try {
      await until(() => output.includes('data_worker_007 running'), { deadlineMs: 40_000, what: 'the worker' });
    } finally {
      daemon.kill('SIGINT');
      await ended;
    }
    expect(output).toContain('Stopped.');
  }, 90_000);
});
