import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Packed, packInto, runQuickstart } from '../support/packed.ts';
import { until } from '../support/wait.ts';

/** Besides the one that runs the tests. The registry has them as packages of one file. */
const VERSIONS = [22, 24];

/** @returns undefined where the registry cannot be reached, or has none for this machine */
async function installNodes(dir: string): Promise<((version: number) => string) | undefined> {
  await mkdir(dir);
  const platform = `node-${process.platform}-${process.arch}`;
  const wanted = VERSIONS.map((version) => `node${version}@npm:${platform}@${version}`);
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--fetch-retries=0'];
  const { status, stderr } = spawnSync('npm', ['install', ...flags, '--prefix', dir, ...wanted], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (status === 0) return (version) => path.join(dir, 'node_modules', `node${version}`, 'bin', 'node');
  const why = stderr.split('\n').find((line) => line.includes('error')) ?? `npm ended with ${status}`;
  console.log(`Skipped: no other versions of Node from the registry (${why})`);
  return undefined;
}

describe('the package, on another Node', () => {
  let dir: string;
  let packed: Packed;
  let nodeOf: ((version: number) => string) | undefined;

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-nodes-'));
    nodeOf = await installNodes(path.join(dir, 'nodes'));
    if (nodeOf !== undefined) packed = await packInto(dir);
  }, 90_000);

  afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

  it.for(VERSIONS)(
    '%i runs the quickstart from an empty folder and ends it',
    { timeout: 60_000 },
    async (version, { skip }) => {
      if (nodeOf === undefined) return skip();
      const node = nodeOf(version);
      expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toMatch(new RegExp(`^v${version}\\.`));
      const own = path.join(dir, String(version));
      await mkdir(own);
      let doctor = '';
      const { output, code } = await runQuickstart(packed, own, {
        node,
        atWork(env) {
          doctor = execFileSync(node, [packed.entry, 'doctor', '--json'], { env, cwd: own, encoding: 'utf8' });
        },
      });
      expect(output).toContain('data_worker_007 running');
      expect(JSON.parse(doctor)).toMatchObject({
        ok: true,
        checks: expect.arrayContaining([
          expect.objectContaining({ name: 'node', status: 'ok', says: expect.stringContaining(`${version}.`) }),
          expect.objectContaining({ name: 'custodian', status: 'ok', says: expect.stringMatching(/^runs/) }),
        ]),
      });
      // Not a word about a deprecated call.
      expect(output).not.toMatch(/Warning|Error/);
      expect([code, output]).toEqual([0, expect.stringContaining('Stopped.')]);
      if (process.platform !== 'linux') return;
      // The custodian ends last, a moment after the daemon.
      await until(() => processesOf(own).length === 0, { what: `the end of ${processesOf(own).join()}` });
    },
  );
});

/** Whose command line names the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return line.includes(folder) ? [line.replaceAll('\0', ' ')] : [];
    } catch {
      return [];
    }
  });
}
