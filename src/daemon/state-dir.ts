import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { DaemonFile } from '../contract/daemon-view.ts';
import { CodedError } from '../contract/errors.ts';

/** Why the daemon stopped for good; it does not start again before somebody clears it. */
export interface FailStop {
  agent_id: string;
  reason: string;
  at: string;
  /** Which one it is, by its workflow. */
  decided_at_ms?: number;
  /** Of other agents, before everything was down. */
  also?: FailStop[];
}

/** The latest fail-stop that was cleared: its workflow may ask for it again, not knowing that it was carried out. */
const CLEARED = 'failstop-cleared.json';

/** Where it is, whether it is there or not. */
export function stateDirectoryOf(env: NodeJS.ProcessEnv): string {
  const home = env['OPENSTARRY_HOME'] || path.join(os.homedir(), '.openstarry');
  return path.join(path.resolve(home), 'orchestrator');
}

/** The directory in which a host keeps everything: `$OPENSTARRY_HOME` or `~/.openstarry`, subfolder `orchestrator`. */
export class StateDir {
  readonly path: string;

  /** @throws CodedError STATE_DIR_UNUSABLE */
  constructor(env: NodeJS.ProcessEnv) {
    this.path = stateDirectoryOf(env);
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      const { uid, mode } = statSync(this.path);
      if (uid !== process.getuid?.()) throw new Error(`it belongs to uid ${uid}`);
      if ((mode & 0o077) !== 0) throw new Error(`others may enter it (mode ${(mode & 0o777).toString(8)}, needs 700)`);
    } catch (error) {
      const message = `The state directory ${this.path} cannot be used: ${(error as Error).message}`;
      throw new CodedError('STATE_DIR_UNUSABLE', message, { path: this.path }, error);
    }
  }

  file(...names: string[]): string {
    return path.join(this.path, ...names);
  }

  /** The id of this machine: made once, never the host name. */
  hostId(): string {
    const known = this.read('host-id');
    if (known !== undefined) return known.trim();
    // Daemons that are started at the same time must agree, also with the one that will turn out to be the only one.
    const id = this.writeOnce('host-id', `${randomUUID()}\n`);
    return id.trim();
  }

  /** How the command line finds the daemon. */
  writeDaemonFile(daemon: DaemonFile): void {
    this.write('daemon.json', `${JSON.stringify(daemon, null, 2)}\n`);
  }

  removeDaemonFile(): void {
    rmSync(this.file('daemon.json'), { force: true });
  }

  failStop(file = 'failstop.json'): FailStop | undefined {
    const text = this.read(file);
    return text === undefined ? undefined : (JSON.parse(text) as FailStop);
  }

  addFailStop(failStop: FailStop): void {
    const first = this.failStop();
    const whole = first ? { ...first, also: [...(first.also ?? []), failStop] } : failStop;
    this.write('failstop.json', `${JSON.stringify(whole, null, 2)}\n`);
  }

  /** True if this very fail-stop has been carried out, whether it has been cleared since or not. */
  hasFailStopped({ agent_id, decided_at_ms }: Pick<FailStop, 'agent_id' | 'decided_at_ms'>): boolean {
    const known = [this.failStop(), this.failStop(CLEARED)].flatMap((one) => (one ? [one, ...(one.also ?? [])] : []));
    return known.some(
      (one) => one.agent_id === agent_id && one.decided_at_ms === decided_at_ms && decided_at_ms !== undefined,
    );
  }

  /** @returns what it was */
  clearFailStop(): FailStop | undefined {
    const failStop = this.failStop();
    if (failStop) renameSync(this.file('failstop.json'), this.file(CLEARED));
    return failStop;
  }

  private read(name: string): string | undefined {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Whole, and only by the first of many. @returns what stands there now */
  private writeOnce(name: string, text: string): string {
    const temporary = this.file(`${name}.${process.pid}.tmp`);
    writeFileSync(temporary, text, { mode: 0o600 });
    try {
      linkSync(temporary, this.file(name));
      return text;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return readFileSync(this.file(name), 'utf8');
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** Whole or not at all. */
  private write(name: string, text: string): void {
    const temporary = this.file(`${name}.${process.pid}.tmp`);
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, this.file(name));
  }
}
