import { setTimeout as pause } from 'node:timers/promises';
import { pauseOf, type Daemon } from './daemon.ts';
import type { Json } from './message.ts';
import type { StateScope } from './state.ts';

const POLL = '20s';
const POLL_TIMEOUT_MS = 30_000;
const PAGE = 100;
const OPEN_FOR_MS = 120_000;

export interface TopicEvent<Payload = Json> {
  /** Grows by one with each event of whichever topic. */
  cursor: number;
  topic: string;
  payload: Payload;
  from: string;
  key: string | null;
  at: string;
}

export interface SubscribeOptions {
  /** Where to begin: a cursor, or `latest`. @default 'latest' */
  after?: number | 'latest';
  /** With a name the cursor is kept in the agent's state (`subscription/<name>`): its next process goes on where this one ended. */
  name?: string;
  /** Told if events were dropped before they were read. @default it is logged */
  onMissed?: () => void;
}

export type EventHandler = (event: TopicEvent) => unknown;

interface Page {
  events: TopicEvent[];
  next: number;
  missed: boolean;
}

/** Reads the events of a pattern one after the other, over restarts of the daemon, until it is closed. */
export class Subscription {
  /** Of the last event that was looked at. */
  cursor = 0;
  private readonly closing = new AbortController();
  private reading: Promise<void> = Promise.resolve();
  private readonly daemon: Daemon;
  private readonly path: string;
  private readonly pattern: string;
  private readonly options: SubscribeOptions;
  private readonly state: StateScope;
  private readonly log: (line: string) => void;

  constructor(
    { daemon, state, log }: { daemon: Daemon; state: StateScope; log: (line: string) => void },
    pattern: string,
    options: SubscribeOptions,
  ) {
    this.daemon = daemon;
    this.state = state;
    this.log = log;
    this.pattern = pattern;
    this.path = `/topics/${encodeURIComponent(pattern)}/events`;
    this.options = options;
  }

  /** Resolves once its place is known: what is published from then on is read. */
  async open(handler: EventHandler): Promise<void> {
    const { after = 'latest', name } = this.options;
    const kept = name === undefined ? undefined : await this.state.get<number>(keyOf(name));
    const first = kept?.value ?? after;
    this.cursor = first === 'latest' ? (await this.page('latest', '0s', OPEN_FOR_MS)).next : first;
    this.reading = this.read(handler);
  }

  /** Resolves when the handler has ended; the cursor is kept. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.reading;
  }

  private async read(handler: EventHandler): Promise<void> {
    for (let failures = 0; !this.closing.signal.aborted;) {
      try {
        const page = await this.page(this.cursor, POLL, 0);
        failures = 0;
        if (page.missed) this.missed();
        const before = this.cursor;
        await this.tell(page, handler);
        if (this.options.name !== undefined && this.cursor !== before)
          await this.state.put(keyOf(this.options.name), this.cursor);
      } catch (error) {
        if (this.closing.signal.aborted) return;
        if (failures === 0) this.log(`the subscription to ${this.pattern} tries again: ${(error as Error).message}`);
        await pause(pauseOf(failures), undefined, { signal: this.closing.signal }).catch(() => undefined);
        failures += 1;
      }
    }
  }

  private async tell({ events, next }: Page, handler: EventHandler): Promise<void> {
    for (const event of events) {
      if (this.closing.signal.aborted) return;
      try {
        await handler(event);
      } catch (error) {
        this.log(`the handler of ${event.topic} failed for event ${event.cursor}: ${String(error)}`);
      }
      this.cursor = event.cursor;
    }
    this.cursor = next;
  }

  private page(after: number | 'latest', wait: string, retryForMs: number): Promise<Page> {
    return this.daemon.json<Page>('GET', this.path, {
      query: { after, max: PAGE, wait },
      timeoutMs: POLL_TIMEOUT_MS,
      retryForMs,
      signal: this.closing.signal,
    });
  }

  private missed(): void {
    if (this.options.onMissed) this.options.onMissed();
    else this.log(`events of ${this.pattern} after ${this.cursor} were dropped before they were read`);
  }
}

const keyOf = (name: string): string => `subscription/${name}`;
