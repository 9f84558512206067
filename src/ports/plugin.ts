/** What the author of an infrastructure plugin imports: `openstarry-daemon/plugin`. */
export { CodedError, type ErrorCode } from '../contract/errors.ts';
export { backoffDelayMs, type Backoff } from '../domain/backoff.ts';
export { type DeathCause, describeDeath, noticeOf } from '../domain/messages/dead-letters.ts';
export {
  ADMIN_SENDER,
  DAEMON_SENDER,
  DEFAULT_PRIORITY,
  type Json,
  type Message,
  type OutgoingMessage,
} from '../domain/messages/message.ts';
export { mailboxOf, ownerOf } from '../domain/messages/queue-name.ts';
export { rankOf } from '../domain/messages/queue-order.ts';
export type { QueueSettings } from '../domain/messages/queue-settings.ts';
export { DEAD_LETTER_TOPIC, topicMatches } from '../domain/messages/topic.ts';
export * from './infrastructure-plugin.ts';
export type * from './message-bus.ts';
export * from './state-store.ts';
