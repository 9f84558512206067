import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../../src/daemon/run-command.ts';

const NAMES = ['redis-server', 'valkey-server'];
const POLICY = '/usr/sbin/policy-rc.d';

/**
 * A Redis for the tests: the one that there is, else, where we may, the package of the distribution, whose own service is
 * not started.
 *
 * @returns its path, or undefined; then `say` was told why
 */
export async function findRedis(say: (line: string) => void): Promise<string | undefined> {
  const known = onPath();
  if (known !== undefined) return known;
  const why = await install(say);
  const installed = why === undefined ? onPath() : undefined;
  if (installed === undefined)
    say(
      `${why ?? 'the package brought no redis-server'}: all tests that need a Redis are SKIPPED; install redis-server`,
    );
  return installed;
}

function onPath(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/bin', '/usr/local/bin'];
  return folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @returns why not, or undefined */
async function install(say: (line: string) => void): Promise<string | undefined> {
  if (!existsSync('/usr/bin/apt-get')) return 'no redis-server, and no apt-get to install it';
  if (process.getuid?.() !== 0) return 'no redis-server, and not root to install it';
  say('installing redis-server (apt-get) …');
  const hasPolicy = existsSync(POLICY);
  // The service of the package would take port 6379, and outlive the tests.
  if (!hasPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args: string[]) => runCommand('/usr/bin/apt-get', ['-q', ...args], { env });
    const packages = ['install', '-y', '--no-install-recommends', 'redis-server'];
    let { code, output } = await apt(...packages);
    if (code !== 0) {
      await apt('update');
      ({ code, output } = await apt(...packages));
    }
    if (code !== 0) return `redis-server could not be installed: ${output.trim().split('\n').at(-1)}`;
    if (existsSync('/run/systemd/system')) await runCommand('systemctl', ['disable', '--now', 'redis-server']);
    return undefined;
  } finally {
    if (!hasPolicy) rmSync(POLICY, { force: true });
  }
}
