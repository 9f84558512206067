import { randomUUID } from 'node:crypto';
import { backoffDelayMs } from '../../domain/backoff.ts';
import { noticeOf } from '../../domain/messages/dead-letters.ts';
import { DEFAULT_PRIORITY, type OutgoingMessage } from '../../domain/messages/message.ts';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import { leasePrefixOf } from '../../domain/messages/receive-id.ts';
import type {
  BrowseRequest,
  BusChange,
  BusEvent,
  BusOptions,
  Delivery,
  EventsPage,
  EventsRequest,
  HandedOutRequest,
  LeaseRef,
  MessageBus,
  NackOptions,
  NackResult,
  OutgoingEvent,
  PublishedEvent,
  QueueStats,
  ReceiveRequest,
  Sent,
  StoredMessage,
  TopicStats,
} from '../../ports/message-bus.ts';
import { type Answer, RedisBusStore } from './bus-store.ts';
import { deliveryOf, eventOf, type Field, optional, storedMessageOf, written } from './rows.ts';
import type { RedisSettings } from './settings.ts';

const QUEUES_AT_ONCE = 100;
/** More in one script would hold up everybody else. Whether there is room is asked for all of them, each time. */
const DEAD_LETTERS_AT_ONCE = 1000;
/** Of a queue that was deleted while it has dead letters; as in prelude.lua. */
const GONE = '-';

/**
 * Queues and topics in Redis. Each call is one Lua script, which Redis runs as a whole; scripts first do what is due.
 * Several daemons may share a store: they wake each other, and their clocks should agree.
 *
 * A call whose connection was lost before its answer may have taken effect or not; idempotency keys make it safe to repeat.
 */
export class RedisBus implements MessageBus {
  private readonly defaults: QueueSettings;
  private readonly store: RedisBusStore;

  /** @throws Error that says why the Redis cannot be used */
  static async open(settings: RedisSettings, options: BusOptions): Promise<RedisBus> {
    const bus = new RedisBus(new RedisBusStore(settings, options), options.defaults);
    await bus.store.open();
    return bus;
  }

  private constructor(store: RedisBusStore, defaults: QueueSettings) {
    this.store = store;
    this.defaults = defaults;
  }

  get durability(): MessageBus['durability'] {
    return this.store.durability;
  }

  async send(messages: readonly OutgoingMessage[]): Promise<Sent[]> {
    if (messages.length === 0) return [];
    const [, sent] = await this.store.call('send', messages.flatMap(argumentsOf));
    this.store.tendBefore(...messages.map(({ ttlMs }) => ttlMs));
    const flat = sent as (string | number)[];
    return messages.map((_, n) => ({ id: String(flat[2 * n]), duplicate: flat[2 * n + 1] === 1 }));
  }

  async receive(request: ReceiveRequest): Promise<Delivery[]> {
    const { queues, consumer, max, maxBytes, leaseMs, correlationId, receiveId } = request;
    const correlation = correlationId === undefined ? '' : optional(written(correlationId));
    const leases = `${leasePrefixOf(receiveId)}${randomUUID()}/`;
    const limits = [String(max), leaseMs === undefined ? '' : String(leaseMs), correlation, leases];
    const args = [consumer, ...limits, maxBytes === undefined ? '' : String(maxBytes)];
    const [, rows] = await this.store.call('receive', [...args, ...queues]);
    const deliveries = (rows as Field[][]).map(deliveryOf);
    this.store.tendBefore(...deliveries.map(({ leaseUntilMs }) => leaseUntilMs - this.store.now()));
    return deliveries;
  }

  async handedOut({ queues, consumer, receiveId }: HandedOutRequest): Promise<Delivery[]> {
    const [, rows] = await this.store.call('handedOut', [consumer, leasePrefixOf(receiveId), ...queues]);
    return (rows as Field[][]).map(deliveryOf);
  }

  async ack(lease: LeaseRef): Promise<void> {
    await this.store.callHeld('ack', lease, []);
  }

  async nack(lease: LeaseRef, { delayMs, dead = false, reason }: NackOptions = {}): Promise<NackResult> {
    const rest = [dead ? '1' : '0', reason === undefined ? '' : optional(written(reason))];
    const first = await this.store.callHeld('nack', lease, [delayMs === undefined ? '' : String(delayMs), ...rest]);
    const answer =
      first[0] === 'retry' ? await this.store.callHeld('nack', lease, [this.delayOf(first), ...rest]) : first;
    if (answer[0] === 'dead') return { dead: true };
    const dueAtMs = Number(answer[1]);
    this.store.tendBefore(dueAtMs - this.store.now());
    return { dead: false, dueAtMs };
  }

  async extend(lease: LeaseRef, leaseMs: number): Promise<{ leaseUntilMs: number }> {
    const [, leaseUntil] = await this.store.callHeld('extend', lease, [String(leaseMs)]);
    this.store.tendBefore(leaseMs);
    return { leaseUntilMs: Number(leaseUntil) };
  }

  async release(consumer: string): Promise<number> {
    let released = 0;
    for (;;) {
      const [, count, left] = await this.store.call('release', [consumer]);
      released += count as number;
      if (left === 0 || count === 0) return released;
    }
  }

  async inFlight(consumers: readonly string[]): Promise<Record<string, number>> {
    const [, counts] = await this.store.call('inFlight', consumers);
    const pairs = consumers.map((consumer, n): [string, number] => [consumer, (counts as number[])[n] as number]);
    return Object.fromEntries(pairs.filter(([, count]) => count > 0));
  }

  async configure(queue: string, settings: Partial<QueueSettings>): Promise<void> {
    await this.store.call('configure', [queue, JSON.stringify(settings)]);
  }

  async queue(queue: string): Promise<QueueStats | undefined> {
    const [, rows] = await this.store.call('queues', [queue]);
    const [row] = rows as unknown[][];
    return row === undefined ? undefined : this.statsOf(row).stats;
  }

  async queues(): Promise<QueueStats[]> {
    const names = await this.store.queueNames();
    const found: QueueStats[] = [];
    for (let at = 0; at < names.length; at += QUEUES_AT_ONCE) {
      const [, rows] = await this.store.call('queues', names.slice(at, at + QUEUES_AT_ONCE));
      for (const row of rows as unknown[][]) {
        const { stats, isConfigured } = this.statsOf(row);
        if (isConfigured || stats.ready + stats.leased + stats.delayed + stats.dead > 0) found.push(stats);
      }
    }
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async browse({ queue = '', state, from = '', correlationId, after, limit }: BrowseRequest): Promise<StoredMessage[]> {
    const correlation = correlationId === undefined ? '' : optional(written(correlationId));
    const found: StoredMessage[] = [];
    let position = after ?? '';
    while (found.length < limit) {
      const wanted = [queue, position, String(limit - found.length), state ?? '', from, correlation];
      const [, rows, next] = await this.store.call('browse', wanted);
      found.push(...(rows as Field[][]).map(storedMessageOf));
      if (next === '') break;
      position = String(next);
    }
    return found;
  }

  requeue(queue: string, ids?: readonly string[]): Promise<number> {
    return this.deadLetters(queue, 'requeue', ids);
  }

  discard(queue: string, ids?: readonly string[]): Promise<number> {
    return this.deadLetters(queue, 'discard', ids);
  }

  async deleteQueue(queue: string): Promise<void> {
    let position = ['', ''];
    do {
      const [, upTo, after] = await this.store.call('deleteQueue', [queue, ...position]);
      position = [upTo as string, after as string];
    } while (position[1] !== '');
  }

  async publish({ topic, from, payload, key }: OutgoingEvent): Promise<PublishedEvent> {
    const text = JSON.stringify(payload);
    const args = [topic, from, text, key === undefined ? '' : optional(written(key))];
    const [, cursor, isKnown] = await this.store.call('publish', args);
    return { cursor: cursor as number, duplicate: isKnown === 1 };
  }

  async events({ patterns, after, limit }: EventsRequest): Promise<EventsPage> {
    const events: BusEvent[] = [];
    let position = after;
    let missed = false;
    for (;;) {
      const wanted = [String(position), String(limit - events.length), ...patterns];
      const [, rows, next, newest, isMissed] = await this.store.call('events', wanted);
      missed ||= isMissed === 1;
      events.push(...(rows as Field[][]).map(eventOf));
      position = next as number;
      if (events.length >= limit || position >= (newest as number)) return { events, next: position, missed };
    }
  }

  latestEvent(): Promise<number> {
    return this.store.latestCursor();
  }

  async topics(): Promise<TopicStats[]> {
    const [, rows] = await this.store.call('topics', []);
    const found = (rows as [string, number, string, string, string][]).map(([topic, events, first, last, at]) => {
      return { topic, events, firstCursor: Number(first), lastCursor: Number(last), lastAtMs: Number(at) };
    });
    return found.toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  watch(listener: (change: BusChange) => void): () => void {
    return this.store.watch(listener);
  }

  close(deadlineMs?: number): Promise<{ unsent: number }> {
    return this.store.close(deadlineMs);
  }

  /** All of them, or those with these ids. */
  private async deadLetters(queue: string, what: 'requeue' | 'discard', ids?: readonly string[]): Promise<number> {
    const which = ids === undefined ? ['1'] : ['0', ...ids];
    let done = 0;
    for (;;) {
      const [, count, left] = await this.store.call('deadLetters', [
        queue,
        what,
        String(DEAD_LETTERS_AT_ONCE),
        ...which,
      ]);
      done += count as number;
      if (left === 0) return done;
    }
  }

  private settingsOf(own: string | null): { settings: QueueSettings; isConfigured: boolean } {
    const isConfigured = own !== null && own !== '{}' && own !== GONE;
    const configured = isConfigured ? (JSON.parse(own) as Partial<QueueSettings>) : {};
    return { settings: { ...this.defaults, ...configured }, isConfigured };
  }

  /** Milliseconds until the next attempt, from what the script says of the message. */
  private delayOf([, own, attempt]: Answer): string {
    const { settings } = this.settingsOf(own as string | null);
    return String(backoffDelayMs(settings.retry, attempt as number, Math.random()));
  }

  private statsOf([name, own, size, leased, delayed, dead, oldest, newest]: readonly unknown[]): {
    stats: QueueStats;
    isConfigured: boolean;
  } {
    const { settings, isConfigured } = this.settingsOf(own as string);
    const stats: QueueStats = {
      name: name as string,
      ready: (size as number) - (leased as number) - (delayed as number),
      leased: leased as number,
      delayed: delayed as number,
      dead: dead as number,
      oldestReadyAtMs: oldest === null ? null : Number(oldest),
      newestReadyAtMs: newest === null ? null : Number(newest),
      settings,
    };
    return { stats, isConfigured };
  }
}

/** As send.lua reads them. */
function argumentsOf(message: OutgoingMessage): string[] {
  const { queue, from, type, payload, priority = DEFAULT_PRIORITY, ttlMs } = message;
  const { correlationId, replyTo, idempotencyKey } = message;
  const text = (value: string | undefined): string => (value === undefined ? '' : optional(written(value)));
  return [
    queue,
    from,
    written(type),
    JSON.stringify(payload),
    String(priority),
    optional(ttlMs),
    text(correlationId),
    text(replyTo),
    text(idempotencyKey),
    optional(senderToTell(message)),
  ];
}

/** The mailbox that hears of it if the message dies. */
function senderToTell(message: OutgoingMessage): string | undefined {
  const nothing = {
    id: '',
    priority: 0,
    correlationId: null,
    replyTo: null,
    sentAtMs: 0,
    expiresAtMs: null,
    attempt: 0,
  };
  return noticeOf({ ...message, ...nothing }, 'expired', null)?.queue;
}
