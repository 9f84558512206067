import { describeDeath, type DeathCause, noticeOf } from '../../domain/messages/dead-letters.ts';
import { DAEMON_SENDER, type Message, type OutgoingMessage } from '../../domain/messages/message.ts';
import { DEAD_LETTER_TOPIC } from '../../domain/messages/topic.ts';

/**
 * What is said about a dead letter, for the scripts: a message dies in one script with its notice and its event, and the
 * words for them have one home, which is in TypeScript. Here they are with `<<names>>` for what the script fills in.
 */
export function deathTextsInLua(): string {
  const causes: DeathCause[] = ['expired', 'attempts', 'rejected', 'deleted'];
  const entries = causes.map((cause) => `${cause} = { ${textsOf(cause, null)}, ${textsOf(cause, '<<detail>>')} }`);
  const { type, priority } = notice('expired', null);
  return `local DEATHS = {
  topic = ${quoted(DEAD_LETTER_TOPIC)},
  from = ${quoted(DAEMON_SENDER)},
  notice = { type = ${quoted(type)}, priority = ${priority} },
  ${entries.join(',\n  ')}
}\n`;
}

/** Stands for the number of attempts, which is a number in JSON. */
const ATTEMPT = 987_654_321;

const EXAMPLE: Message = {
  id: '<<id>>',
  queue: '<<queue>>',
  from: 'somebody',
  type: '<<type>>',
  payload: null,
  priority: 0,
  correlationId: null,
  replyTo: null,
  sentAtMs: 0,
  expiresAtMs: null,
  attempt: ATTEMPT,
};

function textsOf(cause: DeathCause, detail: string | null): string {
  const reason = describeDeath(EXAMPLE, cause, detail);
  const event = { message_id: '<<id>>', queue: '<<queue>>', from: '<<from>>', type: '<<type>>', cause, reason };
  const texts = {
    reason: template(reason).slice(1, -1),
    notice: template(notice(cause, detail).payload),
    event: template(event),
  };
  const fields = Object.entries(texts).map(([name, text]) => `${name} = ${quoted(text)}`);
  return `${detail === null ? 'plain' : 'detailed'} = { ${fields.join(', ')} }`;
}

const notice = (cause: DeathCause, detail: string | null): OutgoingMessage =>
  noticeOf(EXAMPLE, cause, detail) as OutgoingMessage;

const template = (value: unknown): string => JSON.stringify(value).replaceAll(String(ATTEMPT), '<<attempt>>');

/** As Lua has texts in which nothing is escaped. */
const quoted = (text: string): string => `[==[${text}]==]`;
