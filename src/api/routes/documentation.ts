import type { FastifyPluginCallback } from 'fastify';
import { DOCS_POLICY, docsPage } from '../docs-page.ts';
import { openApiOf } from '../openapi.ts';

/** The description of the API. It tells nothing of this daemon, so it needs no token: a browser sends none. */
export function documentationRoutes(): FastifyPluginCallback {
  return (app, _options, done) => {
    const made = new Map<string, string>();
    const once = (name: string, make: () => string): string => {
      const text = made.get(name) ?? make();
      made.set(name, text);
      return text;
    };
    const options = { config: { public: true } };
    app.get('/openapi.json', options, async (_request, reply) => {
      reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache');
      return reply.send(once('json', () => JSON.stringify(openApiOf(app), null, 2)));
    });
    app.get('/docs', options, async (_request, reply) => {
      reply
        .type('text/html; charset=utf-8')
        .header('cache-control', 'no-cache')
        .header('content-security-policy', DOCS_POLICY)
        .header('referrer-policy', 'no-referrer')
        .header('x-content-type-options', 'nosniff');
      return reply.send(once('html', () => docsPage(openApiOf(app))));
    });
    done();
  };
}
