import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { QUEUE_NAME_PATTERN } from '../../domain/messages/queue-name.ts';
import { queueName } from '../../schema/message-fields.ts';
import { strict, textOf } from '../../schema/problem.ts';
import { queueBody } from '../../schema/queue-settings.ts';
import type { ApiDeps } from '../deps.ts';
import { callOf } from '../request-context.ts';
import { noBody, noQuery, whole } from '../request-schema.ts';

const queuePath = strict({ queue: queueName });
/** A mailbox comes and goes with its agent. */
const workQueuePath = strict({
  queue: textOf(
    'the name of a work queue: 1 to 64 letters, digits, dot, underscore or hyphen, a letter or digit first',
    QUEUE_NAME_PATTERN,
  ),
});
const deadQuery = strict({
  after: z.string().min(1).max(128).optional().meta({ description: '`next` of the answer before' }),
  limit: whole(1, 200).default(50).meta({ default: '50' }),
});
const idsBody = strict({
  ids: z.array(z.string().min(1).max(128)).min(1).max(1000).exactOptional().meta({ description: 'Without: all' }),
}).nullish();

/** What queues there are, and what became of their dead letters. */
export function queueRoutes({ messaging: { queues } }: Pick<ApiDeps, 'messaging'>): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get('/queues', { schema: { querystring: noQuery } }, async (request) => ({
      queues: await queues.list(callOf(request)),
    }));
    app.get('/queues/:queue', { schema: { params: queuePath, querystring: noQuery } }, (request) =>
      queues.get(callOf(request), request.params.queue),
    );
    const put = { params: workQueuePath, querystring: noQuery, body: queueBody };
    app.put('/queues/:queue', { schema: put }, (request) =>
      queues.put(callOf(request), request.params.queue, request.body),
    );
    const remove = { params: workQueuePath, querystring: noQuery, body: noBody };
    app.delete('/queues/:queue', { schema: remove }, async (request) => {
      await queues.remove(callOf(request), request.params.queue);
      return { name: request.params.queue, deleted: true };
    });
    app.get('/queues/:queue/dead', { schema: { params: queuePath, querystring: deadQuery } }, (request) => {
      const { after, limit } = request.query;
      return queues.dead(callOf(request), request.params.queue, { limit, ...(after === undefined ? {} : { after }) });
    });
    for (const verb of ['requeue', 'discard'] as const) {
      const schema = { params: queuePath, querystring: noQuery, body: idsBody };
      app.post(`/queues/:queue/dead/${verb}`, { schema }, (request) =>
        queues[verb](callOf(request), request.params.queue, request.body?.ids),
      );
    }
    done();
  };
}
