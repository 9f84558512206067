import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import { templateId } from '../../schema/fields.ts';
import { strict } from '../../schema/problem.ts';
import { getTemplate, listTemplates } from '../../service/templates.ts';
import type { ApiDeps } from '../deps.ts';
import { noQuery } from '../request-schema.ts';

/** What agents can be started from. */
export function templateRoutes({ templates }: Pick<ApiDeps, 'templates'>): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get('/templates', { schema: { querystring: noQuery } }, () => listTemplates(templates));
    const schema = { params: strict({ template_id: templateId }), querystring: noQuery };
    app.get('/templates/:template_id', { schema }, (request) => getTemplate(templates, request.params.template_id));
    done();
  };
}
