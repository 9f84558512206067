import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, symlink } from 'node:fs/promises';
import path from 'node:path';
import { inject } from 'vitest';
import { until } from './wait.ts';

export interface Packed {
  /** What the tarball holds. */
  files: string[];
  /** Where it is unpacked. */
  folder: string;
  /** `bin/openstarry-daemon.mjs` of it. */
  entry: string;
}

/** What a user gets from the registry, unpacked in `dir`; its dependencies are borrowed from the checkout. */
export async function packInto(dir: string): Promise<Packed> {
  const root = inject('root');
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', dir];
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as {
    filename: string;
    files: { path: string }[];
  }[];
  execFileSync('tar', ['-xzf', path.join(dir, packed!.filename), '-C', dir]);
  const folder = path.join(dir, 'package');
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  const entry = path.join(folder, 'bin', 'openstarry-daemon.mjs');
  return { files: packed!.files.map((file) => file.path), folder, entry };
}

/**
 * Runs the quickstart of the package from the empty folder `dir` until its worker runs, and ends it by Ctrl-C.
 * @param atWork what to look at while it runs
 */
export async function runQuickstart(
  { entry, folder }: Packed,
  dir: string,
  { node = process.execPath, atWork }: { node?: string; atWork?: (env: NodeJS.ProcessEnv) => void } = {},
): Promise<{ output: string; code: number | null }> {
  const config = path.join(dir, 'quickstart');
  await cp(path.join(folder, 'examples', 'quickstart'), config, { recursive: true });
  // Other daemons may have the usual ports on this machine.
  const ports = '\nports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }\n';
  await appendFile(path.join(config, 'openstarry.yaml'), ports);
  const env = { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') };
  const daemon = spawn(node, [entry, 'start', '--config', config], {
    cwd: dir,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [daemon.stdout, daemon.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(daemon, 'exit');
  try {
    const isWorking = () => output.includes('data_worker_007 running') || daemon.exitCode !== null;
    await until(isWorking, { deadlineMs: 40_000, what: 'the worker' });
    atWork?.(env);
  } finally {
    daemon.kill('SIGINT');
    await ended;
  }
  return { output, code: daemon.exitCode };
}
