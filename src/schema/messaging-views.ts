/** What the API answers about messages, queues, topics and state, as schemas. */
import { z } from 'zod';
import type {
  DeliveryView,
  QueueSizeView,
  QueueView,
  SentView,
  StateEntryView,
  StoredMessageView,
  TopicEventView,
  TopicView,
} from '../contract/messaging-views.ts';
import { HIGHEST_PRIORITY, type Json } from '../domain/messages/message.ts';

const instant = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);
// What was accepted once is not looked at again.
const json = z.custom<Json>((value) => value !== undefined).meta({ description: 'Any JSON' });

export const sentView = z
  .object({
    id: z.string(),
    duplicate: z.boolean().meta({ description: 'True if it had been sent before, under the same key' }),
  })
  .meta({
    id: 'Sent',
    examples: [{ id: '6a7b3c0000000001', duplicate: false }],
  }) satisfies z.ZodType<SentView>;
export const sentBatch = z.object({ messages: z.array(sentView) }).meta({ id: 'SentBatch' });

const messageFields = {
  id: z.string(),
  queue: z.string().meta({ description: '`@<agent_id>` is a mailbox' }),
  type: z.string(),
  priority: count.max(HIGHEST_PRIORITY),
  payload: json,
  from: z.string().meta({ description: 'An agent id, `admin` or `_daemon`' }),
  attempt: count.meta({ description: 'How often it has been handed out' }),
  correlation_id: z.string().nullable(),
  reply_to: z.string().nullable().meta({ description: 'An agent id or a queue; null: answer to `from`' }),
  sent_at: instant,
  expires_at: instant.nullable(),
};

const MESSAGE_EXAMPLE = {
  id: '6a7b3c0000000001',
  queue: '@data_worker_007',
  type: 'TASK_DELEGATE',
  priority: 7,
  payload: { task: 'summarise' },
  from: 'lead',
  attempt: 1,
  correlation_id: 't-1',
  reply_to: null,
  sent_at: '2026-01-01T09:00:00.000Z',
  expires_at: '2026-01-08T09:00:00.000Z',
};

export const deliveryView = z
  .object({
    ...messageFields,
    lease: z.string().meta({ description: 'To be shown when it is acknowledged' }),
    lease_until: instant,
  })
  .meta({
    id: 'Message',
    description: 'A message that is handed out',
    examples: [{ ...MESSAGE_EXAMPLE, lease: 'q7Jw0Zt5c1y2', lease_until: '2026-01-01T09:01:00.000Z' }],
  }) satisfies z.ZodType<DeliveryView>;
export const deliveries = z.object({ messages: z.array(deliveryView) }).meta({ id: 'Messages' });

export const storedView = z
  .object({
    ...messageFields,
    state: z.enum(['ready', 'leased', 'delayed', 'dead']),
    consumer: z.string().nullable().meta({ description: 'Who holds it, while leased' }),
    death: z
      .object({ cause: z.enum(['expired', 'attempts', 'rejected', 'deleted']), reason: z.string(), at: instant })
      .nullable(),
  })
  .meta({
    id: 'StoredMessage',
    description: 'A message that is looked at without being taken',
    examples: [{ ...MESSAGE_EXAMPLE, attempt: 0, state: 'ready', consumer: null, death: null }],
  }) satisfies z.ZodType<StoredMessageView>;
export const storedPage = z
  .object({
    messages: z.array(storedView),
    next: z.string().nullable().meta({ description: 'For `after` of the next call; null if nothing was ever seen' }),
  })
  .meta({ id: 'StoredMessages' });

export const ackAnswer = z.object({ id: z.string() }).meta({ id: 'Acknowledged' });
export const nackAnswer = z
  .object({ id: z.string(), dead: z.boolean(), due_at: instant.nullable() })
  .meta({ id: 'Refused' });
export const extendAnswer = z.object({ id: z.string(), lease_until: instant }).meta({ id: 'Extended' });

const sizes = { size: count, ready: count, leased: count, delayed: count, dead: count };
export const sizeView = z.object(sizes).meta({
  id: 'QueueSize',
  description: '`size` is what is ready, leased and delayed',
}) satisfies z.ZodType<QueueSizeView>;

export const queueView = z
  .object({
    name: z.string(),
    kind: z.enum(['mailbox', 'work']),
    agent_id: z.string().nullable().meta({ description: 'Of a mailbox' }),
    members: z
      .union([z.array(z.string()), z.object({ labels: z.record(z.string(), z.string()) })])
      .nullable()
      .meta({ description: 'Who receives from a work queue; null: any agent' }),
    ...sizes,
    oldest_ready_at: instant.nullable(),
    newest_ready_at: instant.nullable(),
    settings: z.object({
      lease: z.string(),
      attempts: count,
      retry: z.object({ initial: z.string(), factor: z.number(), max: z.string(), jitter: z.number() }),
      ttl: z.string().nullable(),
      concurrency: z.int().nullable(),
      per_consumer: z.int().nullable(),
      max_messages: count,
      max_per_sender: count,
    }),
  })
  .meta({ id: 'Queue' }) satisfies z.ZodType<QueueView>;
export const queueList = z.object({ queues: z.array(queueView) }).meta({ id: 'Queues' });
export const deletedQueue = z.object({ name: z.string(), deleted: z.boolean() }).meta({ id: 'DeletedQueue' });
export const changedCount = z.object({ count }).meta({ id: 'ChangedCount' });

export const publishedView = z.object({ cursor: count, duplicate: z.boolean() }).meta({ id: 'Published' });
export const topicList = z
  .object({
    topics: z.array(
      z.object({
        topic: z.string(),
        events: count,
        first_cursor: count,
        last_cursor: count,
        last_at: instant,
      }) satisfies z.ZodType<TopicView>,
    ),
  })
  .meta({ id: 'Topics' });
export const topicEvent = z
  .object({
    cursor: count.meta({ description: 'Grows with each event of whichever topic' }),
    topic: z.string(),
    payload: json,
    from: z.string(),
    key: z.string().nullable(),
    at: instant,
  })
  .meta({ id: 'TopicEvent' }) satisfies z.ZodType<TopicEventView>;
export const eventsPage = z
  .object({
    events: z.array(topicEvent),
    next: count.meta({ description: 'For `after` of the next call' }),
    missed: z.boolean().meta({ description: 'True if events after `after` are no longer kept' }),
  })
  .meta({ id: 'TopicEvents' });

export const stateEntry = z
  .object({
    key: z.string(),
    value: json,
    version: count.meta({ description: 'Grows with each write' }),
    updated_at: instant,
    expires_at: instant.nullable(),
  })
  .meta({ id: 'StateEntry' }) satisfies z.ZodType<StateEntryView>;
export const statePage = z
  .object({
    entries: z.array(stateEntry),
    next: z.string().nullable().meta({ description: 'For `after` of the next call; null at the end' }),
  })
  .meta({ id: 'StateEntries' });
export const deletedState = z
  .object({ key: z.string(), deleted: z.boolean().meta({ description: 'Whether there was one' }) })
  .meta({ id: 'DeletedState' });
