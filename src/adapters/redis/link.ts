import { createClient, ErrorReply } from '@redis/client';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError } from '../../contract/errors.ts';
import type { RedisScript } from './scripts.ts';

/** A command that is not answered in this time fails, and the connection with it: others shall not wait as long. */
const ANSWER_LIMIT_MS = 1900;
const CONNECT_LIMIT_MS = 2000;
const RETRY_MS = { first: 50, max: 1000 };

export interface RedisLinkOptions {
  url: string;
  /** As `CLIENT LIST` of Redis shows it. */
  name: string;
  /** The error of calls while there is no connection. */
  unavailable: (says: string, cause?: unknown) => CodedError;
  /** Puts a new connection to work, the first and each later one; only then calls go through it. */
  onUp: (client: RedisClient, isFirst: boolean) => Promise<void>;
  /** It was lost, and calls go through again. */
  onReturn: () => void;
  onDown: (reason: string) => void;
}

export type RedisClient = ReturnType<typeof newClient>;
type Reply = string | number | null | readonly Reply[];

/** One connection to Redis, re-established whenever it is lost. Nothing waits for that: calls meanwhile fail at once. */
export class RedisLink {
  private readonly options: RedisLinkOptions;
  private client: RedisClient | undefined;
  private reason = 'it is not open yet';
  private isClosed = false;

  constructor(options: RedisLinkOptions) {
    this.options = options;
  }

  /** @throws Error that says why there is no connection */
  async open(): Promise<void> {
    this.client = await this.connect(true);
  }

  /** @throws CodedError: unavailable, STORAGE_FULL, INTERNAL */
  async command(args: readonly string[]): Promise<Reply> {
    const { client } = this;
    if (client === undefined) throw this.options.unavailable(this.reason);
    try {
      return (await answered(client, args)) as Reply;
    } catch (error) {
      if (!(error instanceof ErrorReply)) this.lose(client, reasonOf(error));
      throw this.coded(error);
    }
  }

  /** @throws CodedError as `command` */
  async run(script: RedisScript, base: string, args: readonly string[]): Promise<Reply> {
    try {
      return await this.command(['EVALSHA', script.sha, '1', base, ...args]);
    } catch (error) {
      if (!/\bNOSCRIPT\b/.test(reasonOf((error as Error).cause))) throw error;
      return this.command(['EVAL', script.source, '1', base, ...args]);
    }
  }

  close(): void {
    this.isClosed = true;
    this.reason = 'it is closed';
    const { client } = this;
    this.client = undefined;
    if (client !== undefined) destroy(client);
  }

  private async connect(isFirst: boolean): Promise<RedisClient> {
    const { url, name, onUp } = this.options;
    const client = newClient(url, name);
    // Without a listener an error of the connection would end the process.
    client.on('error', (error: unknown) => this.lose(client, reasonOf(error)));
    client.on('end', () => this.lose(client, 'the connection has ended'));
    try {
      await within(CONNECT_LIMIT_MS, client.connect(), 'it does not answer');
      await onUp(client, isFirst);
      if (this.isClosed) throw new Error('it is closed');
      return client;
    } catch (error) {
      destroy(client);
      throw error;
    }
  }

  private lose(client: RedisClient, reason: string): void {
    if (this.client !== client) return;
    this.client = undefined;
    this.reason = reason;
    destroy(client);
    this.options.onDown(reason);
    void this.reconnect();
  }

  private async reconnect(): Promise<void> {
    for (let waitMs = RETRY_MS.first; !this.isClosed; waitMs = Math.min(waitMs * 2, RETRY_MS.max)) {
      await pause(waitMs);
      try {
        if (this.isClosed) return;
        this.client = await this.connect(false);
        return this.options.onReturn();
      } catch (error) {
        this.reason = reasonOf(error);
      }
    }
  }

  private coded(error: unknown): CodedError {
    const says = reasonOf(error);
    if (!(error instanceof ErrorReply)) return this.options.unavailable(says, error);
    // Of a script that has failed it says so somewhere in the text.
    if (/\bOOM command not allowed|No space left on device/.test(says)) {
      return new CodedError('STORAGE_FULL', `Redis takes nothing more: ${says}`, {}, error);
    }
    return OUT_OF_ORDER.test(says)
      ? this.options.unavailable(says, error)
      : new CodedError('INTERNAL', `Redis refuses: ${says}`, {}, error);
  }
}

/** Answers of a Redis that cannot do what it usually does. */
const OUT_OF_ORDER =
  /\b(LOADING|BUSY|MASTERDOWN|READONLY|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MISCONF|NOAUTH|WRONGPASS|NOPERM|UNKILLABLE)\b/;

function newClient(url: string, name: string) {
  return createClient({
    url,
    name,
    RESP: 3,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: { connectTimeout: CONNECT_LIMIT_MS, reconnectStrategy: false, keepAlive: true },
  });
}

/** @throws Error also if no answer comes in time */
export function answered(client: RedisClient, args: readonly string[]): Promise<unknown> {
  return within(ANSWER_LIMIT_MS, client.sendCommand(args), 'it does not answer');
}

async function within<T>(limitMs: number, work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${otherwise} (${limitMs} ms)`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function destroy(client: RedisClient): void {
  try {
    client.destroy();
  } catch {
    // It was closed already.
  }
}

/** Of several attempts (localhost is two addresses) Node tells in an error without a message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
