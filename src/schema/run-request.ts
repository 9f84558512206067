import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { RUN_ID_PATTERN, type RunRequest } from '../contract/run-view.ts';
import { agentRequestSchema, parseAgentRequest } from './agent-input.ts';
import { check, strict, textOf } from './problem.ts';
import { wholeDuration } from './schedule-input.ts';

export const runId = textOf('the id of a run: 1 to 128 letters, digits and . _ : -, a letter or digit first', RUN_ID_PATTERN);

const ofTheRun = {
  run_id: runId.exactOptional(),
  cleanup: z.enum(['keep', 'delete']).exactOptional(),
  timeout: wholeDuration.exactOptional(),
};

/** The body of `POST /runs`: what an agent may say of itself, and what the run is. */
export const runRequestSchema = strict({
  ...agentRequestSchema.omit({ schedule: true, autostart: true }).shape,
  ...ofTheRun,
}) satisfies z.ZodType<RunRequest>;

const OF_AGENTS_ALONE = ['schedule', 'autostart'] as const;

/** @throws CodedError INVALID_REQUEST, UNSUPPORTED_FIELD or PAYLOAD_TOO_LARGE, naming the field */
export function parseRunRequest(value: unknown): RunRequest {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return parseAgentRequest(value);
  const { run_id, runId: alias, cleanup, timeout, ...agent } = value as Record<string, unknown>;
  const id = run_id ?? alias;
  const given = { run_id: id, cleanup, timeout };
  const own = Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined));
  const checked = check(strict(ofTheRun), own);
  if (checked.kind === 'problem') {
    const { message, field } = checked.problem;
    throw new CodedError('INVALID_REQUEST', message, { field });
  }
  const request = parseAgentRequest(agent);
  const foreign = OF_AGENTS_ALONE.find((name) => Object.hasOwn(request, name));
  if (foreign !== undefined)
    throw new CodedError('INVALID_REQUEST', `${foreign} is nothing for a run; remove the field`, { field: foreign });
  return { ...request, ...checked.value };
}
