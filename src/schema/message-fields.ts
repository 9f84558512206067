/** Messages, events and values, as they are written in the body of a request. */
import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { DEFAULT_PRIORITY, HIGHEST_PRIORITY, type Json, type OutgoingMessage } from '../domain/messages/message.ts';
import { isQueueName } from '../domain/messages/queue-name.ts';
import { RECEIVE_ID_PATTERN } from '../domain/messages/receive-id.ts';
import { durationAbove0 } from './duration-field.ts';
import { isDeeperThan, MAX_JSON_BYTES, MAX_JSON_DEPTH } from './json-values.ts';
import { MESSAGE_TYPE_PATTERN } from './message-payloads.ts';
import { check, strict, textOf } from './problem.ts';

export const MAX_BATCH = 100;

/** Anything but nothing. */
const json = z
  .unknown()
  .refine((value) => value !== undefined, 'any JSON')
  .meta({ description: `Any JSON: at most ${MAX_JSON_BYTES / 1024} KiB, ${MAX_JSON_DEPTH} levels` });

export const correlationId = textOf('1 to 256 characters', /^[^\p{Cc}\p{Cs}]{1,256}$/u);

export const receiveId = textOf('1 to 64 letters, digits, underscores or hyphens', RECEIVE_ID_PATTERN);

/** Of messages and events: the same one is sent once. */
const key = textOf('1 to 255 visible ASCII characters', /^[\x21-\x7e]{1,255}$/);

export const queueName = z
  .string()
  .refine(isQueueName, '@ and the id of an agent (a mailbox), or the name of a work queue');

export const messageBody = strict({
  type: textOf(
    'a type such as TASK_DELEGATE: a letter, then up to 63 letters, digits, underscores, dots or hyphens',
    MESSAGE_TYPE_PATTERN,
  ),
  payload: json,
  priority: z
    .int()
    .min(0)
    .max(HIGHEST_PRIORITY)
    .exactOptional()
    .meta({ description: '9 is the most urgent', default: DEFAULT_PRIORITY }),
  ttl: durationAbove0.exactOptional().meta({ description: 'A dead letter after that' }),
  correlation_id: correlationId.exactOptional().meta({ description: 'Ties an answer to its question' }),
  reply_to: z
    .string()
    .refine(isQueueName, 'an agent id or the name of a queue')
    .exactOptional()
    .meta({ description: 'Where the answer is wanted, if not at the sender' }),
  idempotency_key: key.exactOptional().meta({ description: 'The same key within a day is the same message' }),
}).meta({
  id: 'OutgoingMessage',
  examples: [{ type: 'TASK_DELEGATE', payload: { task: 'summarise' }, priority: 7, correlation_id: 't-1' }],
});
type MessageBody = z.output<typeof messageBody>;

export const batchBody = strict({ messages: z.array(messageBody).min(1).max(MAX_BATCH) }).meta({ id: 'MessageBatch' });

export const publishBody = strict({
  payload: json,
  key: key.exactOptional().meta({ description: 'The same key on a topic is the same event, while that is kept' }),
}).meta({ id: 'OutgoingEvent', examples: [{ payload: { symbol: 'ABC', price: 12.5 } }] });

export const putBody = strict({
  value: json,
  expected_version: z
    .int()
    .min(0)
    .exactOptional()
    .meta({ description: 'Only if the entry has this version; 0: only if there is none' }),
  ttl: durationAbove0.exactOptional(),
}).meta({ id: 'StateValue', examples: [{ value: { done: 3 }, expected_version: 2 }] });

export const stateKey = textOf('1 to 256 letters, digits and . _ : / @ -', /^[A-Za-z0-9._:/@-]{1,256}$/);

/**
 * One message, or a batch of them.
 * @param header its `Idempotency-Key`, which counts for messages without a key of their own
 * @throws CodedError INVALID_REQUEST, PAYLOAD_TOO_LARGE
 */
export function parseMessages(
  body: unknown,
  header: string | undefined,
): { messages: Omit<OutgoingMessage, 'queue' | 'from'>[]; isBatch: boolean } {
  const isBatch = typeof body === 'object' && body !== null && Object.hasOwn(body, 'messages');
  if (!isBatch) return { messages: [outgoing(parseBody(messageBody, body), header, 'payload')], isBatch };
  const { messages } = parseBody(batchBody, body);
  const keyOf = (n: number): string | undefined => (header === undefined ? undefined : `${header}#${n}`);
  return { messages: messages.map((each, n) => outgoing(each, keyOf(n), `messages.${n}.payload`)), isBatch };
}

export function parsePublication(body: unknown, header: string | undefined): { payload: Json; key?: string } {
  const { payload, key: own = header } = parseBody(publishBody, body);
  return { payload: checkedJson(payload, 'payload'), ...(own === undefined ? {} : { key: own }) };
}

export function parsePut(body: unknown): { value: Json; options: { expectedVersion?: number; ttlMs?: number } } {
  const { value, expected_version, ttl: ttlText } = parseBody(putBody, body);
  const options = {
    ...(expected_version === undefined ? {} : { expectedVersion: expected_version }),
    ...(ttlText === undefined ? {} : { ttlMs: parseDurationMs(ttlText) }),
  };
  return { value: checkedJson(value, 'value'), options };
}

function outgoing(
  { type, payload, ttl: ttlText, priority, correlation_id, reply_to, idempotency_key }: MessageBody,
  header: string | undefined,
  field: string,
): Omit<OutgoingMessage, 'queue' | 'from'> {
  const own = idempotency_key ?? header;
  return {
    type,
    payload: checkedJson(payload, field),
    ...(priority === undefined ? {} : { priority }),
    ...(ttlText === undefined ? {} : { ttlMs: parseDurationMs(ttlText) }),
    ...(correlation_id === undefined ? {} : { correlationId: correlation_id }),
    ...(reply_to === undefined ? {} : { replyTo: reply_to }),
    ...(own === undefined ? {} : { idempotencyKey: own }),
  };
}

function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const checked = check(schema, body);
  if (checked.kind === 'ok') return checked.value;
  const { field, message } = checked.problem;
  throw new CodedError('INVALID_REQUEST', `In the body, ${message}`, { field });
}

function checkedJson(value: unknown, field: string): Json {
  if (isDeeperThan(value, MAX_JSON_DEPTH)) {
    const message = `In the body, ${field} is nested deeper than the limit of ${MAX_JSON_DEPTH} levels`;
    throw new CodedError('INVALID_REQUEST', message, { field });
  }
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > MAX_JSON_BYTES) {
    const message = `${field} has ${bytes} bytes as JSON; the limit is ${MAX_JSON_BYTES}`;
    throw new CodedError('PAYLOAD_TOO_LARGE', message, { field, bytes, limit_bytes: MAX_JSON_BYTES });
  }
  return value as Json;
}
