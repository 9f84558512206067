import { z } from 'zod';
import type { AgentInput, AgentRequest } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import { RUN_ID_PATTERN } from '../contract/run-view.ts';
import type { AgentSnapshot } from '../domain/agent-state.ts';
import { ADMIN_SENDER } from '../domain/messages/message.ts';
import { agentId, labels, launchFields, task, templateId, variables } from './fields.ts';
import { plainData } from './plain-data.ts';
import { check, type Problem, strict, textOf } from './problem.ts';
import { agentSchedule, withCron } from './schedule-input.ts';
import { isUnsupported, unsupportedMessage } from './unsupported.ts';

/** The whole input, as JSON. It is an event of a workflow's history, and goes with every continued run. */
const MAX_INPUT_BYTES = 256 * 1024;

const count = z.int().min(0);

const snapshot = strict({
  desired: z.enum(['running', 'paused', 'stopped', 'deleted']),
  generation: count,
  handled: count,
  failures: strict({ consecutive: count, timesMs: z.array(z.number()).max(1000) }),
  episode: strict({ number: count, incident: z.boolean() }),
  restarts: count,
  lastExit: strict({
    generation: count,
    code: z.int().nullable(),
    signal: z.string().nullable(),
    cause: z.enum(['self', 'operator', 'unhealthy', 'limit', 'shutdown', 'reboot', 'custodian_lost']),
    at: z.string(),
    ran_ms: z.number(),
    why: z.string().max(500).exactOptional(),
  }).nullable(),
  phase: z.enum(['completed', 'disabled', 'other']),
  reason: z.string(),
}) satisfies z.ZodType<AgentSnapshot>;

const written = {
  // Else what it says would be taken for a word of the admin.
  agent_id: agentId.refine((id) => id !== ADMIN_SENDER, 'another id: "admin" is whoever has the admin token'),
  template_id: templateId.exactOptional(),
  variables: variables.exactOptional(),
  labels: labels.exactOptional(),
  ...launchFields,
};

/** What a person or program may write: the body of `POST /agents`, an entry of the configuration. */
export const agentRequestSchema = strict({
  ...written,
  schedule: agentSchedule.exactOptional(),
}) satisfies z.ZodType<AgentRequest>;

/** The input of the workflow: the same, and what the daemon adds. */
const agentInputSchema = strict({
  ...written,
  origin: z.string().max(4200).exactOptional(),
  created_by: agentId.exactOptional(),
  request_id: z.string().max(256).exactOptional(),
  run: strict({
    run_id: textOf('the id of a run', RUN_ID_PATTERN),
    attempt: count,
    task: task.exactOptional(),
  }).exactOptional(),
  restore: snapshot.exactOptional(),
  signature: z.string().max(256).exactOptional(),
}) satisfies z.ZodType<AgentInput>;

/**
 * Checks the input of an `agent` workflow, whoever started it.
 *
 * @throws CodedError INVALID_REQUEST, UNSUPPORTED_FIELD or PAYLOAD_TOO_LARGE, naming the field
 */
export function parseAgentInput(value: unknown): AgentInput {
  return parse(agentInputSchema, value);
}

/**
 * Checks what a caller of the API or the configuration file says of an agent: fields that only the daemon sets, such as
 * `signature` and `origin`, are refused.
 *
 * @throws CodedError INVALID_REQUEST, UNSUPPORTED_FIELD or PAYLOAD_TOO_LARGE, naming the field
 */
export function parseAgentRequest(value: unknown): AgentRequest {
  return parse(agentRequestSchema, value);
}

function parse<Input extends AgentInput>(schema: z.ZodType<Input>, value: unknown): Input {
  const plain = plainData(value);
  if (plain.kind === 'problem') throw invalid(plain.problem);
  const bytes = Buffer.byteLength(JSON.stringify(plain.value));
  if (bytes > MAX_INPUT_BYTES) {
    throw new CodedError(
      'PAYLOAD_TOO_LARGE',
      `The description of the agent has ${bytes} bytes; the limit is ${MAX_INPUT_BYTES}`,
      {
        bytes,
        limit_bytes: MAX_INPUT_BYTES,
      },
    );
  }
  const checked = check(schema, plainly(plain.value));
  if (checked.kind === 'problem') throw invalid(checked.problem);
  return checked.value;
}

function invalid({ field, message, unknown }: Problem): CodedError {
  if (unknown && isUnsupported(field)) return new CodedError('UNSUPPORTED_FIELD', unsupportedMessage(field), { field });
  if (unknown && field === 'schedule') {
    const says = 'schedule is no part of the life of an agent; make it with POST /schedules and remove the field';
    return new CodedError('UNSUPPORTED_FIELD', says, { field });
  }
  if (unknown && OWNED.has(field)) {
    return new CodedError('INVALID_REQUEST', `${field} is set by the daemon; remove the field`, { field });
  }
  return new CodedError('INVALID_REQUEST', message, { field });
}

const OWNED: ReadonlySet<string> = new Set(['origin', 'created_by', 'request_id', 'run', 'restore', 'signature']);

/** Names that other systems of the family write in another way. */
const ALIASES = { agentId: 'agent_id', templateId: 'template_id' } as const;

/** In the words of the schema. */
function plainly(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  const fields: Record<string, unknown> = { ...value };
  if (Object.hasOwn(fields, 'schedule')) fields['schedule'] = withCron(fields['schedule']);
  for (const [alias, name] of Object.entries(ALIASES)) {
    if (!Object.hasOwn(fields, alias)) continue;
    if (Object.hasOwn(fields, name) && fields[name] !== fields[alias]) {
      throw new CodedError('INVALID_REQUEST', `${alias} and ${name} are both given and differ; keep ${name}`, {
        field: name,
      });
    }
    fields[name] = fields[alias];
    delete fields[alias];
  }
  return fields;
}
