import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { ensureSearchAttributes } from '../../src/daemon/temporal/search-attributes.ts';
import { findTemporal } from '../../src/daemon/temporal/binary.ts';
import { runCommand } from '../../src/daemon/run-command.ts';
import { startDevServer } from './dev-server.ts';
import { findRedis } from './redis-binary.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

declare module 'vitest' {
  export interface ProvidedContext {
    /** host:port of the one Temporal server that all test files share. Choose own ids; tests that kill it start their own. */
    temporalAddress: string;
    /** The Temporal CLI, for tests that use it as an operator would or start a server of their own. */
    temporalCli: string;
    /** For a worker's `workflowBundle: { codePath }`. Undefined while there are no workflows. */
    workflowBundle: string | undefined;
    /** For tests of what is kept in a Redis, which start their own. Undefined where there is none: they are skipped. */
    redisServer: string | undefined;
    /** The root of the checkout, whose `dist` is up to date. */
    root: string;
  }
}

/** Builds dist, starts one Temporal server for all test files, and returns what ends it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = findRedis((line) => process.stderr.write(`redis: ${line}\n`));
  const built = await buildDist();
  const binary = await findTemporal({ progress: (line) => process.stderr.write(`temporal: ${line}\n`) });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-test-temporal-'));
  const server = await startDevServer({ cli: binary.path, folder });
  try {
    await ensureSearchAttributes(server.connection, { namespace: 'default', address: server.address });
    await server.connection.close();
  } catch (error) {
    await server.stop();
    throw error;
  }
  const bundle = path.join(ROOT, 'dist', 'workflow-bundle.js');
  project.provide('temporalAddress', server.address);
  project.provide('temporalCli', binary.path);
  project.provide('workflowBundle', built && existsSync(bundle) ? bundle : undefined);
  project.provide('redisServer', await redis);
  project.provide('root', ROOT);
  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

/**
 * `npm test` has built already and stops at a failure. Here, under a developer's own `npx vitest`, a build that fails is
 * told, and the tests that need none of it still run.
 */
async function buildDist(): Promise<boolean> {
  const { code, output } = await runCommand(process.execPath, [path.join(ROOT, 'scripts', 'build.mjs')], { cwd: ROOT });
  if (code !== 0) process.stderr.write(`scripts/build.mjs failed (${code}): dist is stale\n${output}\n`);
  return code === 0;
}
