import type { ErrorCode } from '../../contract/errors.ts';
import { publishBody, putBody } from '../../schema/message-fields.ts';
import {
  deletedState,
  eventsPage,
  publishedView,
  stateEntry,
  statePage,
  topicList,
} from '../../schema/messaging-views.ts';
import { json, text, type Operations } from './operation.ts';

const BUS: ErrorCode[] = ['BUS_UNAVAILABLE', 'STORAGE_FULL'];
const STATE: ErrorCode[] = ['STATE_UNAVAILABLE'];

const entries = (path: string, whose: string, suffix: string, missing: ErrorCode[]): Operations => ({
  [`GET ${path}`]: {
    id: `list${suffix}`,
    tag: 'state',
    summary: `List ${whose}, by key`,
    answers: { 200: json('A page of it', statePage) },
    errors: [...missing, ...STATE],
  },
  [`GET ${path}/:key`]: {
    id: `get${suffix}`,
    tag: 'state',
    summary: 'Read a value',
    answers: { 200: json('The entry', stateEntry) },
    errors: ['STATE_NOT_FOUND', ...missing, ...STATE],
  },
  [`PUT ${path}/:key`]: {
    id: `put${suffix}`,
    tag: 'state',
    summary: 'Write a value',
    description: 'Durable once answered. With `expected_version`, only if nobody has written it since.',
    body: putBody,
    answers: { 200: json('The entry', stateEntry) },
    errors: ['VERSION_CONFLICT', 'PAYLOAD_TOO_LARGE', 'STORAGE_FULL', ...missing, ...STATE],
  },
  [`DELETE ${path}/:key`]: {
    id: `delete${suffix}`,
    tag: 'state',
    summary: 'Delete a value',
    answers: { 200: json('Whether there was one', deletedState) },
    errors: ['VERSION_CONFLICT', 'STORAGE_FULL', ...missing, ...STATE],
  },
});

/** What agents say to all, and what they keep. */
export const STATE_OPERATIONS: Operations = {
  'POST /topics/:topic': {
    id: 'publish',
    tag: 'topics',
    summary: 'Publish an event',
    description: 'Durable once answered. `agent.*`, `cron.*` and `daemon.*` are not for agents to publish on.',
    body: publishBody,
    answers: { 201: json('Where it stands', publishedView) },
    errors: ['PAYLOAD_TOO_LARGE', ...BUS],
    ownKeys: true,
  },
  'GET /topics': {
    id: 'listTopics',
    tag: 'topics',
    summary: 'All topics with events',
    answers: { 200: json('The topics, by name', topicList) },
    errors: BUS,
  },
  'GET /topics/:pattern/events': {
    id: 'topicEvents',
    tag: 'topics',
    summary: 'Read the events of a topic, or of all that match a pattern',
    description:
      '`*` stands for one segment, `>` at the end for one or more. With `Accept: text/event-stream` as Server-Sent Events ' +
      '(`event: message`, data: TopicEvent), from now on unless `after` or `Last-Event-ID` says otherwise.',
    answers: {
      200: {
        description: 'A page of them, or a stream',
        content: { ...json('', eventsPage).content, ...text('', 'text/event-stream').content },
      },
    },
    errors: ['RATE_LIMITED', ...BUS],
  },
  ...entries('/state/shared', 'what all share', 'Shared', []),
  ...entries('/state/agents/:agent_id', 'what an agent keeps', 'AgentState', ['AGENT_NOT_FOUND', 'FORBIDDEN']),
};
