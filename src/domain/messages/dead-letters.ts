/** What becomes of a message that could not be delivered. */
import { isAgentId } from '../ids.ts';
import { ADMIN_SENDER, DAEMON_SENDER, type Message, type OutgoingMessage } from './message.ts';
import { mailboxOf } from './queue-name.ts';

/** Why a message was given up. */
export type DeathCause =
  /** Its time to live ran out. */
  | 'expired'
  /** The message was handed out as often as its queue allows. */
  | 'attempts'
  /** Its receiver has refused it for good (`nack` with `dead: true`). */
  | 'rejected'
  /** The agent or queue that it was for was deleted. */
  | 'deleted';

const SAYS: Record<DeathCause, (message: Message) => string> = {
  expired: () => 'its time to live ran out before anybody had acknowledged it',
  attempts: ({ attempt }) => `it was handed out ${attempt} times and never acknowledged`,
  rejected: () => 'its receiver has refused it for good',
  deleted: ({ queue }) => `${queue} was deleted`,
};

export function describeDeath(message: Message, cause: DeathCause, detail: string | null): string {
  return detail === null ? SAYS[cause](message) : `${SAYS[cause](message)}: ${detail}`;
}

/**
 * The notice that its sender gets: a `CONTROL` message in the sender's mailbox. Undefined where there is nobody to tell: a
 * person sees dead letters in `queues`, and a notice has no notice.
 */
export function noticeOf(message: Message, cause: DeathCause, detail: string | null): OutgoingMessage | undefined {
  const { from } = message;
  if (from === ADMIN_SENDER || from === DAEMON_SENDER || !isAgentId(from)) return undefined;
  return {
    queue: mailboxOf(from),
    from: DAEMON_SENDER,
    type: 'CONTROL',
    priority: 7,
    ...(message.correlationId === null ? {} : { correlationId: message.correlationId }),
    payload: {
      event: 'dead_letter',
      message_id: message.id,
      queue: message.queue,
      type: message.type,
      cause,
      reason: describeDeath(message, cause, detail),
      attempts: message.attempt,
    },
  };
}
