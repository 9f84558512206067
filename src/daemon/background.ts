/** `start -d`: the daemon as a child of the custodian, which starts it again when it crashes. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { DaemonFile, DaemonPhase } from '../contract/daemon-view.ts';
import { CodedError, isErrorCode } from '../contract/errors.ts';
import { MARKER, type CustodyEntry, type KeptSpawn } from '../custodian/protocol.ts';
import type { ExitRecord } from '../domain/custody.ts';
import { DAEMON_ID } from '../domain/ids.ts';
import { connectCustodian, CustodianError, type CustodianClient } from '../host/custodian-client.ts';
import { holdCustodian } from './hold-custodian.ts';
import { isAlive } from './process-mark.ts';
import { StateDir } from './state-dir.ts';
import type { CustodyCalls } from './temporal/custody.ts';

const LOG = { max_bytes: 16 * 1024 * 1024, keep: 3 };
/** The daemon stops its agents first, each of which may take its own grace: nothing cuts that short but a second signal. */
const STOP = { signal: 'SIGTERM', grace_ms: 24 * 3600_000 };
const POLL_MS = 50;
const SETTLE_MS = 10_000;

/** What somebody has said for one start: a later one, after a fail-stop for instance, must not take it for said again. */
export const ONCE: ReadonlySet<string> = new Set(['-d', '--detach', '--clear-failstop', '--switch-config']);

export interface BackgroundOptions {
  /** Of the command line, without the name of the program: `start --config …`. */
  args: string[];
  /** The entry of the command line. */
  entry: string;
  version: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** What the daemon says meanwhile. */
  onLine?: (line: string) => void;
}

export interface BackgroundDaemon {
  pid: number;
  version: string;
  ports: DaemonFile['ports'];
  /** What it says from now on. */
  log: string;
}

/**
 * Starts a daemon in the background and waits until it runs.
 * @throws CodedError DAEMON_RUNNING, or what its start failed with; then nothing is left of it
 */
export async function startInBackground(options: BackgroundOptions): Promise<BackgroundDaemon> {
  const { args, entry, version, env = process.env, cwd = process.cwd(), onLine = () => undefined } = options;
  const stateDir = new StateDir(env);
  const client = await holdCustodian(stateDir.path, version).catch(refused);
  let spawned: { pid: number; log_path: string };
  let generation: number;
  try {
    const own = await settledEntry(client);
    if (own?.live !== undefined) throw new CodedError('DAEMON_RUNNING', `A daemon is starting (pid ${own.live.pid})`);
    generation = (own?.custody.fence ?? 0) + 1;
    const command = [process.execPath, entry, ...args];
    spawned = await client.request('spawn', { agent: DAEMON_ID, generation, ...keptSpawn(command, env, cwd) });
  } finally {
    // The daemon itself holds the custodian from now on.
    client.close();
    await client.closed;
  }
  const lines = linesOf(spawned.log_path);
  for (;;) {
    for (const line of lines()) onLine(line);
    const file = daemonFile(stateDir);
    if (file?.pid === spawned.pid && file.phase === 'run') {
      return { pid: spawned.pid, version: file.version, ports: file.ports, log: spawned.log_path };
    }
    if (!isAlive(spawned.pid)) {
      const exit = await lastExit(stateDir, generation);
      await endIdleCustodian(stateDir, version);
      throw failure(exit, spawned.log_path);
    }
    await delay(POLL_MS);
  }
}

/** Has the custodian start this daemon again when it crashes while it runs; nothing happens to one that is not its child. */
export async function tellKeeper(custody: CustodyCalls, phase: DaemonPhase): Promise<void> {
  if (process.env[MARKER]?.startsWith(`${DAEMON_ID}/`) !== true || (phase !== 'run' && phase !== 'shutdown')) return;
  const again = process.argv.filter((arg) => !ONCE.has(arg));
  const spawn = phase === 'run' ? keptSpawn(again, process.env, process.cwd()) : null;
  await custody.call('keep', { spawn }).catch(() => undefined); // one of an earlier version keeps none
}

function keptSpawn(command: string[], env: NodeJS.ProcessEnv, cwd: string): KeptSpawn {
  const named = Object.entries(env).filter(([name, value]) => value !== undefined && name !== MARKER);
  return { command, env: Object.fromEntries(named) as Record<string, string>, cwd, log: LOG, stop: STOP };
}

function refused(error: unknown): never {
  if (!(error instanceof CustodianError)) throw error;
  const code = error.code === 'DAEMON_RUNNING' ? 'DAEMON_RUNNING' : 'CUSTODIAN_UNAVAILABLE';
  throw new CodedError(code, error.message, {}, error);
}

function daemonFile(stateDir: StateDir): DaemonFile | undefined {
  try {
    return JSON.parse(readFileSync(stateDir.file('daemon.json'), 'utf8')) as DaemonFile;
  } catch {
    return undefined; // not there yet
  }
}

/** Its last end may be over before the custodian has dealt with it. */
async function settledEntry(client: CustodianClient): Promise<CustodyEntry | undefined> {
  for (const until = performance.now() + SETTLE_MS; ; await delay(POLL_MS)) {
    const own = (await client.request('list', {})).entries.find(({ agent }) => agent === DAEMON_ID);
    if (own?.live === undefined || isAlive(own.live.pid) || performance.now() > until) return own;
  }
}

/** Undefined if the custodian has ended with it. */
async function lastExit(stateDir: StateDir, generation: number): Promise<ExitRecord | undefined> {
  try {
    const client = await connectCustodian(stateDir.path, { role: 'observer', version: 'start' });
    try {
      const exit = (await settledEntry(client))?.custody.last_exit;
      return exit?.generation === generation ? exit : undefined;
    } finally {
      client.close();
    }
  } catch {
    return undefined;
  }
}

/** A daemon that fails before it holds the custodian, over its configuration say, cannot end what was started for it. */
async function endIdleCustodian(stateDir: StateDir, version: string): Promise<void> {
  try {
    const client = await connectCustodian(stateDir.path, { role: 'daemon', version });
    try {
      const { entries } = await client.request('list', {}, { timeoutMs: SETTLE_MS });
      if (entries.every(({ live }) => live === undefined)) await client.request('end', {}, { timeoutMs: SETTLE_MS });
    } finally {
      client.close();
      await client.closed;
    }
  } catch {
    // The daemon has ended it, or another one holds it; what the start failed with is what has to be said.
  }
}

/** The daemon says in its log why it could not start, as JSON: `start` was called with `--json`. */
function failure(exit: ExitRecord | undefined, log: string): CodedError {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  const told = lines.findLast((line) => line.startsWith('{"error":'));
  if (told !== undefined) {
    const { code, message, details } = (
      JSON.parse(told) as { error: { code: unknown; message: string; details?: Record<string, unknown> } }
    ).error;
    if (isErrorCode(code)) return new CodedError(code, message, details ?? {});
  }
  const how = exit === undefined ? 'ended' : `ended with ${exit.signal ?? `exit code ${exit.code}`}`;
  const tail = lines.slice(-5).join('\n  ');
  return new CodedError('INTERNAL', `The daemon ${how} before it ran; the end of its log ${log}:\n  ${tail}`, { log });
}

/** Each call gives the lines that are new. */
function linesOf(file: string): () => string[] {
  let offset = 0;
  let rest = '';
  return () => {
    const { size } = statSync(file);
    if (size <= offset) return [];
    const buffer = Buffer.alloc(size - offset);
    const descriptor = openSync(file, 'r');
    try {
      offset += readSync(descriptor, buffer, 0, buffer.length, offset);
    } finally {
      closeSync(descriptor);
    }
    const lines = (rest + buffer.toString()).split('\n');
    rest = lines.pop() ?? '';
    return lines;
  };
}
