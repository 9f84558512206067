import { backoffDelayMs, type Backoff } from '../domain/backoff.ts';
import type { ExitRecord } from '../domain/custody.ts';
import { DAEMON_ID } from '../domain/ids.ts';
import type { Logger } from './logger.ts';
import { messageOf } from './logger.ts';
import type { KeptSpawn, SpawnParams } from './protocol.ts';

const BACKOFF: Backoff = { initialMs: 200, factor: 2, maxMs: 30_000, jitter: 0.1 };
/** A run of this length ends a series of failures. */
const STABLE_MS = 60_000;
/** Exit codes of a daemon that ended as it was meant to, or that only a person can help: after a fail-stop. */
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
    if (agent !== DAEMON_ID || this.#rule === undefined) return;
    if (exit.cause !== 'self' || (exit.code !== null && LEFT_ALONE.has(exit.code))) return this.keep(undefined);
    this.#failures = exit.ran_ms >= STABLE_MS ? 1 : this.#failures + 1;
    this.#again(`it ended with ${exit.signal ?? exit.code ?? 'an unknown exit code'}`);
  }

  close(): void {
    this.keep(undefined);
  }

  #again(why: string): void {
    const { log, random = Math.random } = this.#options;
    const delayMs = backoffDelayMs(BACKOFF, this.#failures, random());
    log.warn('The daemon is started again', { why, failures: this.#failures, delay_ms: delayMs });
    this.#cancel();
    this.#timer = setTimeout(() => void this.#start(), delayMs);
  }

  async #start(): Promise<void> {
    this.#timer = undefined;
    const rule = this.#rule;
    if (rule === undefined) return;
    try {
      await this.#options.spawn({ ...rule, agent: DAEMON_ID, generation: this.#options.fence() + 1 });
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
