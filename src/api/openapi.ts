import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../contract/errors.ts';
import { errorBody, transitionEvent } from '../schema/views.ts';
import { KEY_FORM } from './idempotency.ts';
import { OPERATIONS, type Operation } from './operations.ts';

export type OpenApiDocument = OpenAPIV3_1.Document;

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transform']>;

/** From here on every route is put into the document that `openApiOf` gives. */
export function documentRoutes(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'OpenStarry Orchestrator Daemon',
        version,
        description:
          'Starts, watches, restarts and stops agents. Every request but those of probes and this document carries ' +
          '`Authorization: Bearer <token>`: the admin token is in the file `token` of the state directory, an agent has ' +
          'its own in `OPENSTARRY_TOKEN`. Errors have one shape, `Error`; their codes stand in docs/errors.md.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      security: [{ token: [] }],
      tags: [
        { name: 'agents', description: 'What runs' },
        { name: 'messages', description: 'What they say to each other' },
        { name: 'schedules', description: 'When agents are called' },
        { name: 'runs', description: 'Finite executions of agents' },
        { name: 'incidents', description: 'What someone must know, and what waits for a decision' },
        { name: 'topics', description: 'What is said to whoever listens' },
        { name: 'state', description: 'What they keep' },
        { name: 'daemon', description: 'What runs them' },
        { name: 'probes', description: 'For monitoring' },
        { name: 'documentation', description: 'This document' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform,
    transformObject: (document) => withComponents(jsonSchemaTransformObject(document) as OpenApiDocument),
    convertConstToEnum: false,
  });
}

/** Once the app is ready. */
export function openApiOf(app: FastifyInstance): OpenApiDocument {
  return app.swagger() as OpenApiDocument;
}

const idempotencyHeader = z.looseObject({
  'idempotency-key': z
    .string()
    .optional()
    .meta({
      description: `${KEY_FORM}. The same request with the same key takes effect once and gets the same answer`,
    }),
});

const transform: Transform = (document) => {
  const { schema, url, route } = document;
  const operation = OPERATIONS[`${String(route.method)} ${url}`];
  if (operation === undefined) return jsonSchemaTransform(document);
  const { open, public: isPublic } = route.config ?? {};
  const needsToken = open !== true && isPublic !== true;
  const changes = route.method !== 'GET';
  const described = {
    ...schema,
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(operation.body === undefined ? {} : { body: operation.body }),
    // A body that must be empty is none.
    ...(isNothing(schema?.body) ? { body: undefined } : {}),
    ...(changes && needsToken ? { headers: idempotencyHeader } : {}),
    ...(needsToken ? {} : { security: [] }),
    response: responsesOf(operation, { needsToken, changes, open: open === true }),
  };
  return jsonSchemaTransform({ ...document, schema: described });
};

function isNothing(body: unknown): boolean {
  return body instanceof z.ZodType && body.safeParse(undefined).success;
}

function responsesOf(
  { answers, errors = [], ownKeys }: Operation,
  route: { needsToken: boolean; changes: boolean; open: boolean },
): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const [status, { description, content }] of Object.entries(answers)) {
    const types = Object.entries(content).map(([type, schema]) => [type, { schema }]);
    responses[status] = { description, content: Object.fromEntries(types) };
  }
  const codes: ErrorCode[] = [...errors];
  if (!route.open) codes.push('INVALID_REQUEST', 'HOST_NOT_ALLOWED', 'ORIGIN_NOT_ALLOWED', 'INTERNAL');
  if (route.needsToken) codes.push('UNAUTHORIZED', 'STALE_INCARNATION');
  if (route.needsToken && route.changes) codes.push('FORBIDDEN');
  if (route.needsToken && route.changes && ownKeys !== true) codes.push('IDEMPOTENCY_KEY_REUSED');
  for (const [status, all] of groupByStatus([...new Set(codes)])) {
    if (responses[status] !== undefined) continue;
    const description = all.map((code) => `\`${code}\``).join(', ');
    responses[status] = { description, content: { 'application/json': { schema: errorBody } } };
  }
  return responses;
}

function groupByStatus(codes: ErrorCode[]): Map<number, ErrorCode[]> {
  const groups = new Map<number, ErrorCode[]>();
  for (const code of codes) groups.set(ERRORS[code].status, [...(groups.get(ERRORS[code].status) ?? []), code]);
  return groups;
}

/** What no route refers to is left out; what only a stream carries is kept. */
function withComponents(document: OpenApiDocument): OpenApiDocument {
  const all = document.components?.schemas ?? {};
  const used = new Set([idOf(transitionEvent)]);
  const visit = (value: unknown): void => {
    for (const [, id] of JSON.stringify(value).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      if (id === undefined || used.has(id)) continue;
      used.add(id);
      visit(all[id] ?? {});
    }
  };
  for (const id of [...used]) visit(all[id] ?? {});
  visit(document.paths ?? {});
  const schemas = Object.fromEntries(Object.entries(all).filter(([id]) => used.has(id)));
  return { ...document, components: { ...document.components, schemas } };
}

const idOf = (schema: z.ZodType): string => String(z.globalRegistry.get(schema)?.id);
