import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { strict } from '../../schema/problem.ts';
import type { ApiDeps } from '../deps.ts';
import { agentPath, flag, since, whole } from '../request-schema.ts';
import { callOf, endWithCaller } from '../request-context.ts';

const logQuery = strict({
  tail: whole(0, 10_000).default(100).meta({ default: '100' }),
  follow: flag,
  since: since.optional(),
});

/** The output of an agent: plain text, or one JSON object a line for whoever accepts `application/x-ndjson`. */
export function logRoute({ orchestrator, ends }: ApiDeps): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    const schema = { params: agentPath, querystring: logQuery };
    app.get('/agents/:agent_id/logs', { schema }, async (request, reply) => {
      const { agent_id } = request.params;
      const { tail, follow, since: sinceMs } = request.query;
      const options = { tail, ...(sinceMs === undefined ? {} : { sinceMs }) };
      const form = formOf(request);
      reply.header('content-type', form.type).header('x-content-type-options', 'nosniff');
      if (!follow) {
        const lines = await orchestrator.logs(callOf(request), agent_id, options);
        return reply.send(lines.map(form.write).join(''));
      }
      endWithCaller(request, reply, ends);
      const lines = await orchestrator.followLogs(callOf(request), agent_id, options);
      return reply.send(Readable.from(written(lines, form.write, reply), { objectMode: false }));
    });
    done();
  };
}

/** Headers go out at once: a follower of a silent agent knows that it is connected. */
async function* written(
  lines: AsyncIterable<string>,
  write: (line: string) => string,
  reply: FastifyReply,
): AsyncGenerator<string> {
  reply.raw.flushHeaders();
  for await (const line of lines) yield write(line);
}

function formOf(request: FastifyRequest): { type: string; write: (line: string) => string } {
  return request.headers.accept?.includes('application/x-ndjson')
    ? { type: 'application/x-ndjson', write: (line) => `${JSON.stringify({ line })}\n` }
    : { type: 'text/plain; charset=utf-8', write: (line) => `${line}\n` };
}
