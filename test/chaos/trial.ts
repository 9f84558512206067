import { readdirSync, readFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import Database from 'libsql';
import { inject } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { CustodyEntry } from '../../src/custodian/protocol.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { Bystander } from './bystander.ts';
import type { ChaosCase } from './chaos-case.ts';
import { Observer, type Observation } from './observer.ts';

/** Seconds that nobody else sleeps. */
const SLEEP = '36061';
/** Of what lived that long the witness has seen the marker. */
const SEEN_AFTER_MS = 1_000;
/** Of the marker that a bystander carries. */
export const FOREIGN_NONCE = '0123456789abcdef';
let trials = 0;

export interface TrialOptions {
  /** Agents `<prefix>0` … of the configuration file that only sleep, every second one as a tree. */
  agents?: number;
  config?: Record<string, unknown>;
  env?: NodeJS.ProcessEnv;
}

/** A daemon under test, the witness that watches it, and bystanders that look like its agents. */
export class Trial {
  readonly c: ChaosCase;
  readonly daemon: TestDaemon;
  readonly observer: Observer;
  readonly prefix: string;
  readonly #bystanders: Bystander[] = [];
  /** Exits that custody told, by agent; a later one takes the place of an earlier one there. */
  readonly #recorded = new Map<string, Set<number>>();
  /** Agents that take their marker off before anybody may have seen it. */
  readonly #hidden = new Set<string>();
  #hasEnded = false;

  private constructor(c: ChaosCase, daemon: TestDaemon, observer: Observer, prefix: string) {
    this.c = c;
    this.daemon = daemon;
    this.observer = observer;
    this.prefix = prefix;
  }

  static make(c: ChaosCase, { config = {}, ...more }: TrialOptions = {}): Promise<Trial> {
    return Trial.of(c, () => config, more);
  }

  /** @param configOf is told how the witness knows an agent of this trial from others */
  static async of(
    c: ChaosCase,
    configOf: (id: (name: string) => string) => Record<string, unknown>,
    { agents = 0, env = {} }: Omit<TrialOptions, 'config'> = {},
  ): Promise<Trial> {
    trials += 1;
    const prefix = `c${process.pid}x${trials}-`;
    const config = configOf((name) => `${prefix}${name}`);
    const fleet = Array.from({ length: agents }, (_, n) => [`${prefix}${n}`, { command: sleeper(n) }] as const);
    const daemon = await TestDaemon.make(
      {
        defaults: { backoff: { initial: '50ms', max: '500ms' }, stop: { grace: '1s' } },
        ...config,
        agents: { ...Object.fromEntries(fleet), ...(config['agents'] as object | undefined) },
      },
      { env },
    );
    const observer = new Observer(prefix);
    await observer.ignore(FOREIGN_NONCE);
    const trial = new Trial(c, daemon, observer, prefix);
    await trial.addBystander(); // with the same command line
    await trial.addBystander({ OPENSTARRY_INCARNATION: `${prefix}0/1/${FOREIGN_NONCE}` });
    return trial;
  }

  id(name: string | number): string {
    return `${this.prefix}${name}`;
  }

  /** The witness need not have seen this one. */
  hides(id: string): void {
    this.#hidden.add(id);
  }

  async addBystander(env: Record<string, string> = {}): Promise<Bystander> {
    const bystander = await Bystander.start(env, ['sleep', SLEEP]);
    this.#bystanders.push(bystander);
    return bystander;
  }

  /** Waits until the sleepers of the configuration run. @returns their pids */
  async untilFleetRuns(count: number, deadlineMs = 60_000): Promise<Map<string, number>> {
    const views = await until(
      async () => {
        const all = await this.fleet().catch(() => []);
        return all.length >= count && all.every((view) => view.state === 'running') ? all : undefined;
      },
      { deadlineMs, what: `${count} running agents` },
    );
    return new Map(views.map((view) => [view.agent_id, view.pid!]));
  }

  /** The sleepers, as the API shows them. */
  async fleet(): Promise<AgentView[]> {
    return (await this.daemon.agents()).filter((view) => /^\d+$/.test(view.agent_id.slice(this.prefix.length)));
  }

  async temporal(): Promise<NonNullable<CustodyEntry['live']> | undefined> {
    return (await this.daemon.custody()).entries.find((entry) => entry.agent === '_temporal')?.live;
  }

  /** Compares what the witness has seen with what the daemon says. To be called while nothing is under way. */
  async compare(when: string): Promise<void> {
    const { c } = this;
    const seen = await this.observer.report();
    const { entries } = await this.daemon.custody();
    for (const { agent, custody } of entries) if (custody.last_exit) this.#note(agent, custody.last_exit.generation);
    this.#judge(when, seen);
    const held = new Map(entries.flatMap(({ agent, live }) => (live ? [[agent, live] as const] : [])));
    for (const { agent, generation, lives, pids } of seen.incarnations) {
      if (!lives) continue;
      const live = held.get(agent);
      const name = `${agent}/${generation} (pids ${pids.join(', ')})`;
      c.check(live?.generation === generation, `${when}: ${name} lives without a record`);
      if (live?.generation !== generation) continue;
      c.check(pids.includes(live.pid), `${when}: ${name} is recorded with pid ${live.pid}`);
      c.check(!this.#hasExit(agent, generation), `${when}: ${name} lives, and its exit is recorded`);
    }
    for (const [agent, live] of held)
      c.check(isAlive(live.pid), `${when}: ${agent} is recorded with pid ${live.pid}, which is dead`);
  }

  /** All that can be known of an agent, for the message of a failure. */
  async describe(id: string): Promise<string> {
    const { entries } = await this.daemon.custody();
    const { temporal } = await this.daemon.status();
    const args = ['workflow', 'describe', '--workflow-id', `agent/${id}`, '--address', temporal.address, '-o', 'json'];
    const life = await promisify(execFile)(inject('temporalCli'), args).catch((error: Error) => ({
      stdout: JSON.stringify(error.message),
    }));
    const log = readFileSync(path.join(this.daemon.stateDir, 'daemon.log'), 'utf8').split('\n');
    return JSON.stringify({
      view: await this.daemon.agent(id),
      custody: entries.find(({ agent }) => agent === id),
      pending: (JSON.parse(life.stdout) as { pendingActivities?: unknown }).pendingActivities,
      log: log.filter((line) => line.includes(`"${id}"`)).slice(-10),
    });
  }

  /** What each side says of all of them. */
  async describeAll(): Promise<string> {
    const said = async (what: () => Promise<unknown>): Promise<unknown> =>
      what().catch((error: unknown) => `refused: ${String(error)}`);
    const fleet = await said(async () =>
      (await this.fleet()).map(({ agent_id, state, desired, generation, pid }) => [
        agent_id,
        state,
        desired,
        generation,
        pid,
      ]),
    );
    const custody = await said(async () =>
      (await this.daemon.custody()).entries.map(({ agent, live }) => [agent, live]),
    );
    const status = await said(() => this.daemon.status());
    const log = readFileSync(path.join(this.daemon.stateDir, 'daemon.log'), 'utf8').trim().split('\n').slice(-30);
    const custodian = readFileSync(path.join(this.daemon.stateDir, 'custodian.log'), 'utf8')
      .trim()
      .split('\n')
      .slice(-20);
    return JSON.stringify({ fleet, custody, status, log, custodian });
  }

  /** What holds whether a daemon runs or not. */
  #judge(when: string, seen: Observation): void {
    const { c } = this;
    for (const { agent, pids } of seen.doubles)
      c.check(false, `${when}: two incarnations of ${agent} lived: ${JSON.stringify(pids)}`);
    const names = seen.incarnations.map(({ agent, generation }) => `${agent}/${generation}`);
    const twice = names.filter((name, n) => names.indexOf(name) !== n);
    c.check(twice.length === 0, `${when}: more than one process was started as ${twice.join(', ')}`);
    for (const { agent, generation, times, ranMs } of exitsIn(this.daemon.stateDir)) {
      this.#note(agent, generation);
      c.check(times === 1, `${when}: the exit of ${agent}/${generation} was recorded ${times} times`);
      const isToBeSeen = ranMs >= SEEN_AFTER_MS && agent.startsWith(this.prefix) && !this.#hidden.has(agent);
      c.check(
        !isToBeSeen || names.includes(`${agent}/${generation}`),
        `${when}: the exit of ${agent}/${generation} is recorded, which nobody has seen`,
      );
    }
    for (const { agent, generation, lives } of seen.incarnations)
      c.check(lives || this.#hasExit(agent, generation), `${when}: no exit of ${agent}/${generation} kept`);
    for (const bystander of this.#bystanders) {
      const harm = bystander.harm();
      if (harm !== undefined) c.check(false, `${when}: ${harm}`);
    }
    this.#checkDatabases(when);
  }

  #checkDatabases(when: string): void {
    const { stateDir } = this.daemon;
    const files = readdirSync(stateDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.db'));
    this.c.check(files.includes('roster.db'), `${when}: no roster is among the databases: ${files.join(', ')}`);
    for (const file of files) {
      const db = new Database(path.join(stateDir, file), { readonly: true });
      try {
        const verdict = (db.prepare('PRAGMA integrity_check').raw().get() as unknown[])[0];
        this.c.check(verdict === 'ok', `${when}: ${file}: ${String(verdict)}`);
      } finally {
        db.close();
      }
    }
  }

  /** Ends the daemon in order and looks whether anything is left. `held`: who is to be gone, if it cannot be asked now. */
  async finish(held?: Awaited<ReturnType<TestDaemon['custody']>>): Promise<void> {
    const { daemon, observer, c } = this;
    const custody = held ?? (await daemon.custody());
    const code = await daemon.signal('SIGTERM');
    c.check(code === 0, `an ordered stop ended with ${code}: ${daemon.output.slice(-300)}`);
    const pids = [custody.pid, ...custody.entries.flatMap(({ live }) => (live ? [live.pid] : []))];
    await until(() => !pids.some(isAlive), { what: 'the end of custodian, Temporal and agents' }).catch(
      (error: unknown) =>
        c.check(false, `${String(error)}: ${pids.filter(isAlive).join(', ')} of ${pids.join(', ')} live`),
    );
    const seen = await observer.report();
    const left = seen.incarnations.filter(({ lives }) => lives);
    c.check(
      left.length === 0,
      `left after the end: ${left.map(({ agent, pids }) => `${agent} ${pids.join()}`).join()}`,
    );
    this.#judge('after the end', seen);
  }

  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.daemon.end();
    const { samples, longest_gap_ms: gapMs, incarnations } = await this.observer.report();
    this.c.watched(samples, gapMs);
    // What a broken daemon left behind must not outlive the test.
    for (const { pids } of incarnations) for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await this.observer.end();
    for (const bystander of this.#bystanders) await bystander.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #note(agent: string, generation: number): void {
    this.#recorded.set(agent, (this.#recorded.get(agent) ?? new Set()).add(generation));
  }

  #hasExit(agent: string, generation: number): boolean {
    return this.#recorded.get(agent)?.has(generation) ?? false;
  }
}

interface ToldExit {
  agent: string;
  generation: number;
  /** How long it had run, as far as the custodian knows. */
  ranMs: number;
  times: number;
}

/** Custody keeps the last exit of each agent; the custodian's log has told all of them. */
function exitsIn(stateDir: string): ToldExit[] {
  const told = new Map<string, ToldExit>();
  for (const line of readFileSync(path.join(stateDir, 'custodian.log'), 'utf8').split('\n')) {
    if (!line.includes('"An agent ended"')) continue;
    const { agent, generation, ran_ms: ranMs } = JSON.parse(line) as Omit<ToldExit, 'ranMs'> & { ran_ms: number };
    const times = told.get(`${agent}/${generation}`)?.times ?? 0;
    told.set(`${agent}/${generation}`, { agent, generation, ranMs, times: times + 1 });
  }
  return [...told.values()];
}

export const sleeper = (n: number): string[] =>
  n % 2 === 0 ? ['sleep', SLEEP] : ['sh', '-c', `sleep ${SLEEP} & wait`];

/** Milliseconds that something took. */
export async function timed(what: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await what();
  return performance.now() - before;
}
