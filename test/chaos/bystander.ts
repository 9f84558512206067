import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { stateOf, isAlive } from '../support/process.ts';
import { until } from '../support/wait.ts';

/** Writes down every signal that reaches it, and lives on. Its arguments are free, so it can look like anything. */
const PROGRAM = `
for name in HUP INT QUIT USR1 USR2 TERM CONT; do trap "echo $name >> '$OWN_LOG'" $name; done
echo ready >> "$OWN_LOG"
while :; do sleep 3600 & wait $!; kill $! 2> /dev/null; done
`;

/** A process that is none of the daemon's business, however much it looks like an agent. */
export class Bystander {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.pid = child.pid!;
  }

  static async start(env: Record<string, string> = {}, args: string[] = []): Promise<Bystander> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'openstarry-bystander-'));
    const log = path.join(folder, 'signals');
    writeFileSync(log, '');
    const child = spawn('sh', ['-c', PROGRAM, ...args], {
      env: { PATH: process.env['PATH'] ?? '', OWN_LOG: log, ...env },
      stdio: 'ignore',
      detached: true,
    });
    const bystander = new Bystander(child, folder);
    await until(() => bystander.heard().length > 0, { what: 'a bystander' });
    return bystander;
  }

  /** `ready`, and the signals that came. */
  heard(): string[] {
    return readFileSync(path.join(this.#folder, 'signals'), 'utf8').split('\n').filter(Boolean);
  }

  /** What has been done to it that should not have been; undefined if nothing. */
  harm(): string | undefined {
    if (!isAlive(this.pid)) return `the bystander ${this.pid} was killed`;
    // A process cannot write down that it was stopped.
    if (stateOf(this.pid) === 'T') return `the bystander ${this.pid} got STOP`;
    const signals = this.heard().slice(1);
    return signals.length === 0 ? undefined : `the bystander ${this.pid} got ${signals.join(', ')}`;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      process.kill(-this.pid, 'SIGKILL'); // with its sleep
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
