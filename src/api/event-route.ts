import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { agentId } from '../schema/fields.ts';
import { strict } from '../schema/problem.ts';
import type { FleetEvent } from '../service/fleet-events.ts';
import type { ApiDeps } from './deps.ts';
import { callOf } from './request-context.ts';
import { whole } from './request-schema.ts';

/** Each holds a connection and asks the roster at each change. */
const MAX_STREAMS = 100;
const RETRY_MS = 2000;

const eventQuery = strict({
  agent_id: z
    .union([agentId, z.array(agentId)])
    .optional()
    .meta({ description: 'Only what happens to this agent; may be repeated' }),
  after: whole(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'Resume after this id of the history, as the header Last-Event-ID does' }),
});

export interface StreamTimes {
  /** A comment after so long a silence: proxies and clients find out that the connection lives. */
  heartbeatMs: number;
  /** Whoever takes nothing for so long is dropped. */
  slowMs: number;
}

/** What happens to the agents, as Server-Sent Events. */
export function eventRoute({
  orchestrator,
  streamTimes = { heartbeatMs: 15_000, slowMs: 30_000 },
}: ApiDeps): FastifyPluginCallbackZod {
  let open = 0;
  return (app, _options, done) => {
    app.get('/events', { schema: { querystring: eventQuery } }, async (request, reply) => {
      if (open >= MAX_STREAMS) {
        const message = `${open} clients follow the events; the limit is ${MAX_STREAMS}`;
        throw new CodedError('RATE_LIMITED', message, { limit: MAX_STREAMS });
      }
      const after = lastEventId(request) ?? request.query.after;
      const agentIds = [request.query.agent_id ?? []].flat();
      const events = await orchestrator.events(callOf(request), {
        ...(after === undefined ? {} : { after }),
        agentIds,
      });
      open += 1;
      reply.raw.once('close', () => (open -= 1));
      reply
        .header('content-type', 'text/event-stream; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('x-content-type-options', 'nosniff')
        // nginx would hold it back.
        .header('x-accel-buffering', 'no');
      return reply.send(Readable.from(written(events, reply, streamTimes), { objectMode: false, highWaterMark: 1 }));
    });
    done();
  };
}

function lastEventId(request: FastifyRequest): number | undefined {
  const given = request.headers['last-event-id'];
  if (given === undefined || given === '') return undefined;
  if (typeof given === 'string' && /^\d{1,15}$/.test(given)) return Number(given);
  const seen = JSON.stringify(String(given).slice(0, 60));
  throw new CodedError('INVALID_REQUEST', `The header Last-Event-ID is ${seen}; expected the id of an event`, {
    field: 'last-event-id',
  });
}

async function* written(
  events: AsyncIterable<FleetEvent>,
  reply: FastifyReply,
  { heartbeatMs, slowMs }: StreamTimes,
): AsyncGenerator<string> {
  const slow = setTimeout(() => reply.raw.destroy(), slowMs);
  const source = events[Symbol.asyncIterator]();
  let next = source.next();
  next.catch(() => undefined); // awaited below, if somebody still takes something
  try {
    // A stream pulls when there is room for more: between two pulls it is the client that is waited for.
    let text = `retry: ${RETRY_MS}\n: follows\n\n`;
    for (;;) {
      slow.refresh();
      yield text;
      slow.refresh();
      const event = await within(next, heartbeatMs);
      if (event === undefined) {
        text = ': alive\n\n';
        continue;
      }
      if (event.done === true) return;
      text = textOf(event.value);
      next = source.next();
      next.catch(() => undefined);
    }
  } finally {
    clearTimeout(slow);
    // Not awaited: it waits for the next event, or for the end of the request, which ends it.
    void source.return?.().catch(() => undefined);
  }
}

/** @returns undefined if it takes longer */
function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function textOf(event: FleetEvent): string {
  switch (event.kind) {
    case 'transition':
      return `id: ${event.transition.id}\nevent: transition\ndata: ${JSON.stringify(event.transition)}\n\n`;
    case 'agent':
      return `event: agent\ndata: ${JSON.stringify(event.agent)}\n\n`;
    case 'removed':
      return `event: removed\ndata: ${JSON.stringify({ agent_id: event.agent_id })}\n\n`;
  }
}
