import type { DeathCause } from '../domain/messages/dead-letters.ts';
import type { Json } from '../domain/messages/message.ts';

/** Messages, queues, topics and state, as the API shows them. All times are ISO 8601. */
export interface SentView {
  id: string;
  /** True if it had been sent before, under the same key. */
  duplicate: boolean;
}

interface MessageFields {
  id: string;
  /** `@<agent_id>` is a mailbox. */
  queue: string;
  type: string;
  /** 0 to 9, 9 is the most urgent. */
  priority: number;
  payload: Json;
  /** An agent id, `admin` or `_daemon`. */
  from: string;
  /** How often it has been handed out. */
  attempt: number;
  correlation_id: string | null;
  /** An agent id or a queue; null: answer to `from`. */
  reply_to: string | null;
  sent_at: string;
  expires_at: string | null;
}

/** A message that is handed out. */
export interface DeliveryView extends MessageFields {
  /** To be shown when it is acknowledged. */
  lease: string;
  lease_until: string;
}

/** A message that is looked at without being taken. */
export interface StoredMessageView extends MessageFields {
  state: 'ready' | 'leased' | 'delayed' | 'dead';
  /** Who holds it, while leased. */
  consumer: string | null;
  death: { cause: DeathCause; reason: string; at: string } | null;
}

export interface QueueSizeView {
  /** Ready, leased and delayed together. */
  size: number;
  ready: number;
  leased: number;
  delayed: number;
  dead: number;
}

export interface QueueView extends QueueSizeView {
  name: string;
  kind: 'mailbox' | 'work';
  /** Of a mailbox. */
  agent_id: string | null;
  /** Who receives from a work queue; null: any agent. */
  members: string[] | { labels: Record<string, string> } | null;
  oldest_ready_at: string | null;
  newest_ready_at: string | null;
  /** As they could be written; durations as texts. */
  settings: {
    lease: string;
    attempts: number;
    retry: { initial: string; factor: number; max: string; jitter: number };
    ttl: string | null;
    concurrency: number | null;
    per_consumer: number | null;
    max_messages: number;
    max_per_sender: number;
  };
}

export interface TopicView {
  topic: string;
  events: number;
  first_cursor: number;
  last_cursor: number;
  last_at: string;
}

export interface TopicEventView {
  cursor: number;
  topic: string;
  payload: Json;
  from: string;
  key: string | null;
  at: string;
}

export interface StateEntryView {
  key: string;
  value: Json;
  version: number;
  updated_at: string;
  expires_at: string | null;
}
