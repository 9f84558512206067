/**
 * A topic is a name of segments with dots between them, such as `cron.data_market` or `agent.reporter.state`. A pattern may
 * have `*` for one segment, and `>` as its last for one or more (the words of NATS).
 */
const SEGMENT = '[A-Za-z0-9_-]+';
export const TOPIC_PATTERN = new RegExp(`^${SEGMENT}(\\.${SEGMENT}){0,15}$`);
const PATTERN_PATTERN = new RegExp(`^(?:(?:${SEGMENT}|\\*)(?:\\.(?:${SEGMENT}|\\*)){0,14}(?:\\.>)?|>)$`);
const MAX_LENGTH = 255;

export function isTopic(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_LENGTH && TOPIC_PATTERN.test(value);
}

export function isTopicPattern(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_LENGTH && PATTERN_PATTERN.test(value);
}

export function topicMatches(pattern: string, topic: string): boolean {
  const wanted = pattern.split('.');
  const segments = topic.split('.');
  const isOpen = wanted.at(-1) === '>';
  if (isOpen ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((each, n) => each === '>' || each === '*' || each === segments[n]);
}

/** Topics that only the daemon publishes on: what agents read there is true. */
export function isReservedTopic(topic: string): boolean {
  return /^(agent|cron|daemon)\./.test(topic);
}

/** An agent id as one segment: ids may hold dots, segments may not. */
const asSegment = (agentId: string): string => agentId.replaceAll('.', '_');

export const cronTopicOf = (agentId: string): string => `cron.${asSegment(agentId)}`;
export const stateTopicOf = (agentId: string): string => `agent.${asSegment(agentId)}.state`;
/** Each dead letter: `{ message_id, queue, from, type, cause, reason }`. */
export const DEAD_LETTER_TOPIC = 'daemon.dead_letter';
