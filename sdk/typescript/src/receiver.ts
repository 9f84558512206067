import { setTimeout as pause } from 'node:timers/promises';
import { acknowledge, isLost } from './answers.ts';
import { isPassing, pauseOf, type Daemon } from './daemon.ts';
import { DaemonError } from './daemon-error.ts';
import { pathOf, Reject, Retry, type Message } from './message.ts';

const POLL = '20s';
const POLL_TIMEOUT_MS = 30_000;
const MIN_EXTEND_MS = 30;

export interface HandlerContext {
  /** Aborted when the message is not ours any more: the lease was lost, and somebody else may work on it. */
  signal: AbortSignal;
}

export interface ReceiverOptions {
  daemon: Daemon;
  agentId: string;
  /** A work queue that is open to all; undefined: the agent's own mailbox, and the queues that list it. */
  queue: string | undefined;
  /** Messages that are dealt with at the same time. */
  concurrency: number;
  /** Such as `"60s"`; undefined: the queue's. */
  lease: string | undefined;
  /** Deals with a message; it is acknowledged then, or refused if this throws. */
  handle: (message: Message, context: HandlerContext) => Promise<void>;
  log: (line: string) => void;
  /** The loop cannot go on. */
  fatal: (error: unknown) => void;
}

/** Takes messages, has them dealt with, keeps their leases meanwhile, acknowledges or refuses them. */
export class Receiver {
  private readonly options: ReceiverOptions;
  private readonly stopping = new AbortController();
  private readonly underWay = new Set<Promise<void>>();
  private loop: Promise<void> | undefined;
  /** The same one until its answer is here: a message in an answer that got lost comes at once, and not when its lease ends. */
  private receiveId = crypto.randomUUID();

  constructor(options: ReceiverOptions) {
    this.options = options;
  }

  start(): void {
    if (this.stopping.signal.aborted) return;
    this.loop ??= this.run().catch((error: unknown) => {
      if (!this.stopping.signal.aborted) this.options.fatal(error);
    });
  }

  /** Takes no more; resolves when everything taken has been dealt with. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
    await Promise.all(this.underWay);
  }

  private async run(): Promise<void> {
    const { concurrency } = this.options;
    for (let failures = 0; !this.stopping.signal.aborted;) {
      if (this.underWay.size >= concurrency) {
        await Promise.race(this.underWay);
        continue;
      }
      try {
        for (const message of await this.receive(concurrency - this.underWay.size)) this.take(message);
        if (failures > 0) this.options.log('receives again');
        failures = 0;
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        if (!isPassing(error) && !isOfTheDaemon(error)) throw error;
        if (failures === 0) this.options.log(`cannot receive, and tries again: ${(error as Error).message}`);
        await pause(pauseOf(failures), undefined, { signal: this.stopping.signal });
        failures += 1;
      }
    }
  }

  private async receive(max: number): Promise<Message[]> {
    const { daemon, agentId, queue, lease } = this.options;
    const path = pathOf(queue === undefined ? agentId : { queue });
    const { messages } = await daemon.json<{ messages: Message[] }>('GET', path, {
      query: { max, wait: POLL, lease, receive_id: this.receiveId },
      timeoutMs: POLL_TIMEOUT_MS,
      retryForMs: 0, // `run` goes on for ever, and says so
      signal: this.stopping.signal,
    });
    this.receiveId = crypto.randomUUID();
    return messages;
  }

  private take(message: Message): void {
    const work = (this.stopping.signal.aborted ? this.giveBack(message) : this.deal(message))
      .catch((error: unknown) => this.options.log(`${message.type} ${message.id}: ${(error as Error).message}`))
      .finally(() => this.underWay.delete(work));
    this.underWay.add(work);
  }

  /** Taken, but not begun. */
  private giveBack(message: Message): Promise<void> {
    return this.refuse(message, { delay: '0ms', reason: 'its receiver is being stopped' });
  }

  private async deal(message: Message): Promise<void> {
    const { daemon, agentId, handle, log } = this.options;
    const lost = new AbortController();
    const ended = new AbortController();
    void this.keep(message, lost, ended.signal);
    const failure = await handle(message, { signal: lost.signal }).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    ended.abort();
    if (failure !== undefined) {
      const { error } = failure;
      const reason = error instanceof Error ? error.message || error.name : String(error);
      if (!(error instanceof Reject || error instanceof Retry)) log(`${message.type} ${message.id} failed: ${reason}`);
      if (error instanceof Reject) return this.refuse(message, { dead: true, reason });
      const delay = error instanceof Retry ? error.delay : undefined;
      return this.refuse(message, { reason, ...(delay === undefined ? {} : { delay }) });
    }
    if (await acknowledge(daemon, agentId, message)) return;
    log(`${message.type} ${message.id} was dealt with, but its lease had run out: it may come again`);
  }

  private async refuse(message: Message, how: { delay?: string; dead?: boolean; reason: string }): Promise<void> {
    try {
      await this.say(message, 'nack', { ...how, reason: how.reason.slice(0, 1000) });
    } catch (error) {
      if (!isLost(error)) throw error;
    }
  }

  /** Extends the lease at a third of what is left of it, so that two calls may get lost, until the work ends. */
  private async keep(message: Message, lost: AbortController, ended: AbortSignal): Promise<void> {
    let until = message.lease_until;
    // How long its queue lets it hold only the daemon knows: of what was handed out before, a part has gone.
    const body = this.options.lease === undefined ? {} : { for: this.options.lease };
    try {
      for (;;) {
        const leftMs = Date.parse(until) - Date.now();
        await pause(Math.max(MIN_EXTEND_MS, leftMs / 3), undefined, { signal: ended, ref: false });
        ({ lease_until: until } = await this.say<{ lease_until: string }>(message, 'extend', body, ended));
      }
    } catch (error) {
      if (!ended.aborted) lost.abort(error);
    }
  }

  private say<T>(message: Message, verb: string, body: object, signal?: AbortSignal): Promise<T> {
    const { daemon } = this.options;
    const path = `${pathOf({ queue: message.queue })}/${encodeURIComponent(message.id)}/${verb}`;
    return daemon.json<T>('POST', path, { body: { lease: message.lease, ...body }, ...(signal ? { signal } : {}) });
  }
}

/** Trouble on the daemon's side: it may be better in a moment. */
function isOfTheDaemon(error: unknown): boolean {
  return error instanceof DaemonError && 'status' in error && Number(error.status) >= 500;
}
