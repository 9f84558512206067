import type { DeathCause } from '../domain/messages/dead-letters.ts';
import type { Json, Message, OutgoingMessage } from '../domain/messages/message.ts';
import type { Place } from '../domain/messages/queue-name.ts';
import type { QueueSettings } from '../domain/messages/queue-settings.ts';

/**
 * Queues and topics. Names of queues are those of `domain/messages/queue-name.ts`.
 *
 * **Durability.** A call that has resolved is on the disk of its store, as `durability` says: nothing of it is lost by
 * kill -9 and, where `survivesPowerLoss`, by power loss.
 *
 * **Delivery.** At least once: a message stays until it is acknowledged under its latest lease, or becomes a dead letter.
 * One that is handed out again keeps its id.
 *
 * **Order.** By effective priority (`domain/messages/queue-order.ts`); messages of one sender and priority in the order of
 * their sending. Sending never goes back in time, even if the clock does. What is handed out again comes back to its place.
 *
 * **Time.** Leases, delays and times to live are looked after by the bus itself: it needs no call to act on one. They count
 * from the clock as it is. What is handed out does not expire before its lease ends: until then it may be acknowledged.
 *
 * **Deaths.** A dead letter, the notice to its sender and the event on `DEAD_LETTER_TOPIC` come about together or not at
 * all. A notice that finds the sender's mailbox full is left out. Of one queue at most `maxMessages` dead letters are kept.
 *
 * **Errors.** A call that the store could not serve is refused with BUS_UNAVAILABLE, as is every call after `close`.
 */
export interface MessageBus {
  readonly durability: { survivesPowerLoss: boolean; /** A sentence. */ says: string };

  /**
   * Sends all of them or none.
   * @throws CodedError QUEUE_FULL with details `{ queue, limit, of: 'queue' | 'sender', from? }`, STORAGE_FULL
   */
  send(messages: readonly OutgoingMessage[]): Promise<Sent[]>;

  /**
   * Hands out what is due, best first, each under a lease of its own; none if there is nothing (it does not wait: `watch`
   * tells when to ask again). Of several queues, the order is that of one queue with all their messages.
   */
  receive(request: ReceiveRequest): Promise<Delivery[]>;
  /**
   * What a receive of this name has handed out to this consumer from these queues, and is still held under that lease: best
   * first, as it stands now. Nothing is changed by asking. So a receive whose answer was lost can be repeated, as in Amazon
   * SQS by its `ReceiveRequestAttemptId`
   * (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
   */
  handedOut(request: HandedOutRequest): Promise<Delivery[]>;

  /** It is dealt with, and goes. @throws CodedError LEASE_STALE, MESSAGE_NOT_FOUND */
  ack(lease: LeaseRef): Promise<void>;
  /**
   * It was not dealt with: it waits for its next attempt as long as the queue's `retry` says, or `delayMs`; after the last
   * one, with `dead`, or when its time to live is over, it becomes a dead letter. @throws CodedError LEASE_STALE, MESSAGE_NOT_FOUND
   */
  nack(lease: LeaseRef, options?: NackOptions): Promise<NackResult>;
  /** The lease holds `leaseMs` from now. @throws CodedError LEASE_STALE, MESSAGE_NOT_FOUND */
  extend(lease: LeaseRef, leaseMs: number): Promise<{ leaseUntilMs: number }>;
  /**
   * All that this consumer holds is due again at once (or dead, after its last attempt): its process is gone.
   * @returns how many
   */
  release(consumer: string): Promise<number>;

  /** Of each consumer that holds something: how many messages. */
  inFlight(consumers: readonly string[]): Promise<Record<string, number>>;
  /**
   * Settings of a queue that differ from the defaults given at the opening, instead of those configured before; they count
   * at once, and are kept.
   */
  configure(queue: string, settings: Partial<QueueSettings>): Promise<void>;
  /** Undefined if nothing was ever sent to it and it was never configured. */
  queue(queue: string): Promise<QueueStats | undefined>;
  /** All queues that hold something or were configured, by name. */
  queues(): Promise<QueueStats[]>;
  /** Without taking anything: by id, oldest first, those above `after`. */
  browse(request: BrowseRequest): Promise<StoredMessage[]>;
  /**
   * Dead letters of a queue go back into it under their ids, as if sent now: attempt 0, a new time to live.
   * @returns how many @throws CodedError QUEUE_FULL if `maxMessages` leaves no room for all of them; then none has moved
   */
  requeue(queue: string, ids?: readonly string[]): Promise<number>;
  /** Dead letters of a queue are deleted. @returns how many */
  discard(queue: string, ids?: readonly string[]): Promise<number>;
  /** The queue goes: what it held becomes dead letters (`deleted`), with notices; then its settings and idempotency keys go. */
  deleteQueue(queue: string): Promise<void>;

  /**
   * Durable when resolved. With a `key`, the same (topic, key) while the first is kept is the same event.
   * @throws CodedError STORAGE_FULL
   */
  publish(event: OutgoingEvent): Promise<PublishedEvent>;
  /** Events that match one of the patterns, oldest first, with a cursor above `after`. */
  events(request: EventsRequest): Promise<EventsPage>;
  /** The cursor of the newest event; 0 if there is none. */
  latestEvent(): Promise<number>;
  topics(): Promise<TopicStats[]>;

  /** Told when something may have become due in a queue, and when an event was published. @returns what ends it */
  watch(listener: (change: BusChange) => void): () => void;
  /** What is under way is finished within the deadline. @returns how many calls were not */
  close(deadlineMs?: number): Promise<{ unsent: number }>;
}

export interface Sent {
  id: string;
  /** True if the message had been sent before, under the same key. */
  duplicate: boolean;
}

export interface ReceiveRequest {
  queues: readonly string[];
  /** Who takes them: an incarnation such as `worker/3`, or another name. */
  consumer: string;
  max: number;
  /** Ends before the one whose payload, as JSON, would make them more together; the first comes whatever its size. @default no limit */
  maxBytes?: number;
  /** @default the queue's */
  leaseMs?: number;
  /** Only messages with this one. */
  correlationId?: string;
  /** A name for this receive, for `handedOut`: 1 to 64 of `[A-Za-z0-9_-]`. */
  receiveId?: string;
}

export interface HandedOutRequest {
  queues: readonly string[];
  consumer: string;
  receiveId: string;
}

export interface Delivery extends Message {
  /** Proves that it was handed out to whoever shows it; each hand-out has another. */
  lease: string;
  leaseUntilMs: number;
}

export interface LeaseRef {
  id: string;
  lease: string;
  /** A message that is elsewhere is MESSAGE_NOT_FOUND. @default wherever it is */
  place?: Place;
}

export interface NackOptions {
  delayMs?: number;
  /** No further attempt. */
  dead?: boolean;
  /** Why, for whoever reads the dead letter. */
  reason?: string;
}

export type NackResult = { dead: true } | { dead: false; dueAtMs: number };

export interface QueueStats {
  name: string;
  /** Due now. */
  ready: number;
  /** Handed out. */
  leased: number;
  /** Waiting for their next attempt. */
  delayed: number;
  dead: number;
  /** When the oldest of the ready ones was sent; null if there is none. */
  oldestReadyAtMs: number | null;
  /** When the newest of the ready ones was sent. */
  newestReadyAtMs: number | null;
  settings: QueueSettings;
}

export type MessageState = 'ready' | 'leased' | 'delayed' | 'dead';

export interface BrowseRequest {
  queue?: string;
  state?: MessageState;
  from?: string;
  correlationId?: string;
  after?: string;
  limit: number;
}

export interface StoredMessage extends Message {
  state: MessageState;
  /** Who holds it, while leased. */
  consumer: string | null;
  /** Of a dead one. */
  death: { cause: DeathCause; reason: string; atMs: number } | null;
}

export interface OutgoingEvent {
  topic: string;
  from: string;
  payload: Json;
  key?: string;
}

export interface PublishedEvent {
  cursor: number;
  duplicate: boolean;
}

export interface EventsRequest {
  patterns: readonly string[];
  after: number;
  limit: number;
}

export interface BusEvent {
  /** Grows by one with each event of whichever topic. */
  cursor: number;
  topic: string;
  from: string;
  payload: Json;
  key: string | null;
  atMs: number;
}

export interface EventsPage {
  events: BusEvent[];
  /**
   * Where to go on: the cursor of the last one looked at, matching or not. Less than `after` if that is beyond the end: it
   * came from a store that is no more.
   */
  next: number;
  /** True if events of matching topics after `after` are no longer kept. */
  missed: boolean;
}

export interface TopicStats {
  topic: string;
  events: number;
  firstCursor: number;
  lastCursor: number;
  lastAtMs: number;
}

export type BusChange = { kind: 'queue'; queue: string } | { kind: 'event'; topic: string };

/** What a bus is opened with, whichever it is. */
export interface BusOptions {
  /** For queues that were not configured. */
  defaults: QueueSettings;
  /** See `domain/messages/queue-order.ts`. */
  ageingMs: number;
  /** How long dead letters are kept. */
  deadLettersKeptMs: number;
  /** Of each topic, events beyond either are dropped. */
  topics: { keepCount: number; keepMs: number };
  /**
   * Holding about so much, it takes no new message or event with STORAGE_FULL, but those of the daemon itself; everything else
   * goes on, so that it can be worked off. A store whose server has a limit of its own may leave it to that. @default none
   */
  limitBytes?: number;
  /** Wall clock, epoch milliseconds. @default Date.now */
  now?: () => number;
  /** For what people should know. */
  warn: (message: string) => void;
}
