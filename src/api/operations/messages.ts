import { z } from 'zod';
import type { ErrorCode } from '../../contract/errors.ts';
import { batchBody, messageBody } from '../../schema/message-fields.ts';
import {
  ackAnswer,
  changedCount,
  deletedQueue,
  deliveries,
  extendAnswer,
  nackAnswer,
  queueList,
  queueView,
  sentBatch,
  sentView,
  sizeView,
  storedPage,
} from '../../schema/messaging-views.ts';
import { json, type Operation, type Operations } from './operation.ts';

const BUS: ErrorCode[] = ['BUS_UNAVAILABLE', 'STORAGE_FULL'];

/** The same for a mailbox, by its agent, and for any queue, by its name. */
const sharedBy = (path: string, whose: string, suffix: string, missing: ErrorCode[]): Operations => {
  const settle = (id: string, summary: string, answer: Operation['answers'][number]): Operation => ({
    id: `${id}${suffix}`,
    tag: 'messages',
    summary,
    answers: { 200: answer },
    errors: ['LEASE_STALE', 'MESSAGE_NOT_FOUND', ...BUS],
  });
  return {
    [`POST ${path}/messages`]: {
      id: `send${suffix}`,
      tag: 'messages',
      summary: `Send to ${whose}: one message, or up to 100 of them (all or none)`,
      description:
        'Durable once answered. `from` is who the token belongs to. An `Idempotency-Key` counts for messages without a key of ' +
        'their own: the same (from, queue, key) within a day is sent once, and answered with the same `id` and `duplicate`.',
      body: z.union([messageBody, batchBody]),
      answers: { 201: json('It is on its way', z.union([sentView, sentBatch])) },
      errors: [...missing, 'QUEUE_FULL', 'PAYLOAD_TOO_LARGE', ...BUS],
      ownKeys: true,
    },
    [`GET ${path}/messages`]: {
      id: `receive${suffix}`,
      tag: 'messages',
      summary: `Receive from ${whose}`,
      description:
        'The best first, each under a lease: it is handed out again when that runs out, or when the process that holds it ends, ' +
        'unless it is acknowledged. Of several who wait, the one with the fewest messages in hand comes first. If the answer of ' +
        'a receive is lost, the same one again with its `receive_id` brings what was in it at once, under the same leases; the ' +
        'next one takes another name.',
      answers: { 200: json('What there is; none if the time is up', deliveries) },
      errors: [...missing, 'FORBIDDEN', ...BUS],
    },
    [`GET ${path}/messages/size`]: {
      id: `size${suffix}`,
      tag: 'messages',
      summary: 'How many messages it holds',
      answers: { 200: json('By what becomes of them', sizeView) },
      errors: [...missing, ...BUS],
    },
    [`POST ${path}/messages/:message_id/ack`]: settle(
      `ack${suffix}`,
      'It is dealt with, and goes',
      json('It is gone', ackAnswer),
    ),
    [`POST ${path}/messages/:message_id/nack`]: settle(
      `nack${suffix}`,
      'It was not dealt with: it is tried again, or becomes a dead letter',
      json('What becomes of it', nackAnswer),
    ),
    [`POST ${path}/messages/:message_id/extend`]: settle(
      `extend${suffix}`,
      'Keep it for longer',
      json('Until when', extendAnswer),
    ),
  };
};

const dead = (verb: 'requeue' | 'discard', summary: string): Operation => ({
  id: `${verb}DeadLetters`,
  tag: 'messages',
  summary,
  answers: { 200: json('How many', changedCount) },
  errors: [...(verb === 'requeue' ? (['QUEUE_FULL'] as const) : []), ...BUS],
});

export const MESSAGE_OPERATIONS: Operations = {
  ...sharedBy('/agents/:agent_id', 'an agent', 'Mail', ['AGENT_NOT_FOUND']),
  ...sharedBy('/queues/:queue', 'a queue', 'FromQueue', ['QUEUE_NOT_FOUND', 'AGENT_NOT_FOUND']),
  'GET /messages': {
    id: 'browseMessages',
    tag: 'messages',
    summary: 'Look at messages without taking them, oldest first',
    description: 'An agent sees those in its own mailbox and those that it has sent.',
    answers: { 200: json('A page of them', storedPage) },
    errors: ['FORBIDDEN', ...BUS],
  },
  'GET /queues': {
    id: 'listQueues',
    tag: 'messages',
    summary: 'All queues that hold something or were made',
    answers: { 200: json('The queues, by name', queueList) },
    errors: BUS,
  },
  'GET /queues/:queue': {
    id: 'getQueue',
    tag: 'messages',
    summary: 'Show a queue',
    answers: { 200: json('The queue', queueView) },
    errors: ['QUEUE_NOT_FOUND', 'AGENT_NOT_FOUND', ...BUS],
  },
  'PUT /queues/:queue': {
    id: 'putQueue',
    tag: 'messages',
    summary: 'Make a work queue, or give it other settings',
    description:
      'What is not given has its default again. A queue of the configuration file has its own again at the next start or reload.',
    answers: { 200: json('The queue', queueView) },
    errors: BUS,
  },
  'DELETE /queues/:queue': {
    id: 'deleteQueue',
    tag: 'messages',
    summary: 'Delete a work queue',
    description: 'What it held becomes dead letters, and the senders are told.',
    answers: { 200: json('It is gone', deletedQueue) },
    errors: ['QUEUE_NOT_FOUND', ...BUS],
  },
  'GET /queues/:queue/dead': {
    id: 'listDeadLetters',
    tag: 'messages',
    summary: 'What a queue could not deliver, oldest first',
    answers: { 200: json('A page of them', storedPage) },
    errors: ['FORBIDDEN', ...BUS],
  },
  'POST /queues/:queue/dead/requeue': dead('requeue', 'Put dead letters back into their queue, as new'),
  'POST /queues/:queue/dead/discard': dead('discard', 'Delete dead letters'),
};
