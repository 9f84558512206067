import { spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { reachableSocketPathOf } from '../custodian/address.ts';
import { LOCK_TAKEN_EXIT_CODE, PROTOCOL } from '../custodian/protocol.ts';
import type {
  CustodianErrorBody,
  CustodianErrorCode,
  Events,
  HelloParams,
  HelloResult,
  Methods,
} from '../custodian/protocol.ts';
import type { Custody } from '../domain/custody.ts';
import { createLineSplitter } from '../domain/lines.ts';

/** `CUSTODIAN_UNAVAILABLE`: it cannot be reached, went away, or did not answer in time. All others it said itself. */
export type CustodianClientErrorCode = CustodianErrorCode | 'CUSTODIAN_UNAVAILABLE';

export class CustodianError extends Error {
  readonly code: CustodianClientErrorCode;
  readonly errno: string | undefined;
  /** What the custodian holds of the agent, where it said so (SUPERSEDED, SHUTTING_DOWN, NOT_LIVE, STILL_LIVE). */
  readonly custody: Custody | undefined;
  /** Of the daemon that holds the connection, for DAEMON_RUNNING. */
  readonly pid: number | undefined;

  constructor(body: Omit<CustodianErrorBody, 'code'> & { code: CustodianClientErrorCode }, cause?: unknown) {
    super(body.message, cause === undefined ? undefined : { cause });
    this.name = 'CustodianError';
    this.code = body.code;
    this.errno = body.errno;
    this.custody = body.custody;
    this.pid = body.pid;
  }
}

export interface ConnectOptions {
  role: HelloParams['role'];
  version: string;
  /** Default: this process. */
  pid?: number;
  /** For the connection and the hello, milliseconds. Default 5000. */
  timeoutMs?: number;
}

type Handler<E extends keyof Events> = (data: Events[E]) => void;
type Pending = {
  resolve(value: unknown): void;
  reject(error: CustodianError): void;
  timer: NodeJS.Timeout | undefined;
};

const TIMEOUT_MS = 30_000;
/** A list of 10,000 agents has about 5 MB. */
const LINE_LIMIT = 256 * 1024 * 1024;

/**
 * One connection to the custodian. It does not reconnect. Events that came before a handler was set are not kept: set
 * the handlers first, then ask for `list`, and nothing is missed.
 */
export class CustodianClient {
  /** What the custodian said about itself. */
  readonly hello: HelloResult;
  /** Resolves when the connection is over; `closeReason` says why. Never rejects. */
  readonly closed: Promise<void>;
  readonly #wire: Wire;

  constructor(hello: HelloResult, wire: Wire) {
    this.hello = hello;
    this.#wire = wire;
    this.closed = wire.closed;
  }

  /** Asks and waits. `shutdown` has no limit of time unless one is given, everything else 30 s. */
  request<M extends keyof Methods>(
    method: M,
    params: Methods[M][0],
    { timeoutMs }: { timeoutMs?: number } = {},
  ): Promise<Methods[M][1]> {
    const limitMs = timeoutMs ?? (method === 'shutdown' ? undefined : TIMEOUT_MS);
    return this.#wire.request(method, params, limitMs) as Promise<Methods[M][1]>;
  }

  /** Calls `handler` for each event from now on; returns what ends that. */
  on<E extends keyof Events>(event: E, handler: Handler<E>): () => void {
    return this.#wire.on(event, handler as (data: unknown) => void);
  }

  /** Why the connection ended; undefined while it is open and after `close`. */
  get closeReason(): CustodianError | undefined {
    return this.#wire.reason();
  }

  get isOpen(): boolean {
    return this.#wire.isOpen();
  }

  close(): void {
    this.#wire.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }
}

interface Wire {
  request(method: string, params: unknown, timeoutMs: number | undefined): Promise<unknown>;
  on(event: string, handler: (data: unknown) => void): () => void;
  isOpen(): boolean;
  close(): void;
  reason(): CustodianError | undefined;
  closed: Promise<void>;
}

/** Connects to the custodian of a state directory, or rejects with CUSTODIAN_UNAVAILABLE, DAEMON_RUNNING, PROTOCOL_MISMATCH. */
export async function connectCustodian(stateDir: string, options: ConnectOptions): Promise<CustodianClient> {
  const timeoutMs = options.timeoutMs ?? 5000;
  const path = pathOf(stateDir);
  const socket = await openSocket(path, timeoutMs);
  const wire = createWire(socket);
  const params: HelloParams = {
    protocol: PROTOCOL,
    role: options.role,
    pid: options.pid ?? process.pid,
    version: options.version,
  };
  try {
    const hello = (await wire.request('hello', params, timeoutMs)) as HelloResult;
    return new CustodianClient(hello, wire);
  } catch (error) {
    wire.close();
    throw error;
  }
}

function pathOf(stateDir: string): string {
  try {
    return reachableSocketPathOf(stateDir);
  } catch (error) {
    throw unavailable(
      `The custodian of ${stateDir} cannot be reached: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

function unavailable(message: string, cause?: unknown): CustodianError {
  return new CustodianError({ code: 'CUSTODIAN_UNAVAILABLE', message }, cause);
}

function openSocket(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(path);
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(unavailable(`No custodian answers at ${path}: ${why}`, cause));
    };
    const timer = setTimeout(() => fail(`no connection within ${timeoutMs} ms`), timeoutMs);
    const onError = (error: Error) => fail(error.message, error);
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function createWire(socket: Socket): Wire {
  const pending = new Map<number, Pending>();
  const handlers = new Map<string, Set<(data: unknown) => void>>();
  const lines = createLineSplitter(LINE_LIMIT);
  let nextId = 1;
  let isClosing = false;
  let end: CustodianError | undefined;

  const receive = (line: string) => {
    const message = JSON.parse(line) as {
      id?: number | null;
      result?: unknown;
      error?: CustodianErrorBody;
      event?: string;
      data?: unknown;
    };
    if (message.event !== undefined) {
      for (const handler of handlers.get(message.event) ?? []) handler(message.data);
      return;
    }
    const waiting = pending.get(message.id ?? -1);
    if (waiting === undefined) {
      // an error without id is about the connection, and its end follows
      if (message.error) end = new CustodianError(message.error);
      return;
    }
    pending.delete(message.id ?? -1);
    clearTimeout(waiting.timer);
    if (message.error) waiting.reject(new CustodianError(message.error));
    else waiting.resolve(message.result);
  };

  const closed = new Promise<void>((resolve) => {
    socket.on('error', (error) => {
      end ??= unavailable(`The connection to the custodian broke: ${error.message}`, error);
    });
    socket.on('close', () => {
      if (!isClosing) end ??= unavailable('The custodian closed the connection');
      const reason = end ?? unavailable('The connection was closed before the answer');
      for (const { reject, timer } of pending.values()) {
        clearTimeout(timer);
        reject(reason);
      }
      pending.clear();
      resolve();
    });
  });

  socket.setEncoding('utf8');
  socket.on('data', (piece: string) => {
    for (const line of lines.push(piece)) receive(line);
    if (lines.overflowed) socket.destroy(new Error('the custodian sent a line that is too long'));
  });

  return {
    closed,
    reason: () => (isClosing ? undefined : end),
    request(method, params, timeoutMs) {
      if (isClosing || socket.destroyed)
        return Promise.reject(end ?? unavailable('The connection to the custodian is closed'));
      const id = nextId;
      nextId += 1;
      return new Promise((resolve, reject) => {
        const giveUp = () => {
          pending.delete(id);
          reject(unavailable(`The custodian did not answer \`${method}\` within ${timeoutMs} ms`));
        };
        const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
        pending.set(id, { resolve, reject, timer });
        socket.write(`${JSON.stringify({ id, method, params })}\n`);
      });
    },
    on(event, handler) {
      const set = handlers.get(event) ?? new Set();
      handlers.set(event, set.add(handler));
      return () => set.delete(handler);
    },
    isOpen: () => !isClosing && !socket.destroyed,
    close() {
      isClosing = true;
      socket.end();
      // a custodian that hangs must not hold us
      setTimeout(() => socket.destroy(), 1000).unref();
    },
  };
}

export interface StartOptions {
  /** How long it may take until it listens, milliseconds. Default 10,000. */
  deadlineMs?: number;
  /** Default: this Node. */
  execPath?: string;
  env?: NodeJS.ProcessEnv;
  /** Variables of `env` that it gets besides those it needs. */
  passOn?: readonly string[];
}

export interface StartedCustodian {
  pid: number;
}

/** Small heaps: it lives for months beside the agents, and a fork costs what its parent weighs. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=256'];
/** The custodian gets no secrets: it hands its environment to nobody, but it can be read in /proc. */
const ENV_ALLOWED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'OPENSTARRY_FAILPOINT',
  'OPENSTARRY_CGROUP_ROOT',
];
const LOG_TAIL_BYTES = 2048;
const POLL_MS = 10;

/**
 * Starts the custodian in a session of its own, so that it outlives us, and waits until it can be reached. If another
 * one holds the state directory already, that one is waited for: both callers then use the same.
 */
export async function startCustodian(
  stateDir: string,
  entryFile: string,
  options: StartOptions = {},
): Promise<StartedCustodian> {
  const { deadlineMs = 10_000, execPath = process.execPath, env = process.env, passOn = [] } = options;
  const names = [...ENV_ALLOWED, ...passOn];
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const logPath = join(stateDir, 'custodian.log');
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const log = openSync(logPath, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  const logStart = fstatSync(log).size;
  try {
    const child = spawn(execPath, [...NODE_FLAGS, entryFile, '--state-dir', stateDir], {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: {
        ...Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
        UV_THREADPOOL_SIZE: '2',
      },
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) =>
        resolve(code === LOCK_TAKEN_EXIT_CODE ? '' : `it ended with ${signal ?? `exit code ${code}`}`),
      );
    });
    child.unref();
    const until = performance.now() + deadlineMs;
    for (let earlyEnd: string | undefined; ;) {
      const reached = await reach(stateDir);
      if (reached !== undefined) return { pid: reached };
      const tick = new Promise<undefined>((resolve) => {
        setTimeout(() => resolve(undefined), POLL_MS);
      });
      earlyEnd ??= await Promise.race([ended, tick]);
      if (earlyEnd) throw unavailable(`The custodian could not be started: ${earlyEnd}\n${tailOf(log, logStart)}`);
      if (earlyEnd === '') await tick;
      if (performance.now() > until) {
        throw unavailable(
          `The custodian cannot be reached ${deadlineMs} ms after its start; its log is ${logPath}\n${tailOf(log, logStart)}`,
        );
      }
    }
  } finally {
    closeSync(log);
  }
}

/** The pid of the custodian that answers, if one does. */
async function reach(stateDir: string): Promise<number | undefined> {
  try {
    const client = await connectCustodian(stateDir, { role: 'observer', version: 'start', timeoutMs: 1000 });
    client.close();
    return client.hello.pid;
  } catch (error) {
    // The custodian answers, in another protocol: the caller's own hello will report that.
    if (error instanceof CustodianError && error.code === 'PROTOCOL_MISMATCH') return 0;
    return undefined;
  }
}

function tailOf(fd: number, from: number): string {
  const size = fstatSync(fd).size;
  const start = Math.max(from, size - LOG_TAIL_BYTES);
  const buffer = Buffer.alloc(Math.max(0, size - start));
  readSync(fd, buffer, 0, buffer.length, start);
  return buffer.toString('utf8');
}

/** Connects, and starts a custodian first where there is none. */
export async function connectOrStart(
  stateDir: string,
  entryFile: string,
  options: ConnectOptions & StartOptions,
): Promise<CustodianClient> {
  try {
    return await connectCustodian(stateDir, options);
  } catch (error) {
    if (!(error instanceof CustodianError) || error.code !== 'CUSTODIAN_UNAVAILABLE') throw error;
  }
  await startCustodian(stateDir, entryFile, options);
  return await connectCustodian(stateDir, options);
}
