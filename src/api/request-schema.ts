/** What path, query and body may hold. Each message completes the sentence "expected …". */
import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { agentId } from '../schema/fields.ts';
import { check, strict } from '../schema/problem.ts';

/** Longer than any start that makes sense to wait for in one request. */
const MAX_WAIT_MS = 600_000;

const PLACES: Record<string, string> = {
  querystring: 'In the query, ',
  params: 'In the path, ',
  body: 'In the body, ',
};

/** Refusals name the field, the value seen and what is accepted. */
export const validatorOf: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart = '' }) =>
  (value: unknown) => {
    const checked = check(schema, value);
    if (checked.kind === 'ok') return { value: checked.value };
    const { field, message } = checked.problem;
    const place = PLACES[httpPart] ?? '';
    const says = place === '' ? message : message.replace(/^The value /, 'the value ');
    return { error: new CodedError('INVALID_REQUEST', `${place}${says}`, { field }) };
  };

export const agentPath = strict({ agent_id: agentId });
export const noQuery = strict({});
/** Commands take their options from the query, so a body would be a misunderstanding; an empty object is none. */
export const noBody = strict({}, 'options of a command stand in the query, such as ?grace=5s').nullish();

/** `?purge`, `?purge=true`, `?purge=false`. */
export const flag = z
  .enum(['', 'true', 'false', '1', '0'], { error: 'true or false' })
  .transform((text) => text === '' || text === 'true' || text === '1')
  .default(false)
  .meta({ default: 'false' });

export const duration = z
  .string()
  .refine((text) => readDuration(text) !== undefined, 'a duration such as "500ms", "5s" or "2m"')
  .meta({ description: 'A duration such as `500ms`, `5s` or `2m`', examples: ['5s'] });

/** A moment, as epoch milliseconds: a duration back from now, or a time of ISO 8601. */
export const since = z
  .string()
  .max(40)
  .transform((text, context): number => {
    const ms = readDuration(text);
    const at = ms === undefined && /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Date.now() - (ms ?? Number.NaN);
    if (!Number.isNaN(at)) return at;
    context.addIssue({ code: 'custom', message: 'a duration such as "10m", or a time such as "2026-01-31T09:00:00Z"' });
    return z.NEVER;
  })
  .meta({
    description:
      'Nothing written before: a duration back from now, or a time. Exact where lines begin with their time or are JSON ' +
      'with `time`, `timestamp`, `ts` or `at`; of other output, the files that have been written to since',
    examples: ['10m', '2026-01-31T09:00:00Z'],
  });

export function whole(min: number, max: number) {
  return z
    .string()
    .refine(
      (text) => /^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `a whole number from ${min} to ${max}`,
    )
    .transform(Number)
    .meta({ type: 'integer', minimum: min, maximum: max });
}

/** A duration in a query, in milliseconds. `0` needs no unit. */
export function durationMs(minMs: number, maxMs: number, form: string) {
  return z
    .string()
    .transform((text, context): number => {
      const ms = readDuration(text);
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
      context.addIssue({ code: 'custom', message: form });
      return z.NEVER;
    })
    .meta({ description: `Expected: ${form}` });
}

/** How long an answer waits for something to tell. */
export const longPoll = durationMs(0, 60_000, 'a duration up to 60s')
  .default(0)
  .meta({ default: '0s', examples: ['20s'] });

export interface Wait {
  until: 'running' | 'ready' | 'accepted';
  waitMs: number;
}

/** `running` or `ready` (30 s), a duration (that long), `accepted` or `none` (not at all). */
export const wait = z
  .string()
  .default('running')
  .transform((text, context): Wait => {
    if (text === 'running' || text === 'ready') return { until: text, waitMs: 30_000 };
    if (text === 'accepted' || text === 'none') return { until: 'accepted', waitMs: 30_000 };
    const waitMs = readDuration(text);
    if (waitMs !== undefined && waitMs <= MAX_WAIT_MS) return { until: 'running', waitMs };
    const message = 'running, ready, accepted, none or a duration up to 10m, such as "5s"';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .meta({
    description:
      'How long to wait for what is asked for: `running` or `ready` (30 s), `accepted` or `none` (not at all), or a duration up to `10m`',
    examples: ['accepted', '5s'],
  });

/** How a command is carried out, from its query. */
export function commandOptions({ wait: { until, waitMs }, grace }: { wait: Wait; grace?: string | undefined }): {
  waitMs: number;
  ready?: true;
  grace?: string;
} {
  return {
    waitMs: until === 'accepted' ? 0 : waitMs,
    ...(until === 'ready' ? { ready: true } : {}),

    ...(grace === undefined ? {} : { grace }),
  };
}

function readDuration(text: string): number | undefined {
  try {
    return parseDurationMs(text);
  } catch {
    return undefined;
  }
}
