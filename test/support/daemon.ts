import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { DaemonView } from '../../src/contract/daemon-view.ts';
import { decodeJournal } from '../../src/custodian/journal/journal-line.ts';
import type { CustodyEntry } from '../../src/custodian/protocol.ts';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { killIfSame, startTimeOf, type Identity } from './process.ts';
import { until } from './wait.ts';

export { isAlive } from './process.ts';

const ENTRY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Answer<T = unknown> {
  status: number;
  body: T;
  headers: Headers;
}

/** A real daemon in a directory of its own: its own custodian and, unless told otherwise, its own Temporal server. */
export class TestDaemon {
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
  process: ChildProcess | undefined;
  /** A command that runs the daemon as its child. */
  under: string[] = [];
  /** Which build of it is run. */
  entry = ENTRY;
  output = '';
  private configFile = '';

  private constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.dir = dir;
    this.env = env;
  }

  static async make(config: Record<string, unknown>, options: { env?: NodeJS.ProcessEnv } = {}): Promise<TestDaemon> {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-e2e-'));
    const daemon = new TestDaemon(dir, { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home'), ...options.env });
    await mkdir(path.join(dir, 'templates'));
    await daemon.configure(config);
    return daemon;
  }

  get stateDir(): string {
    return path.join(this.dir, 'home', 'orchestrator');
  }

  async configure(config: Record<string, unknown>): Promise<void> {
    const ports = { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 };
    this.configFile = path.join(this.dir, 'openstarry.yaml');
    const whole = { version: 1, design_layer: { path: './templates' }, ports, ...config };
    await writeFile(this.configFile, stringify(whole));
  }

  async template(id: string, template: Record<string, unknown>): Promise<void> {
    await writeFile(path.join(this.dir, 'templates', `${id}.yaml`), stringify({ id, ...template }));
  }

  /** Starts it and waits until it serves. */
  async start(args: string[] = []): Promise<void> {
    const child = this.launch(['start', '--config', this.configFile, ...args]);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`The daemon ended with ${code}:\n${this.output}`);
    });
    ended.catch(() => undefined);
    await Promise.race([
      until(() => this.output.includes('runs (pid '), { deadlineMs: 40_000, what: 'the banner' }),
      ended,
    ]);
  }

  /** Runs the command line and keeps its output. */
  launch(args: string[]): ChildProcess {
    this.output = '';
    const [program = '', ...rest] = [...this.under, process.execPath, this.entry, ...args];
    const child = spawn(program, rest, {
      env: this.env,
      cwd: this.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => void (this.output += chunk.toString());
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.process = child;
    return child;
  }

  /** Signals the daemon and waits for its end. @returns its exit code */
  async signal(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) throw new Error('No daemon runs');
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exit) as [number | null];
    return code;
  }

  async call<T = unknown>(
    method: string,
    route: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const daemon = JSON.parse(await readFile(path.join(this.stateDir, 'daemon.json'), 'utf8')) as {
      ports: { api: number };
    };
    const token = (await readFile(path.join(this.stateDir, 'token'), 'utf8')).trim();
    const response = await fetch(`http://127.0.0.1:${daemon.ports.api}${route}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return { status: response.status, body: (isJson ? JSON.parse(text) : text) as T, headers: response.headers };
  }

  async agents(): Promise<AgentView[]> {
    return (await this.call<{ agents: AgentView[] }>('GET', '/agents')).body.agents;
  }

  async agent(agentId: string): Promise<AgentView | undefined> {
    const answer = await this.call<AgentView>('GET', `/agents/${agentId}`);
    return answer.status === 200 ? answer.body : undefined;
  }

  async status(): Promise<DaemonView> {
    return (await this.call<DaemonView>('GET', '/status')).body;
  }

  /** Waits until the agent shows what is wanted. */
  async untilAgent(
    agentId: string,
    wanted: (view: AgentView) => boolean,
    what: string,
    deadlineMs = 15_000,
  ): Promise<AgentView> {
    let last: AgentView | undefined;
    const seen = async (): Promise<AgentView | undefined> => {
      last = await this.agent(agentId).catch(() => undefined);
      return last && wanted(last) ? last : undefined;
    };
    try {
      return await until(seen, { deadlineMs, what: `${agentId} ${what}` });
    } catch (error) {
      throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(last)}`, { cause: error });
    }
  }

  /** What the custodian holds, asked past the daemon. */
  async custody(): Promise<Identity & { entries: CustodyEntry[] }> {
    const client = await connectCustodian(this.stateDir, { role: 'observer', version: 'test' });
    try {
      const { pid } = client.hello;
      // It answers, so the pid is its own.
      const { entries } = await client.request('list', {});
      return { pid, start: startTimeOf(pid), entries };
    } finally {
      client.close();
    }
  }

  /** Kills everything that this daemon ever started, whatever state it is in, and nothing else. */
  async kill(): Promise<void> {
    if (this.process && this.process.exitCode === null && this.process.signalCode === null)
      await this.signal('SIGKILL');
    const held = await this.custody().catch(() => undefined);
    if (!held) return;
    killIfSame(held);
    const live = new Set(held.entries.flatMap((entry) => entry.live?.pid ?? []));
    for (const one of this.recorded()) {
      if (!live.has(one.pid)) continue;
      killIfSame(one, { group: true });
      killIfSame(one);
    }
  }

  /** Every process that the journal names. */
  private recorded(): Identity[] {
    const { records } = decodeJournal(readFileSync(path.join(this.stateDir, 'custody.journal'), 'utf8'));
    return records.flatMap((record) => {
      if (record.kind === 'live') return record.live;
      return record.kind === 'entry' && record.entry.live ? record.entry.live : [];
    });
  }

  /** Leaves nothing of it behind. */
  async end(): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
