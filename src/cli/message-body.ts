import { readFileSync } from 'node:fs';
import { CodedError } from '../contract/errors.ts';
import type { Json } from '../domain/messages/message.ts';
import type { Command } from 'commander';

export interface MessageOptions {
  type?: string;
  payload?: string;
  priority?: string;
  ttl?: string;
  correlationId?: string;
  replyTo?: string;
  key?: string;
}

/** What may be said about a message besides its text. */
export function addMessageOptions(command: Command): Command {
  return command
    .option('--type <type>', 'its type (TEXT, if it is one)')
    .option('--payload <json>', 'its payload as JSON, or @file; @- reads the standard input')
    .option('--priority <0-9>', '9 is the most urgent (4)')
    .option('--ttl <time>', 'given up if nobody has acknowledged it after so long, such as 5m')
    .option('--correlation-id <id>', 'ties an answer to its question')
    .option('--reply-to <name>', 'the agent or work queue where the answer is wanted')
    .option('--key <key>', 'sent again under the same key within a day, it is the same message');
}

/** The body of a message. The API checks it. */
export function messageBody(text: string | undefined, options: MessageOptions): Record<string, unknown> {
  const { type, payload, priority, ttl, correlationId, replyTo, key } = options;
  if (text !== undefined && payload !== undefined)
    throw new CodedError('INVALID_REQUEST', 'A message has a text or a --payload, not both');
  if (text === undefined && payload === undefined)
    throw new CodedError('INVALID_REQUEST', 'A message needs a text, or a --payload with its --type');
  if (payload !== undefined && type === undefined)
    throw new CodedError('INVALID_REQUEST', 'A --payload needs a --type, such as TASK_DELEGATE');
  return {
    type: type ?? 'TEXT',
    payload: payload === undefined ? text : readJson('--payload', payload),
    ...given('priority', priority === undefined ? undefined : wholeNumber('--priority', priority)),
    ...given('ttl', ttl),
    ...given('correlation_id', correlationId),
    ...given('reply_to', replyTo),
    ...given('idempotency_key', key),
  };
}

/** JSON as it is typed, or that of `@file`; `@-` is the standard input. */
export function readJson(option: string, given: string): Json {
  const text = given.startsWith('@') ? readText(option, given.slice(1)) : given;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const hint = given.startsWith('@') ? '' : `; a text needs quotes of its own: '"hello"'`;
    throw new CodedError('INVALID_REQUEST', `${option} is no JSON: ${(error as Error).message}${hint}`, {}, error);
  }
}

function readText(option: string, file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CodedError('INVALID_REQUEST', `Cannot read ${option} @${file}: ${(error as Error).message}`, {}, error);
  }
}

export function wholeNumber(option: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CodedError('INVALID_REQUEST', `${option} is ${JSON.stringify(text)}; expected a whole number`);
}

export function given(name: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [name]: value };
}
