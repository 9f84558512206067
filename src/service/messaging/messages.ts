import { CodedError } from '../../contract/errors.ts';
import type { DeliveryView, QueueSizeView, SentView, StoredMessageView } from '../../contract/messaging-views.ts';
import { mailboxOf, ownerOf, type Place } from '../../domain/messages/queue-name.ts';
import type { OutgoingMessage } from '../../domain/messages/message.ts';
import type { BrowseRequest, LeaseRef, MessageBus, NackOptions, StoredMessage } from '../../ports/message-bus.ts';
import { checkPayload, type DeclaredTypes } from '../../schema/message-payloads.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import type { BusChanges, IsNews } from './bus-changes.ts';
import type { MessageCounts } from './message-counts.ts';
import {
  checkExists,
  checkIsSelf,
  checkIsSelfOrExists,
  consumerOf,
  senderOf,
  type KnownAgents,
} from './known-agents.ts';
import { readPage } from './page-size.ts';
import type { QueueMembership } from './queue-membership.ts';
import type { Poll, Receivers } from './receivers.ts';
import { RepeatedReceives } from './repeated-receives.ts';
import { deliveryView, sizeView, storedView } from './views.ts';

export interface MessagesDeps {
  bus: MessageBus;
  agents: KnownAgents;
  membership: QueueMembership;
  receivers: Receivers;
  changes: BusChanges;
  live: LiveGeneration;
  counts: MessageCounts;
  /** Of queues that say nothing themselves. */
  leaseMs: number;
  /** Users' own, as they are declared at the moment. */
  types: () => DeclaredTypes;
  /** A message went to an agent that has been deleted meanwhile. */
  onStray: (agentId: string) => void;
}

export type Written = Omit<OutgoingMessage, 'queue' | 'from'>;

/** A message that somebody holds. */
export type Settled = Omit<LeaseRef, 'place'>;

export interface ReceiveOptions {
  max: number;
  waitMs: number;
  leaseMs?: number;
  correlationId?: string;
  /** Repeated with the same name, it gets first what it was handed out already, if that is still held. */
  receiveId?: string;
}

export interface BrowseOptions extends Omit<BrowseRequest, 'after'> {
  /** An id, or `latest`: only what is sent from now on. */
  after?: string;
  waitMs: number;
}

const EMPTY = { ready: 0, leased: 0, delayed: 0, dead: 0, oldestReadyAtMs: null, newestReadyAtMs: null };
/** Of one page on the way to the newest message. */
const SKIPPED = 100;

/**
 * Messages between agents. `from` is who calls; an agent sends to everybody, and receives from its own mailbox and from
 * the work queues that it is a member of.
 */
export class Messages {
  readonly #deps: MessagesDeps;
  readonly #repeated: RepeatedReceives;
  /** The newest message that was seen here. */
  #latest: string | undefined;

  constructor(deps: MessagesDeps) {
    this.#deps = deps;
    this.#repeated = new RepeatedReceives(deps.bus, deps.receivers);
  }

  /**
   * Sends all of them or none; durable when resolved.
   * @throws CodedError AGENT_NOT_FOUND, QUEUE_NOT_FOUND, INVALID_REQUEST, QUEUE_FULL, STORAGE_FULL
   */
  async send(call: Call, queue: string, written: readonly Written[], isBatch = false): Promise<SentView[]> {
    await this.#admit(call);
    const { bus, agents, types, counts, onStray } = this.#deps;
    await this.#checkReceiver(queue);
    const declared = types();
    const from = senderOf(call.caller);
    const messages = written.map((message, n): OutgoingMessage => {
      checkPayload(message.type, message.payload, declared, isBatch ? `messages.${n}.` : '');
      return { ...message, queue, from };
    });
    const sent = await bus.send(messages);
    counts.sent(queue, sent.filter(({ duplicate }) => !duplicate).length);
    const owner = ownerOf(queue);
    if (owner !== undefined && agents.get(owner) === undefined) onStray(owner);
    return sent.map(({ id, duplicate }) => ({ id, duplicate }));
  }

  /** From an agent's mailbox and the work queues that list it. */
  async receive(call: Call, agentId: string, options: ReceiveOptions): Promise<DeliveryView[]> {
    await this.#admit(call);
    checkIsSelfOrExists(this.#deps.agents, call, agentId, 'receive the messages of');
    return this.#receive(call, () => this.#deps.membership.queuesOf(agentId), options);
  }

  /** From one queue. @throws CodedError QUEUE_NOT_FOUND, AGENT_NOT_FOUND, FORBIDDEN */
  async receiveFrom(call: Call, queue: string, options: ReceiveOptions): Promise<DeliveryView[]> {
    await this.#admit(call);
    await this.#checkReceiver(queue);
    const { caller } = call;
    const { membership } = this.#deps;
    const mayReceive = (): boolean => caller.kind === 'admin' || membership.mayReceive(caller.agent_id, queue);
    if (!mayReceive()) {
      const who = caller.kind === 'agent' ? caller.agent_id : '';
      throw new CodedError('FORBIDDEN', `The agent ${who} may not receive from ${queue}: it is no member of it`, {
        queue,
      });
    }
    return this.#receive(call, () => (mayReceive() ? [queue] : []), options);
  }

  /**
   * It is dealt with.
   * @param place where it was received from: the queue, or an agent; elsewhere it is not found
   * @throws CodedError LEASE_STALE, MESSAGE_NOT_FOUND, FORBIDDEN
   */
  async ack(call: Call, place: Place, ref: Settled): Promise<{ id: string }> {
    await this.#admitHolder(call, place);
    await this.#deps.bus.ack({ ...ref, place });
    this.#deps.counts.acked();
    return { id: ref.id };
  }

  async nack(
    call: Call,
    place: Place,
    ref: Settled,
    options: NackOptions,
  ): Promise<{ id: string; dead: boolean; due_at: string | null }> {
    await this.#admitHolder(call, place);
    const result = await this.#deps.bus.nack({ ...ref, place }, options);
    const due_at = result.dead ? null : new Date(result.dueAtMs).toISOString();
    return { id: ref.id, dead: result.dead, due_at };
  }

  /** @param leaseMs By default what its queue says; under an agent, what all queues say that say nothing themselves. */
  async extend(
    call: Call,
    place: Place,
    ref: Settled,
    leaseMs: number | undefined,
  ): Promise<{ id: string; lease_until: string }> {
    await this.#admitHolder(call, place);
    const forMs = leaseMs ?? (await this.#leaseOf(place)) ?? this.#deps.leaseMs;
    const { leaseUntilMs } = await this.#deps.bus.extend({ ...ref, place }, forMs);
    return { id: ref.id, lease_until: new Date(leaseUntilMs).toISOString() };
  }

  /** How many messages a queue holds. Everybody may ask. */
  async size(call: Call, queue: string): Promise<QueueSizeView> {
    await this.#admit(call);
    await this.#checkReceiver(queue);
    return sizeView((await this.#deps.bus.queue(queue)) ?? EMPTY);
  }

  /**
   * Looks at messages without taking any: an agent at those in its own mailbox and those that it has sent. Waits for the
   * first one if there is none.
   * @returns with the id to go on from; undefined if none was ever seen
   */
  async browse(
    call: Call,
    { waitMs, after, ...request }: BrowseOptions,
  ): Promise<{ messages: StoredMessageView[]; next: string | null }> {
    await this.#admit(call);
    const requests = requestsFor(call, request);
    const from = after === 'latest' ? await this.#newest() : after;
    const isNews: IsNews = (change) =>
      change.kind === 'queue' && requests.some(({ queue }) => queue === undefined || queue === change.queue);
    const look = async (): Promise<StoredMessage[] | undefined> => {
      const page = await this.#browseAll(requests, from);
      return page.length > 0 ? page : undefined;
    };
    const found = (await this.#deps.changes.until(look, isNews, waitMs, call.signal)) ?? [];
    const next = found.at(-1)?.id ?? from ?? null;
    return { messages: found.map(storedView), next };
  }

  /** The oldest of what any of the requests gives, each once. */
  #browseAll(requests: Omit<BrowseRequest, 'after'>[], after: string | undefined): Promise<StoredMessage[]> {
    return readPage(requests[0]?.limit ?? 0, after, async (from) => {
      const pages = await Promise.all(requests.map((request) => this.#deps.bus.browse({ ...request, ...from })));
      if (pages.length === 1) return pages[0] as StoredMessage[];
      const byId = new Map(pages.flat().map((message) => [message.id, message]));
      return [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)).slice(0, from.limit);
    });
  }

  /** Read through once; from then on only what has come since. */
  async #newest(): Promise<string | undefined> {
    for (;;) {
      const after = this.#latest === undefined ? {} : { after: this.#latest };
      const page = await this.#deps.bus.browse({ limit: SKIPPED, ...after });
      this.#latest = page.at(-1)?.id ?? this.#latest;
      if (page.length < SKIPPED) return this.#latest;
    }
  }

  async #receive(call: Call, queues: () => string[], options: ReceiveOptions): Promise<DeliveryView[]> {
    const consumer = consumerOf(call.caller);
    const signal = call.signal === undefined ? {} : { signal: call.signal };
    const poll: Poll = { consumer, queues, ...options, ...signal };
    const { receiveId } = poll;
    const deliveries = await (receiveId === undefined
      ? this.#deps.receivers.receive(poll)
      : this.#repeated.receive({ ...poll, receiveId }));
    return deliveries.map(deliveryView);
  }

  /** @throws CodedError AGENT_NOT_FOUND, QUEUE_NOT_FOUND */
  async #checkReceiver(queue: string): Promise<void> {
    const owner = ownerOf(queue);
    if (owner !== undefined) return checkExists(this.#deps.agents, owner);
    if (!(await this.#deps.membership.has(queue))) throw queueNotFound(queue);
  }

  async #leaseOf(place: Place): Promise<number | undefined> {
    return place.kind === 'queue' ? (await this.#deps.bus.queue(place.queue))?.settings.leaseMs : undefined;
  }

  async #admitHolder(call: Call, place: Place): Promise<void> {
    await this.#admit(call);
    if (place.kind === 'agent') checkIsSelf(call, place.agentId, 'settle the messages of');
  }

  async #admit(call: Call): Promise<void> {
    await admitCaller(call, this.#deps.live);
  }
}

export const queueNotFound = (queue: string): CodedError =>
  new CodedError('QUEUE_NOT_FOUND', `There is no queue ${queue}`, { queue });

/** What an agent may see: its own mailbox, and what it has sent. */
function requestsFor({ caller }: Call, request: Omit<BrowseRequest, 'after'>): Omit<BrowseRequest, 'after'>[] {
  if (caller.kind === 'admin') return [request];
  const own = mailboxOf(caller.agent_id);
  const { queue, from } = request;
  if (queue === own || from === caller.agent_id) return [request];
  if (queue === undefined && from === undefined)
    return [
      { ...request, queue: own },
      { ...request, from: caller.agent_id },
    ];
  if (queue === undefined) return [{ ...request, queue: own }];
  if (from === undefined) return [{ ...request, from: caller.agent_id }];
  const message = `The agent ${caller.agent_id} may look at its own mailbox and at what it has sent, not at what ${from} has sent to ${queue}`;
  throw new CodedError('FORBIDDEN', message, { queue, from });
}
