import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { agentId } from '../../schema/fields.ts';
import { strict } from '../../schema/problem.ts';
import type { FleetEvent } from '../../service/fleet-events.ts';
import type { ApiDeps } from '../deps.ts';
import { EventStreams, eventText, lastEventId } from '../event-stream.ts';
import { callOf } from '../request-context.ts';
import { whole } from '../request-schema.ts';
import { historyEntry } from '../show.ts';

const eventQuery = strict({
  agent_id: z
    .union([agentId, z.array(agentId)])
    .optional()
    .meta({ description: 'Only what happens to this agent; may be repeated' }),
  after: whole(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'Resume after this id of the history, as the header Last-Event-ID does' }),
});

/** What happens to the agents, as Server-Sent Events. */
export function eventRoute({ orchestrator, ends, streamTimes }: ApiDeps): FastifyPluginCallbackZod {
  const streams = new EventStreams('the events', ends, streamTimes);
  return (app, _options, done) => {
    app.get('/events', { schema: { querystring: eventQuery } }, (request, reply) => {
      const after = lastEventId(request) ?? request.query.after;
      const agentIds = [request.query.agent_id ?? []].flat();
      const options = { ...(after === undefined ? {} : { after }), agentIds };
      return streams.send(reply, () => orchestrator.events(callOf(request), options), textOf);
    });
    done();
  };
}

function textOf(event: FleetEvent): string {
  switch (event.kind) {
    case 'transition':
      return eventText('transition', historyEntry(event.transition), event.transition.id);
    case 'agent':
      return eventText('agent', event.agent);
    case 'removed':
      return eventText('removed', { agent_id: event.agent_id });
  }
}
