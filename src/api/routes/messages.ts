import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { parseDurationMs } from '../../domain/duration.ts';
import { mailboxOf, type Place } from '../../domain/messages/queue-name.ts';
import { agentId } from '../../schema/fields.ts';
import { correlationId, parseMessages, queueName, receiveId } from '../../schema/message-fields.ts';
import { strict } from '../../schema/problem.ts';
import { lease } from '../../schema/queue-settings.ts';
import type { ReceiveOptions } from '../../service/messaging/messages.ts';
import type { ApiDeps } from '../deps.ts';
import { idempotencyKeyOf } from '../idempotency.ts';
import { callOf } from '../request-context.ts';
import { durationMs, longPoll, noQuery, whole } from '../request-schema.ts';

/** Of a batch; what one payload may have is checked by itself. */
const SEND_BODY_LIMIT = 4 * 1024 * 1024;
const MAX_DELAY_MS = 7 * 24 * 3600_000;

const messageId = z.string().min(1).max(128);
const leaseToken = z.string().min(1).max(256).meta({ description: 'As it came with the message' });

const receiveQuery = strict({
  max: whole(1, 100).default(10).meta({ default: '10' }),
  wait: longPoll.meta({ description: 'How long to wait for the first message: up to 60s' }),
  lease: durationMs(100, 24 * 3600_000, 'a duration from 100ms to 24h').optional(),
  correlation_id: correlationId.optional().meta({ description: 'Only messages with this one' }),
  receive_id: receiveId.optional().meta({
    description:
      'A name for this receive. Repeated with it, it gets first what it was handed out already and still holds',
  }),
});

const ackBody = strict({ lease: leaseToken });
const nackBody = strict({
  lease: leaseToken,
  delay: z
    .string()
    .refine(isDelay, 'a duration up to 7d')
    .exactOptional()
    .meta({ description: "Until the next attempt; without it, as the queue's `retry` says" }),
  dead: z.boolean().exactOptional().meta({ description: 'No further attempt' }),
  reason: z.string().max(1000).exactOptional(),
});
const extendBody = strict({ lease: leaseToken, for: lease.exactOptional() });

const browseQuery = strict({
  queue: queueName.optional(),
  state: z.enum(['ready', 'leased', 'delayed', 'dead']).optional(),
  from: z.string().max(64).optional().meta({ description: 'Who has sent it' }),
  correlation_id: correlationId.optional(),
  after: z.string().min(1).max(128).optional().meta({ description: '`next` of the answer before, or `latest`' }),
  limit: whole(1, 200).default(50).meta({ default: '50' }),
  wait: longPoll.meta({ description: 'How long to wait for the first message: up to 60s' }),
});

/** The address of a queue, and the name of the queue that it means. */
const PLACES = [
  { path: '/agents/:agent_id', params: { agent_id: agentId } },
  { path: '/queues/:queue', params: { queue: queueName } },
] as const;

/** Sending, receiving, acknowledging. Agents that are being stopped may do all of it to the end. */
export function messageRoutes({ messaging }: Pick<ApiDeps, 'messaging'>): FastifyPluginCallbackZod {
  const { messages } = messaging;
  const options = { logLevel: 'warn', config: { untilTheEnd: true } } as const;
  const sending = {
    logLevel: 'warn',
    bodyLimit: SEND_BODY_LIMIT,
    config: { untilTheEnd: true, exactJson: true, ownKeys: true },
  } as const;

  return (app, _options, done) => {
    for (const { path, params } of PLACES) {
      const place = strict(params);
      const one = strict({ ...params, message_id: messageId });

      app.post(
        `${path}/messages`,
        { ...sending, schema: { params: place, querystring: noQuery } },
        async (request, reply) => {
          const { messages: written, isBatch } = parseMessages(request.body, idempotencyKeyOf(request));
          const sent = await messages.send(callOf(request), queueOf(request.params), written, isBatch);
          return reply.code(201).send(isBatch ? { messages: sent } : sent[0]);
        },
      );

      const receive = { ...options, schema: { params: place, querystring: receiveQuery } };
      app.get(`${path}/messages`, receive, async (request) => {
        const { max, wait, lease: leaseMs, correlation_id, receive_id } = request.query;
        const how: ReceiveOptions = {
          max,
          waitMs: wait,
          ...(leaseMs === undefined ? {} : { leaseMs }),
          ...(correlation_id === undefined ? {} : { correlationId: correlation_id }),
          ...(receive_id === undefined ? {} : { receiveId: receive_id }),
        };
        const call = callOf(request);
        const place = placeOf(request.params);
        const received =
          place.kind === 'queue'
            ? await messages.receiveFrom(call, place.queue, how)
            : await messages.receive(call, place.agentId, how);
        return { messages: received };
      });

      app.get(`${path}/messages/size`, { ...options, schema: { params: place, querystring: noQuery } }, (request) =>
        messages.size(callOf(request), queueOf(request.params)),
      );

      const settle = { params: one, querystring: noQuery };
      app.post(
        `${path}/messages/:message_id/ack`,
        { ...options, schema: { ...settle, body: ackBody } },
        async (request) => messages.ack(callOf(request), placeOf(request.params), refOf(request)),
      );

      app.post(
        `${path}/messages/:message_id/nack`,
        { ...options, schema: { ...settle, body: nackBody } },
        async (request) => {
          const { delay, dead, reason } = request.body;
          return messages.nack(callOf(request), placeOf(request.params), refOf(request), {
            ...(delay === undefined ? {} : { delayMs: parseDurationMs(delay) }),
            ...(dead === undefined ? {} : { dead }),
            ...(reason === undefined ? {} : { reason }),
          });
        },
      );

      app.post(
        `${path}/messages/:message_id/extend`,
        { ...options, schema: { ...settle, body: extendBody } },
        async (request) => {
          const { for: text } = request.body;
          const leaseMs = text === undefined ? undefined : parseDurationMs(text);
          return messages.extend(callOf(request), placeOf(request.params), refOf(request), leaseMs);
        },
      );
    }

    app.get('/messages', { ...options, schema: { querystring: browseQuery } }, (request) => {
      const { wait, limit, correlation_id, after, ...rest } = request.query;
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
      return messages.browse(callOf(request), {
        ...given,
        ...(correlation_id === undefined ? {} : { correlationId: correlation_id }),
        ...(after === undefined ? {} : { after }),
        limit,
        waitMs: wait,
      });
    });
    done();
  };
}

/** Of params of either of `PLACES`. */
function placeOf(params: unknown): Place {
  const given = params as { agent_id: string } | { queue: string };
  return 'queue' in given ? { kind: 'queue', queue: given.queue } : { kind: 'agent', agentId: given.agent_id };
}

function queueOf(params: unknown): string {
  const place = placeOf(params);
  return place.kind === 'queue' ? place.queue : mailboxOf(place.agentId);
}

const refOf = ({ params, body }: { params: { message_id: string }; body: { lease: string } }) => ({
  id: params.message_id,
  lease: body.lease,
});

function isDelay(text: string): boolean {
  try {
    return parseDurationMs(text) <= MAX_DELAY_MS;
  } catch {
    return false;
  }
}
