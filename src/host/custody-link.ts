import { setTimeout as delay } from 'node:timers/promises';
import type { Events, Methods } from '../custodian/protocol.ts';
import { codeOf, CodedError } from '../contract/errors.ts';

/** One connection to a custodian, as `custodian-client.ts` makes it. */
export interface CustodianConnection {
  request<M extends keyof Methods>(method: M, params: Methods[M][0]): Promise<Methods[M][1]>;
  on<E extends keyof Events>(event: E, listener: (data: Events[E]) => void): () => void;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  close(): void;
}

export interface CustodyLinkOptions {
  /** Connects to the custodian, starting one where there is none. */
  connect: () => Promise<CustodianConnection>;
  onExit: (data: Events['exit']) => void;
  onStuck: (data: Events['stuck']) => void;
  /** After each connection but the first: what happened in between has to be read from the custodian's list. */
  onReconnected: () => Promise<void>;
  onTrouble: (message: string, error: unknown) => void;
}

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5_000;
/** Within it a custodian is started again, or something is wrong that waiting does not cure. */
const ANSWERED_WITHIN_MS = 30_000;

/**
 * The daemon's hold on the custodian. When the custodian dies another is started; the agents do not notice.
 * Calls made while there is none fail with CUSTODIAN_UNAVAILABLE, which Temporal retries.
 */
export class CustodyLink {
  private readonly options: CustodyLinkOptions;
  private connection: CustodianConnection | undefined;
  private ending = false;
  private isReconnecting = false;

  constructor(options: CustodyLinkOptions) {
    this.options = options;
  }

  async open(): Promise<void> {
    await this.hold(await this.options.connect());
  }

  async call<M extends keyof Methods>(method: M, params: Methods[M][0]): Promise<Methods[M][1]> {
    if (!this.connection) throw new CodedError('CUSTODIAN_UNAVAILABLE', 'The custodian is being started again');
    return this.connection.request(method, params);
  }

  /**
   * As `call`, for what may be asked twice and must come about: waits for a custodian that is being started again, and
   * asks the next one if this one dies over it.
   */
  async callUntilAnswered<M extends keyof Methods>(method: M, params: Methods[M][0]): Promise<Methods[M][1]> {
    // From the first failure on: what it is asked for, such as the end of all agents, may take longer by itself.
    for (let end: number | undefined; ; await delay(RETRY_FIRST_MS)) {
      try {
        return await this.call(method, params);
      } catch (error) {
        end ??= performance.now() + ANSWERED_WITHIN_MS;
        if (codeOf(error) !== 'CUSTODIAN_UNAVAILABLE' || this.ending || performance.now() > end) throw error;
      }
    }
  }

  /** Lets go without ending the custodian. */
  close(): void {
    this.ending = true;
    this.connection?.close();
  }

  /** From here on the custodian's end is expected: it is not started again. */
  expectEnd(): void {
    this.ending = true;
  }

  private async hold(connection: CustodianConnection): Promise<void> {
    connection.on('exit', this.options.onExit);
    connection.on('stuck', this.options.onStuck);
    this.connection = connection;
    void connection.closed.then(() => {
      this.connection = undefined;
      if (!this.ending) void this.reconnect();
    });
  }

  /** One at a time. A connection that is held is kept, whatever fails after it: the custodian knows one daemon only. */
  private async reconnect(): Promise<void> {
    if (this.isReconnecting) return;
    this.isReconnecting = true;
    this.options.onTrouble('The custodian is gone; starting another', undefined);
    for (let waitMs = RETRY_FIRST_MS; !this.ending; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        if (!this.connection) await this.hold(await this.options.connect());
        const held = this.connection;
        await this.options.onReconnected();
        if (this.connection === held) break;
      } catch (error) {
        this.options.onTrouble('Cannot reach or start a custodian; trying again', error);
      }
      await delay(waitMs);
    }
    this.isReconnecting = false;
  }
}
