import { CodedError } from '../../contract/errors.ts';
import type { TopicEventView, TopicView } from '../../contract/messaging-views.ts';
import type { Json } from '../../domain/messages/message.ts';
import { isReservedTopic, topicMatches } from '../../domain/messages/topic.ts';
import type { BusEvent, EventsPage, MessageBus, PublishedEvent } from '../../ports/message-bus.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import type { BusChanges, IsNews } from './bus-changes.ts';
import { senderOf } from './known-agents.ts';
import { PAGE_BYTES, READ, sizeOf } from './page-size.ts';
import { eventView, topicView } from './views.ts';

export interface TopicsDeps {
  bus: MessageBus;
  changes: BusChanges;
  live: LiveGeneration;
}

export interface EventsOptions {
  /** A cursor, or `latest`: only what is published from now on. */
  after: number | 'latest';
  max: number;
  waitMs: number;
}

export interface EventsAnswer {
  events: TopicEventView[];
  /** The cursor to go on from. */
  next: number;
  /** True if events after the given cursor are no longer kept. */
  missed: boolean;
}

/** Of one read of a stream. */
const STREAMED = 100;
/** A stream waits this long for news before it looks again anyway. */
const LOOK_AGAIN_MS = 60_000;

/** What is published to all who listen. Everybody reads all topics; only the daemon publishes on its own. */
export class Topics {
  readonly #deps: TopicsDeps;

  constructor(deps: TopicsDeps) {
    this.#deps = deps;
  }

  /** Durable when resolved. @throws CodedError FORBIDDEN for an agent on a reserved topic, STORAGE_FULL */
  async publish(call: Call, topic: string, event: { payload: Json; key?: string }): Promise<PublishedEvent> {
    await this.#admit(call);
    const { caller } = call;
    if (caller.kind === 'agent' && isReservedTopic(topic)) {
      const message = `The agent ${caller.agent_id} may not publish on ${topic}: agent.*, cron.* and daemon.* are the daemon's own`;
      throw new CodedError('FORBIDDEN', message, { topic });
    }
    const { cursor, duplicate } = await this.#deps.bus.publish({ topic, from: senderOf(caller), ...event });
    return { cursor, duplicate };
  }

  async list(call: Call): Promise<TopicView[]> {
    await this.#admit(call);
    return (await this.#deps.bus.topics()).map(topicView);
  }

  /** Waits for the first one if there is none. */
  async events(call: Call, pattern: string, { after, max, waitMs }: EventsOptions): Promise<EventsAnswer> {
    await this.#admit(call);
    const { changes, bus } = this.#deps;
    const from = after === 'latest' ? await bus.latestEvent() : after;
    let last: EventsPage = { events: [], next: from, missed: false };
    const look = async (): Promise<EventsPage | undefined> => {
      last = await this.#read(pattern, last, max);
      return last.events.length > 0 ? last : undefined;
    };
    await changes.until(look, newsOf(pattern), waitMs, call.signal);
    return { events: last.events.map(eventView), next: last.next, missed: last.missed };
  }

  /** Until `call.signal` aborts. Read when the follower takes the next one: a slow one costs no memory. */
  async follow(call: Call, pattern: string, after: number | 'latest'): Promise<AsyncIterable<TopicEventView>> {
    await this.#admit(call);
    const from = after === 'latest' ? await this.#deps.bus.latestEvent() : after;
    return this.#stream(pattern, from, call.signal ?? new AbortController().signal);
  }

  async *#stream(pattern: string, after: number, signal: AbortSignal): AsyncGenerator<TopicEventView> {
    let last: EventsPage = { events: [], next: after, missed: false };
    const look = async (): Promise<EventsPage | undefined> => {
      last = await this.#read(pattern, { ...last, missed: false }, STREAMED);
      return last.events.length > 0 ? last : undefined;
    };
    while (!signal.aborted) {
      const page = await this.#deps.changes.until(look, newsOf(pattern), LOOK_AGAIN_MS, signal);
      for (const event of page?.events ?? []) yield eventView(event);
    }
  }

  /** The page that was read last may hold nothing that matches; then the search goes on behind it. */
  async #read(pattern: string, before: EventsPage, limit: number): Promise<EventsPage> {
    let { next, missed } = before;
    const events: BusEvent[] = [];
    for (let bytes = 0; ;) {
      const count = Math.min(READ, limit - events.length);
      const page = await this.#deps.bus.events({ patterns: [pattern], after: next, limit: count });
      missed ||= page.missed;
      events.push(...page.events);
      bytes += sizeOf(page.events.map(({ payload }) => payload));
      const isFull = events.length >= limit || bytes >= PAGE_BYTES;
      const isEnd = page.next === next || (events.length > 0 && page.events.length < count);
      next = page.next;
      if (isFull || isEnd) return { events, next, missed };
    }
  }

  async #admit(call: Call): Promise<void> {
    await admitCaller(call, this.#deps.live);
  }
}

const newsOf =
  (pattern: string): IsNews =>
  (change) =>
    change.kind === 'event' && topicMatches(pattern, change.topic);
