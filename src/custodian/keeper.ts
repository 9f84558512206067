import type { ExitRecord } from '../domain/custody.ts';
import type { Logger } from './logger.ts';
import { messageOf } from './logger.ts';
import type { KeptSpawn, SpawnParams } from './protocol.ts';

export const DAEMON = '_daemon';

const FIRST_MS = 200;
const MAX_MS = 30_000;
/** A run of this length ends a series of failures. */
const STABLE_MS = 60_000;
/** It has ended as it was meant to, or says that only a person can help: after a fail-stop. */
const LEFT_ALONE: ReadonlySet<number> = new Set([0, 78]);

export interface KeeperOptions {
  spawn: (params: SpawnParams) => unknown;
  fence: () => number;
  log: Logger;
  /** Stretches the waiting between attempts. @default Math.random */
  random?: () => number;
}

/**
 * Starts a daemon again that crashes, where nobody else does. The rule is held in memory only, since it has an
 * environment in it: a custodian that was started again gets it from the daemon once more.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  #rule: KeptSpawn | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Replaces the rule; without one, what ends stays ended. */
  keep(rule: KeptSpawn | undefined): void {
    this.#rule = rule;
    if (rule !== undefined) this.#options.log.info('The daemon is started again should it crash');
    this.#cancel();
  }

  /** True while it waits before it starts the daemon again. */
  get isWaiting(): boolean {
    return this.#timer !== undefined;
  }

  /** To be called with every exit. */
  exited(agent: string, exit: ExitRecord): void {
    if (agent !== DAEMON || this.#rule === undefined) return;
    if (exit.cause !== 'self' || (exit.code !== null && LEFT_ALONE.has(exit.code))) return this.keep(undefined);
    this.#failures = exit.ran_ms >= STABLE_MS ? 1 : this.#failures + 1;
    this.#again(`it ended with ${exit.signal ?? exit.code ?? 'an unknown exit code'}`);
  }

  close(): void {
    this.keep(undefined);
  }

  #again(why: string): void {
    const { log, random = Math.random } = this.#options;
    const delayMs = Math.round(Math.min(MAX_MS, FIRST_MS * 2 ** (this.#failures - 1)) * (1 + 0.1 * random()));
    log.warn('The daemon is started again', { why, failures: this.#failures, delay_ms: delayMs });
    this.#cancel();
    this.#timer = setTimeout(() => void this.#start(), delayMs);
  }

  async #start(): Promise<void> {
    this.#timer = undefined;
    const rule = this.#rule;
    if (rule === undefined) return;
    try {
      await this.#options.spawn({ ...rule, agent: DAEMON, generation: this.#options.fence() + 1 });
    } catch (error) {
      this.#failures += 1;
      this.#again(messageOf(error));
    }
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
