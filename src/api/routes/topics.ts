import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { TopicEventView } from '../../contract/messaging-views.ts';
import { isTopic, isTopicPattern } from '../../domain/messages/topic.ts';
import { parsePublication } from '../../schema/message-fields.ts';
import { strict } from '../../schema/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { EventStreams, eventText, lastEventId } from '../event-stream.ts';
import { idempotencyKeyOf } from '../idempotency.ts';
import { callOf } from '../request-context.ts';
import { longPoll, noQuery, whole } from '../request-schema.ts';

/** The payload and a little around it. */
const PUBLISH_BODY_LIMIT = 512 * 1024;
const SEGMENT = 'letters, digits, underscores or hyphens';

const topicPath = strict({
  topic: z.string().refine(isTopic, `a topic: up to 16 segments of ${SEGMENT} with dots between them`),
});
const patternPath = strict({
  pattern: z
    .string()
    .refine(
      isTopicPattern,
      `a topic, with * for one segment and > as the last for one or more, such as cron.* or agent.>`,
    ),
});
const cursor = whole(0, Number.MAX_SAFE_INTEGER);
const eventsQuery = strict({
  after: z
    .union([z.literal('latest'), cursor], { error: 'a cursor, or latest' })
    .optional()
    .meta({ description: 'A cursor; `latest`: only what comes from now on. Without it, from the oldest that is kept' }),
  max: whole(1, 1000).default(100).meta({ default: '100' }),
  wait: longPoll.meta({ description: 'How long to wait for the first event: up to 60s' }),
});

/** What is said to whoever listens. */
export function topicRoutes({ messaging: { topics }, ends, streamTimes }: ApiDeps): FastifyPluginCallbackZod {
  const streams = new EventStreams('topics', ends, streamTimes);
  return (app, _options, done) => {
    const publishing = {
      logLevel: 'warn',
      bodyLimit: PUBLISH_BODY_LIMIT,
      config: { untilTheEnd: true, exactJson: true, ownKeys: true },
      schema: { params: topicPath, querystring: noQuery },
    } as const;
    app.post('/topics/:topic', publishing, async (request, reply) => {
      const event = parsePublication(request.body, idempotencyKeyOf(request));
      return reply.code(201).send(await topics.publish(callOf(request), request.params.topic, event));
    });

    app.get('/topics', { schema: { querystring: noQuery } }, async (request) => ({
      topics: await topics.list(callOf(request)),
    }));

    const reading = { logLevel: 'warn', schema: { params: patternPath, querystring: eventsQuery } } as const;
    app.get('/topics/:pattern/events', reading, async (request, reply) => {
      const call = callOf(request);
      const { pattern } = request.params;
      const { after, max, wait } = request.query;
      if (request.headers.accept?.includes('text/event-stream') !== true) {
        return topics.events(call, pattern, { after: after ?? 0, max, waitMs: wait });
      }
      const from = lastEventId(request) ?? after ?? 'latest';
      return streams.send(reply, () => topics.follow(call, pattern, from), textOf);
    });
    done();
  };
}

const textOf = (event: TopicEventView): string => eventText('message', event, event.cursor);
