import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import path from 'node:path';
import type {
  CustodyEntry,
  Events,
  Methods,
  SpawnParams,
  SpawnResult,
  StopParams,
  StopResult,
} from '../../src/custodian/protocol.ts';
import type { CustodyCalls } from '../../src/daemon/temporal/custody.ts';

interface Held {
  params: SpawnParams;
  child: ChildProcess;
  logPath: string;
  startedAt: number;
}

/** Custody of one reserved child without a custodian's journal or socket: real processes, and fences in memory. */
export class PlainCustody implements CustodyCalls {
  readonly #folder: string;
  #held: Held | undefined;
  #entry: CustodyEntry = { agent: '_temporal', custody: { fence: 0 } };
  /** Exits that happen meanwhile are not told, as while the custodian is being replaced. */
  deaf = false;
  readonly spawned: SpawnParams[] = [];
  onExit: (event: Events['exit']) => void = () => {};

  constructor(folder: string) {
    this.#folder = folder;
  }

  get pid(): number | undefined {
    return this.#entry.live?.pid;
  }

  async call<M extends keyof Methods>(method: M, params: Methods[M][0]): Promise<Methods[M][1]> {
    return this.#answer(method, params) as Methods[M][1];
  }

  #answer(method: string, params: unknown): unknown {
    if (method === 'list') return { entries: this.#entry.custody.fence === 0 ? [] : [structuredClone(this.#entry)] };
    if (method === 'spawn') return this.#spawn(params as SpawnParams);
    if (method === 'stop') return this.#stop(params as StopParams);
    throw new Error(`not here: ${method}`);
  }

  #spawn(params: SpawnParams): SpawnResult {
    if (params.generation <= this.#entry.custody.fence || this.#held !== undefined) throw new Error('SUPERSEDED');
    const logPath = path.join(this.#folder, `${params.agent}.${params.generation}.log`);
    const log = openSync(logPath, 'a');
    const [command = '', ...args] = params.command;
    const child = spawn(command, args, { cwd: params.cwd, env: params.env, stdio: ['ignore', log, log] });
    closeSync(log);
    const startedAt = Date.now();
    const held = { params, child, logPath, startedAt };
    this.#held = held;
    this.spawned.push(params);
    const live = { generation: params.generation, pid: child.pid ?? 0 };
    const started_at = new Date(startedAt).toISOString();
    this.#entry = {
      agent: params.agent,
      custody: { ...this.#entry.custody, fence: params.generation, live },
      live: { ...live, started_at, parent: true, log_path: logPath },
    };
    child.on('exit', (code, signal) => this.#ended(held, code, signal));
    return { adopted: false, pid: live.pid, started_at, log_path: logPath, custody: this.#entry.custody };
  }

  #stop(params: StopParams): StopResult {
    this.#held?.child.kill(params.signal as NodeJS.Signals);
    return { done: this.#held === undefined, custody: this.#entry.custody };
  }

  /** For the end of a test, whatever state it left. */
  async kill(): Promise<void> {
    const child = this.#held?.child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  #ended(held: Held, code: number | null, signal: string | null): void {
    const { generation } = held.params;
    const ran_ms = Date.now() - held.startedAt;
    const last_exit = { generation, code, signal, cause: 'self' as const, at: new Date().toISOString(), ran_ms };
    const { fence } = this.#entry.custody;
    this.#held = undefined;
    this.#entry = { agent: held.params.agent, custody: { fence, last_exit }, last_log_path: held.logPath };
    if (this.deaf) return;
    this.onExit({ agent: held.params.agent, exit: last_exit, custody: this.#entry.custody });
  }
}
