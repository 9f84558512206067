import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError, type ErrorCode } from '../../contract/errors.ts';
import { answered, reasonOf, type RedisClient, RedisLink } from './link.ts';
import type { RedisScript } from './scripts.ts';
import { checkServer, type Durability, durabilityOf, evictionOf } from './server.ts';
import type { RedisSettings } from './settings.ts';

const FORMAT = '1';
/** How long a Redis that has just started may take to read what it has kept. */
const LOADING_LIMIT_MS = 8000;

export interface RedisStoreOptions {
  settings: RedisSettings;
  /** What is kept there, for people: `The message bus`. */
  what: string;
  /** What calls fail with while it is away. */
  code: ErrorCode;
  scripts: Record<string, RedisScript> & { open: RedisScript };
  /** Arguments of the script `open` before the id. It answers `ok, format, id, …`. */
  openArgs: () => string[];
  warn: (message: string) => void;
  /** It was away, and calls are served again. */
  onReturn?: () => void;
}

/** A store in Redis: one connection for its calls, checked and prepared each time that it is made. */
export class RedisStore {
  durability: Durability = { survivesPowerLoss: false, says: 'Redis, not open yet' };
  private readonly options: RedisStoreOptions;
  private readonly link: RedisLink;
  private readonly pending = new Set<Promise<unknown>>();
  private storeId: string | undefined;
  private closing: Promise<{ unsent: number }> | undefined;

  constructor(options: RedisStoreOptions) {
    this.options = options;
    const { settings, what, warn } = options;
    this.link = new RedisLink({
      url: settings.url,
      name: `openstarry-${what.split(' ').at(-1)}`,
      unavailable: (says, cause) => this.unavailable(says, cause),
      onUp: (client, isFirst) => this.prepare(client, isFirst),
      onReturn: () => {
        warn(`${what} has its Redis at ${settings.shownUrl} back`);
        options.onReturn?.();
      },
      onDown: (reason) =>
        warn(`${what} has lost its Redis at ${settings.shownUrl}: ${reason}. Calls are refused until it is back`),
    });
  }

  /** @throws Error that names the address and says why it is not to be used */
  async open(): Promise<void> {
    const endMs = performance.now() + LOADING_LIMIT_MS;
    for (;;) {
      try {
        return await this.link.open();
      } catch (error) {
        const isLoading = /\bLOADING\b/.test(reasonOf(error));
        if (!isLoading || performance.now() > endMs) throw this.unusable(error);
        await pause(100);
      }
    }
  }

  /** Runs a script, and counts it as under way. */
  run(script: RedisScript, args: readonly string[]): Promise<unknown> {
    return this.link.run(script, this.options.settings.base, args);
  }

  keyOf(name: string): string {
    return `${this.options.settings.base}${name}`;
  }

  command(args: readonly string[]): Promise<unknown> {
    return this.link.command(args);
  }

  /** What is wanted from outside: refused once it is closed, waited for by `close`. */
  call<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing !== undefined) return Promise.reject(this.unavailable('it is closed'));
    const done = work();
    this.pending.add(done);
    const forget = (): void => void this.pending.delete(done);
    done.then(forget, forget);
    return done;
  }

  close(deadlineMs = 5000): Promise<{ unsent: number }> {
    this.closing ??= this.letGo(deadlineMs);
    return this.closing;
  }

  private async letGo(deadlineMs: number): Promise<{ unsent: number }> {
    const late = new AbortController();
    const deadline = pause(deadlineMs, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.pending), deadline]);
    late.abort();
    const unsent = this.pending.size;
    this.link.close();
    return { unsent };
  }

  private async prepare(client: RedisClient, isFirst: boolean): Promise<void> {
    const { scripts, settings, openArgs, what, warn } = this.options;
    await checkServer(client);
    await Promise.all(Object.values(scripts).map(({ source }) => answered(client, ['SCRIPT', 'LOAD', source])));
    const args = [...openArgs(), randomUUID()];
    const reply = (await answered(client, ['EVALSHA', scripts.open.sha, '1', settings.base, ...args])) as unknown[];
    const answer = (Array.isArray(reply[1]) ? reply[1] : reply) as string[];
    const [, format, storeId] = answer;
    if (format !== FORMAT)
      throw new Error(
        `what it holds at ${settings.base} has format ${format}; this version knows ${FORMAT}. Give another prefix`,
      );
    if (this.storeId !== undefined && this.storeId !== storeId)
      warn(`${what}: the Redis at ${settings.shownUrl} has come back without what it had kept`);
    this.storeId = storeId;
    const before = this.durability.says;
    this.durability = await durabilityOf(client);
    if (!this.durability.survivesPowerLoss && this.durability.says !== before)
      warn(`${what} in ${this.durability.says}`);
    const eviction = isFirst ? await evictionOf(client) : undefined;
    if (eviction !== undefined) warn(`${what} in Redis: ${eviction}`);
  }

  private unusable(error: unknown): Error {
    const { settings } = this.options;
    const says = `Redis at ${settings.shownUrl} cannot be used: ${reasonOf(error)}; start it, or correct url under plugins`;
    return new Error(says, { cause: error });
  }

  private unavailable(says: string, cause?: unknown): CodedError {
    const { what, code, settings } = this.options;
    return new CodedError(code, `${what} in Redis at ${settings.shownUrl} is not available: ${says}`, {}, cause);
  }
}
