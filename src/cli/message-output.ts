import type {
  TopicEventView,
  QueueView,
  StateEntryView,
  StoredMessageView,
  TopicView,
} from '../contract/messaging-views.ts';
import { colors } from './colors.ts';
import { shorten, since, table } from './output.ts';

const PAYLOAD_CHARACTERS = 70;

export function messageTable(messages: StoredMessageView[]): string {
  if (messages.length === 0) return 'No messages';
  const rows = messages.map((message) => [
    message.id,
    message.queue,
    message.death === null ? stateOf(message) : colors.red(message.death.cause),
    message.type,
    String(message.priority),
    message.from,
    String(message.attempt),
    since(message.sent_at),
    shorten(message.death?.reason ?? JSON.stringify(message.payload), PAYLOAD_CHARACTERS),
  ]);
  const isDead = messages.every(({ death }) => death !== null);
  return table(['ID', 'QUEUE', 'STATE', 'TYPE', 'PRIO', 'FROM', 'TRIES', 'AGE', isDead ? 'REASON' : 'PAYLOAD'], rows);
}

function stateOf({ state, consumer }: StoredMessageView): string {
  return state === 'leased' && consumer !== null ? `leased ${consumer}` : state;
}

/** `09:15:02 @w1 ← admin TEXT "hello"` */
export function messageLine(message: StoredMessageView): string {
  const { sent_at: at, queue, from, type, priority, payload, correlation_id: correlation } = message;
  const tied = correlation === null ? '' : colors.dim(` (${correlation})`);
  const urgent = priority === 4 ? '' : ` p${priority}`;
  return `${timeOf(at)} ${colors.bold(queue)} ← ${from} ${colors.cyan(type)}${urgent}${tied} ${JSON.stringify(payload)}`;
}

export function queueTable(queues: QueueView[]): string {
  if (queues.length === 0) return 'No queues';
  const rows = queues.map((queue) => [
    queue.name,
    String(queue.ready),
    String(queue.leased),
    String(queue.delayed),
    queue.dead === 0 ? '0' : colors.red(String(queue.dead)),
    queue.oldest_ready_at === null ? '-' : since(queue.oldest_ready_at),
    membersText(queue),
  ]);
  return table(['QUEUE', 'READY', 'LEASED', 'DELAYED', 'DEAD', 'OLDEST', 'WORKED BY'], rows);
}

function membersText({ agent_id, members }: QueueView): string {
  if (agent_id !== null) return agent_id;
  if (members === null) return 'any agent';
  if (Array.isArray(members)) return shorten(members.join(', '), 50);
  return Object.entries(members.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}

export function topicTable(topics: TopicView[]): string {
  if (topics.length === 0) return 'No topics';
  const rows = topics.map(({ topic, events, last_cursor, last_at }) => [
    topic,
    String(events),
    String(last_cursor),
    since(last_at),
  ]);
  return table(['TOPIC', 'EVENTS', 'LAST', 'AGE'], rows);
}

export function eventLine({ at, topic, from, payload }: TopicEventView): string {
  return `${timeOf(at)} ${colors.bold(topic)} ← ${from} ${JSON.stringify(payload)}`;
}

export function stateTable(entries: StateEntryView[]): string {
  if (entries.length === 0) return 'No entries';
  const rows = entries.map(({ key, version, updated_at, expires_at, value }) => [
    key,
    String(version),
    since(updated_at),
    expires_at ?? '-',
    shorten(JSON.stringify(value), PAYLOAD_CHARACTERS),
  ]);
  return table(['KEY', 'VERSION', 'AGE', 'EXPIRES', 'VALUE'], rows);
}

const timeOf = (iso: string): string => colors.dim(iso.slice(11, 19));
