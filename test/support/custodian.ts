import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { CustodyEntry, Events, SpawnParams, SpawnResult } from '../../src/custodian/protocol.ts';
import { connectCustodian, startCustodian } from '../../src/host/custodian-client.ts';
import type { CustodianClient, StartOptions } from '../../src/host/custodian-client.ts';
import { isAlive, killIfSame, startTimeOf } from './process.ts';
import { until } from './wait.ts';

export { isAlive, startTimeOf, stateOf } from './process.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/agents', import.meta.url));

let bundle: string | undefined;

/**
 * The custodian as it is shipped: one file. Its name is its content's, so that all test processes share it and none is
 * left in the temp directory by a worker that is ended from outside.
 */
export function custodianBundle(): string {
  if (bundle !== undefined) return bundle;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { outputFiles } = buildSync({
    entryPoints: [join(root, 'src/custodian/main.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
    logLevel: 'warning',
  });
  const text = outputFiles[0]!.contents;
  const folder = join(root, 'node_modules/.cache/openstarry');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `custodian-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.mjs`);
  if (!existsSync(path)) {
    writeFileSync(`${path}.${process.pid}`, text);
    renameSync(`${path}.${process.pid}`, path);
  }
  bundle = path;
  return path;
}

export const fixture = (name: string): string => join(FIXTURES, name);

export interface TestHost {
  stateDir: string;
  client: CustodianClient;
  pid: number;
  exits: Events['exit'][];
  /** Environment of the custodian in this test. */
  env: NodeJS.ProcessEnv;
  /** For a test that starts it itself. */
  startOptions: Pick<StartOptions, 'env' | 'passOn'>;
  start(env?: NodeJS.ProcessEnv): Promise<void>;
  connect(): Promise<CustodianClient>;
  /** Kills the custodian as nothing else does, and waits until it is gone. */
  kill(): Promise<void>;
  spawn(agent: string, generation: number, command: string[], more?: Partial<SpawnParams>): Promise<SpawnResult>;
  exitOf(agent: string, generation?: number, deadlineMs?: number): Promise<Events['exit']>;
  entry(agent: string): Promise<CustodyEntry | undefined>;
  /** A process that the cleanup cannot find by its environment. */
  owns(pid: number): void;
  log(agent: string, generation: number): string;
  cleanUp(): Promise<void>;
}

let hosts = 0;

/** A custodian with a state directory of its own; everything that runs under it is killed in `cleanUp`. */
export async function createTestHost({ isStarted = true }: { isStarted?: boolean } = {}): Promise<TestHost> {
  const folder = mkdtempSync(join(tmpdir(), 'oc-'));
  const stateDir = join(folder, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  hosts += 1;
  const run = `run-${process.pid}-${hosts}`;
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, BENCH_RUN: run };
  // With the start time: at the end of a test its pid may be somebody else's.
  const owned = new Map<number, number>();
  const host: TestHost = {
    stateDir,
    env,
    startOptions: { env, passOn: ['BENCH_RUN'] },
    exits: [],
    // set by `start`
    client: undefined as unknown as CustodianClient,
    pid: 0,
    async start(more = {}) {
      ({ pid: host.pid } = await startCustodian(stateDir, custodianBundle(), {
        ...host.startOptions,
        env: { ...env, ...more },
      }));
      host.owns(host.pid);
      host.client = await host.connect();
    },
    async connect() {
      const client = await connectCustodian(stateDir, { role: 'daemon', version: 'test' });
      client.on('exit', (exit) => host.exits.push(exit));
      return client;
    },
    async kill() {
      process.kill(host.pid, 'SIGKILL');
      await until(() => !isAlive(host.pid), { what: 'the death of the custodian' });
      await host.client.closed;
    },
    spawn: (agent, generation, command, more = {}) =>
      host.client.request('spawn', {
        agent,
        generation,
        command,
        env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', BENCH_RUN: run },
        cwd: stateDir,
        log: { max_bytes: 1_000_000, keep: 3 },
        ...more,
      }),
    exitOf: (agent, generation, deadlineMs = 5000) =>
      until(
        () =>
          host.exits.find(
            (one) => one.agent === agent && (generation === undefined || one.exit.generation === generation),
          ),
        {
          deadlineMs,
          what: `the end of ${agent}`,
        },
      ),
    async entry(agent) {
      const { entries } = await host.client.request('list', {});
      return entries.find((one) => one.agent === agent);
    },
    owns(pid) {
      if (isAlive(pid)) owned.set(pid, startTimeOf(pid));
    },
    log: (agent, generation) => readFileSync(join(stateDir, 'logs', agent, `${generation}.log`), 'utf8'),
    async cleanUp() {
      host.client?.close();
      for (let round = 0; round < 3; round += 1) {
        for (const [pid, start] of owned) killIfSame({ pid, start });
        for (const pid of pidsOf(run)) killQuietly(pid);
        owned.clear();
      }
      await until(() => pidsOf(run).length === 0, { what: 'the end of all that the test started' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
  if (isStarted) await host.start();
  return host;
}

/** Processes of which the environment says that this test started them. */
export function pidsOf(run: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const isOurs = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`BENCH_RUN=${run}`);
      return isOurs && isAlive(Number(name)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone
  }
}
