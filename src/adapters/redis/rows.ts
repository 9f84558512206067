import type { DeathCause } from '../../domain/messages/dead-letters.ts';
import type { Json, Message } from '../../domain/messages/message.ts';
import type { BusEvent, Delivery, MessageState, StoredMessage } from '../../ports/message-bus.ts';

/** Null where there is nothing. */
export type Field = string | null;

/** A text as JSON has it between its quotes: Redis takes half a surrogate pair that way, and scripts can put JSON together. */
export const written = (text: string): string => JSON.stringify(text).slice(1, -1);
export const read = (text: string): string => JSON.parse(`"${text}"`) as string;

/** An argument that may not be there. */
export const optional = (value: string | number | undefined): string => (value === undefined ? '' : `=${value}`);

const readOr = (text: Field): string | null => (text === null ? null : read(text));
const numberOr = (text: Field): number | null => (text === null ? null : Number(text));

/** In the order of `VIEW` in messages.lua. */
interface Row {
  message: Message;
  state: MessageState;
  consumer: Field;
  lease: Field;
  leaseUntilMs: number | null;
  death: StoredMessage['death'];
}

function rowOf(fields: readonly Field[]): Row {
  const [queue, from, type, payload, priority, correlation, reply, sent, expires, attempt, ...rest] =
    fields as string[];
  const [state, consumer, lease, until, cause, reason, died, id] = rest as Field[];
  return {
    message: {
      id: id as string,
      queue: queue as string,
      from: from as string,
      type: read(type as string),
      payload: JSON.parse(payload as string) as Json,
      priority: Number(priority),
      correlationId: readOr(correlation as Field),
      replyTo: readOr(reply as Field),
      sentAtMs: Number(sent),
      expiresAtMs: numberOr(expires as Field),
      attempt: Number(attempt),
    },
    state: state as MessageState,
    consumer: consumer ?? null,
    lease: lease ?? null,
    leaseUntilMs: numberOr(until ?? null),
    death: state === 'dead' ? { cause: cause as DeathCause, reason: read(reason as string), atMs: Number(died) } : null,
  };
}

export function deliveryOf(fields: readonly Field[]): Delivery {
  const { message, lease, leaseUntilMs } = rowOf(fields);
  return { ...message, lease: lease as string, leaseUntilMs: leaseUntilMs as number };
}

export function storedMessageOf(fields: readonly Field[]): StoredMessage {
  const { message, state, consumer, death } = rowOf(fields);
  return { ...message, state, consumer, death };
}

/** In the order of events.lua. */
export function eventOf(fields: readonly Field[]): BusEvent {
  const [cursor, topic, from, payload, key, at] = fields as [string, string, string, string, Field, string];
  return {
    cursor: Number(cursor),
    topic,
    from,
    payload: JSON.parse(payload) as Json,
    key: readOr(key),
    atMs: Number(at),
  };
}
