import { z } from 'zod';
import { healthAnswer } from '../../schema/views.ts';
import { json, text, type Operations } from './operation.ts';

export const PROBE_OPERATIONS: Operations = {
  'GET /healthz': {
    id: 'health',
    tag: 'probes',
    summary: 'Whether all critical agents are up',
    description: 'Needs no token. `X-OpenStarry-Degraded: temporal` while Temporal is away: the agents run on.',
    answers: {
      200: { description: 'They are', content: { 'text/plain': z.string(), 'application/json': healthAnswer } },
      503: {
        description: 'Those named are not',
        content: { 'text/plain': z.string(), 'application/json': healthAnswer },
      },
    },
  },
  'GET /metrics': {
    id: 'metrics',
    tag: 'probes',
    summary: 'Metrics in the format of Prometheus',
    description: 'Needs no token.',
    answers: { 200: text('The metrics', 'text/plain') },
  },
  'GET /openapi.json': {
    id: 'openapi',
    tag: 'documentation',
    summary: 'This document',
    description: 'Needs no token.',
    answers: { 200: json('OpenAPI 3.1', z.looseObject({ openapi: z.string() })) },
  },
  'GET /docs': {
    id: 'docs',
    tag: 'documentation',
    summary: 'This document, for people',
    description: 'Needs no token.',
    answers: { 200: text('A page', 'text/html') },
  },
};
