import { z } from 'zod';
import type { AgentInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import { OVERLAPS, type AgentSchedule, type ScheduleInput } from '../contract/schedule-view.ts';
import type { Json } from '../domain/messages/message.ts';
import { parseCron } from '../domain/schedules/cron.ts';
import { parseMoment } from '../domain/schedules/moment.ts';
import { checkTimeZone } from '../domain/schedules/time-zone.ts';
import { wholeSeconds, WHENS } from '../domain/schedules/when.ts';
import { duration, isDurationWithin } from './duration-field.ts';
import { agentId, labels, task, templateId, variables } from './fields.ts';
import { plainData } from './plain-data.ts';
import { check, strict, textOf } from './problem.ts';

/** Of the payload as JSON: it stands in the history of each call. */
const MAX_PAYLOAD_BYTES = 32 * 1024;
/** Temporal's own least. */
const MIN_CATCH_UP_MS = 10_000;

/** A text that `read` takes. `form` completes "expected …"; what is wrong with the text follows it. */
function readable(form: string, read: (text: string) => unknown) {
  return z.string(form).superRefine((text, context) => {
    try {
      read(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `${form}: ${(error as Error).message}` });
    }
  });
}

const WHOLE_SECONDS = 'a duration of whole seconds such as "90s" or "10m"';

/** Timers and calls are not finer. */
export const wholeDuration = readable(WHOLE_SECONDS, wholeSeconds);

const fields = {
  cron: readable('a cron expression such as "30 9 * * 1-5"', parseCron).exactOptional(),
  every: wholeDuration.exactOptional(),
  at: readable('a time such as "2026-12-24T18:00:00Z"', parseMoment).exactOptional(),
  after: wholeDuration.exactOptional(),
  timezone: readable('a time zone such as "Europe/Berlin"', checkTimeZone).exactOptional(),
  jitter: duration.exactOptional(),
  mode: z.enum(['message', 'run']).exactOptional(),
  overlap: z.enum(OVERLAPS).exactOptional(),
  catch_up: duration
    .refine(
      (text) => isDurationWithin(text, MIN_CATCH_UP_MS, Number.POSITIVE_INFINITY),
      'a duration of at least 10s, such as "1m"',
    )
    .exactOptional(),
  task: task.exactOptional(),
  timeout: wholeDuration.exactOptional(),
  cleanup: z.enum(['keep', 'delete']).exactOptional(),
  /** `plainData` has seen that it is JSON. */
  payload: z.custom<Json>(() => true).exactOptional(),
  paused: z.boolean().exactOptional(),
  note: z.string().max(1000).exactOptional(),
};

const ofTheAgent = {
  template_id: templateId.exactOptional(),
  variables: variables.exactOptional(),
  labels: labels.exactOptional(),
};

const OF_RUNS = ['task', 'timeout', 'cleanup', ...Object.keys(ofTheAgent)];
const ONE_OF = `exactly one of ${WHENS.join(', ')}, such as cron: "30 9 * * *"`;

/** What goes together, and what does not. */
function consistent(value: object, context: z.RefinementCtx): void {
  const given = WHENS.filter((name) => Object.hasOwn(value, name));
  const [, second] = given;
  if (given.length === 0) context.addIssue({ code: 'custom', path: ['cron'], message: ONE_OF });
  if (second !== undefined) context.addIssue({ code: 'custom', path: [second], message: `${ONE_OF}; ${given[0]} is there` });
  const { mode = 'message', payload } = value as AgentSchedule;
  const foreign = mode === 'run' ? ['payload'] : OF_RUNS;
  const field = foreign.find((name) => Object.hasOwn(value, name));
  if (field !== undefined) {
    const wanted = mode === 'run' ? 'message' : 'run';
    context.addIssue({ code: 'custom', path: [field], message: `nothing here: it is of mode: ${wanted}` });
  }
  if (payload !== undefined && Buffer.byteLength(JSON.stringify(payload)) > MAX_PAYLOAD_BYTES)
    context.addIssue({ code: 'custom', path: ['payload'], message: `at most ${MAX_PAYLOAD_BYTES} bytes as JSON` });
}

/** The field `schedule` of an agent. A cron expression alone stands for `{ cron }`; see `withCron`. */
export const agentSchedule = strict(fields).superRefine(consistent) satisfies z.ZodType<AgentSchedule>;

/** The body of `POST /schedules`. */
export const scheduleInput = strict({
  schedule_id: textOf(
    '1 to 64 letters, digits, dot, underscore or hyphen, a letter or digit first',
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  ).exactOptional(),
  agent_id: agentId,
  ...ofTheAgent,
  ...fields,
}).superRefine(consistent) satisfies z.ZodType<ScheduleInput>;

/** `"0 9 * * *"` → `{ cron: "0 9 * * *" }`; anything else is as it was. */
export const withCron = (value: unknown): unknown => (typeof value === 'string' ? { cron: value } : value);

/**
 * Checks what somebody says of a schedule.
 * @throws CodedError INVALID_REQUEST naming the field, with one that is right
 */
export function parseScheduleInput(value: unknown): ScheduleInput {
  const plain = plainData(value);
  if (plain.kind === 'problem')
    throw new CodedError('INVALID_REQUEST', plain.problem.message, { field: plain.problem.field });
  const checked = check(scheduleInput, withAgentId(plain.value));
  if (checked.kind === 'ok') return checked.value;
  throw new CodedError('INVALID_REQUEST', checked.problem.message, { field: checked.problem.field });
}

/** Other systems of the family write it so. */
function withAgentId(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, 'agentId')) return value;
  const { agentId: id, ...rest } = value as Record<string, unknown>;
  return { agent_id: id, ...rest };
}

/** An agent that is run by its schedule does not run before, unless it says so; and the schedule's task is its own. */
export function inTune(agent: AgentInput, { mode, task: ofTheSchedule }: AgentSchedule): AgentInput {
  if (mode !== 'run') return agent;
  return { autostart: false, ...(ofTheSchedule === undefined ? {} : { task: ofTheSchedule }), ...agent };
}
