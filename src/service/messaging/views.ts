/** From the words of the ports to those of the API. */
import type {
  DeliveryView,
  QueueSizeView,
  QueueView,
  StateEntryView,
  StoredMessageView,
  TopicEventView,
  TopicView,
} from '../../contract/messaging-views.ts';
import type { Message } from '../../domain/messages/message.ts';
import { ownerOf } from '../../domain/messages/queue-name.ts';
import type { BusEvent, Delivery, QueueStats, StoredMessage, TopicStats } from '../../ports/message-bus.ts';
import type { StateEntry } from '../../ports/state-store.ts';
import { writtenSettings, type QueueMembers } from '../../schema/queue-settings.ts';

const instant = (ms: number): string => new Date(ms).toISOString();
const instantOrNull = (ms: number | null): string | null => (ms === null ? null : instant(ms));

export function deliveryView(delivery: Delivery): DeliveryView {
  return { ...fieldsOf(delivery), lease: delivery.lease, lease_until: instant(delivery.leaseUntilMs) };
}

export function storedView(message: StoredMessage): StoredMessageView {
  const { state, consumer, death } = message;
  return {
    ...fieldsOf(message),
    state,
    consumer,
    death: death === null ? null : { cause: death.cause, reason: death.reason, at: instant(death.atMs) },
  };
}

const fieldsOf = (message: Message) => ({
  id: message.id,
  queue: message.queue,
  type: message.type,
  priority: message.priority,
  payload: message.payload,
  from: message.from,
  attempt: message.attempt,
  correlation_id: message.correlationId,
  reply_to: message.replyTo,
  sent_at: instant(message.sentAtMs),
  expires_at: instantOrNull(message.expiresAtMs),
});

export const sizeView = ({ ready, leased, delayed, dead }: Omit<QueueStats, 'name' | 'settings'>): QueueSizeView => ({
  size: ready + leased + delayed,
  ready,
  leased,
  delayed,
  dead,
});

export function queueView(stats: QueueStats, members: QueueMembers | null): QueueView {
  const owner = ownerOf(stats.name);
  return {
    name: stats.name,
    kind: owner === undefined ? 'work' : 'mailbox',
    agent_id: owner ?? null,
    members,
    ...sizeView(stats),
    oldest_ready_at: instantOrNull(stats.oldestReadyAtMs),
    newest_ready_at: instantOrNull(stats.newestReadyAtMs),
    settings: writtenSettings(stats.settings),
  };
}

export const topicView = (stats: TopicStats): TopicView => ({
  topic: stats.topic,
  events: stats.events,
  first_cursor: stats.firstCursor,
  last_cursor: stats.lastCursor,
  last_at: instant(stats.lastAtMs),
});

export const eventView = ({ cursor, topic, payload, from, key, atMs }: BusEvent): TopicEventView => ({
  cursor,
  topic,
  payload,
  from,
  key,
  at: instant(atMs),
});

export const entryView = ({ key, value, version, updatedAtMs, expiresAtMs }: StateEntry): StateEntryView => ({
  key,
  value,
  version,
  updated_at: instant(updatedAtMs),
  expires_at: instantOrNull(expiresAtMs),
});
