/** `queues`, `messages` and `topics`: how messages are handed out and kept. */
import { z } from 'zod';
import { parseDurationMs } from '../domain/duration.ts';
import { parseBytes } from '../domain/size.ts';
import { MESSAGE_TYPES } from '../domain/messages/message.ts';
import { DEFAULT_AGEING_MS } from '../domain/messages/queue-order.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../domain/messages/queue-settings.ts';
import { QUEUE_NAME_PATTERN } from '../domain/messages/queue-name.ts';
import { durationAbove0 } from '../schema/duration-field.ts';
import { MESSAGE_TYPE_PATTERN } from '../schema/message-payloads.ts';
import { sizeFrom } from '../schema/size-field.ts';
import { strict, textOf } from '../schema/problem.ts';
import { queueDefaultFields, queueFields, queueSettingsOf } from '../schema/queue-settings.ts';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import type { DeclaredQueue, MessagingSettings } from './config.ts';
import { messageTypesOf } from './message-types.ts';
import { numeric, text } from './setting-fields.ts';

const whole = (min: number, max: number) => numeric(z.int().min(min).max(max));

const queueName = textOf(
  'the name of a queue: 1 to 64 letters, digits, dot, underscore or hyphen, a letter or digit first',
  QUEUE_NAME_PATTERN,
);
const typeName = textOf(
  'the name of a type: a letter, then up to 63 letters, digits, underscores, dots or hyphens',
  MESSAGE_TYPE_PATTERN,
).refine(
  (name) => !(MESSAGE_TYPES as readonly string[]).includes(name),
  'another name: this type is one of the daemon itself',
);

/** Less has no room for one batch of messages, or a few large values. */
const LEAST_BYTES = '16MiB';

export const messagingFields = {
  queues: z.record(queueName, strict(queueFields(whole))).exactOptional(),
  messages: strict({
    ...queueDefaultFields(whole),
    ageing: durationAbove0.exactOptional(),
    dead_letters_kept: durationAbove0.exactOptional(),
    max_bytes: sizeFrom(LEAST_BYTES).exactOptional(),
    types: z.record(typeName, text).exactOptional(),
  }).exactOptional(),
  state: strict({ max_bytes: sizeFrom(LEAST_BYTES).exactOptional() }).exactOptional(),
  topics: strict({
    keep: whole(1, 10_000_000).exactOptional(),
    keep_for: durationAbove0.exactOptional(),
  }).exactOptional(),
};

const DAY_MS = 24 * 3600_000;
const DEAD_LETTERS_KEPT_MS = 7 * DAY_MS;
const MAX_BYTES = { messages: '10GiB', state: '1GiB' };
const TOPICS = { keepCount: 10_000, keepMs: DAY_MS };

/**
 * @param at runs what may fail for the setting at this path
 * @throws CodedError CONFIG_INVALID, also for a type whose schema cannot be read or is none
 */
export async function messagingOf(
  source: ConfigSource,
  { queues = {}, messages = {}, topics = {}, state = {} }: ConfigFile,
  at: <T>(path: string[], work: () => T) => T,
): Promise<MessagingSettings> {
  const { ageing, dead_letters_kept, max_bytes = MAX_BYTES.messages, types = {}, ...general } = messages;
  const defaults = at(['messages'], () => queueSettingsOf(DEFAULT_QUEUE_SETTINGS, general));
  const declared = Object.entries(queues).map(([name, { members = null, ...own }]): [string, DeclaredQueue] => [
    name,
    { members, settings: at(['queues', name], () => queueSettingsOf(defaults, own)) },
  ]);
  const { keep = TOPICS.keepCount, keep_for } = topics;
  return {
    defaults,
    ageingMs: ageing === undefined ? DEFAULT_AGEING_MS : parseDurationMs(ageing),
    deadLettersKeptMs: dead_letters_kept === undefined ? DEAD_LETTERS_KEPT_MS : parseDurationMs(dead_letters_kept),
    limitBytes: { messages: parseBytes(max_bytes), state: parseBytes(state.max_bytes ?? MAX_BYTES.state) },
    topics: { keepCount: keep, keepMs: keep_for === undefined ? TOPICS.keepMs : parseDurationMs(keep_for) },
    queues: Object.fromEntries(declared),
    types: await messageTypesOf(source, types),
  };
}
