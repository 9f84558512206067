/** What the payloads of the daemon's own message types hold. They are loose: whatever else is in one is the sender's. */
import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import { MESSAGE_TYPES, type Json, type MessageType } from '../domain/messages/message.ts';
import { nearest } from './nearest.ts';
import { check } from './problem.ts';

/** Types of users, from `messages.types`: what is wrong with a payload, naming the place in it; undefined if nothing is. */
export type DeclaredTypes = ReadonlyMap<string, (payload: Json) => string | undefined>;

export const MESSAGE_TYPE_PATTERN = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

const id = z.string().min(1).max(256).exactOptional();
const line = z.string().exactOptional();
const progress = z.union([z.string(), z.number()]).exactOptional();
const usage = z.record(z.string(), z.number()).exactOptional();

const report = { state: line, progress, usage };

const PAYLOADS: Record<MessageType, z.ZodType> = {
  TASK_DELEGATE: z.looseObject({ task_id: id, deadline: line }),
  TASK_ACCEPT: z.looseObject({ task_id: id }),
  TASK_REJECT: z.looseObject({ task_id: id, reason: line }),
  TASK_PROGRESS: z.looseObject({ task_id: id, progress, usage }),
  TASK_RESULT: z.looseObject({ task_id: id, ok: z.boolean().exactOptional() }),
  STATUS_QUERY: z.looseObject({}),
  STATUS_REPORT: z.looseObject(report),
  HEARTBEAT: z.looseObject(report),
  ESCALATION: z.looseObject({ incident_id: id, severity: line, summary: line }),
  APPROVAL_REQUEST: z.looseObject({ incident_id: id, summary: line }),
  APPROVAL_DECISION: z.looseObject({
    incident_id: z.string().min(1).max(256),
    decision: z.string().min(1).max(64),
    by: line,
    reason: line,
  }),
  CRON: z.looseObject({ schedule_id: id, scheduled_at: line }),
  CONTROL: z.looseObject({ event: line }),
  TEXT: z.union([z.string(), z.looseObject({})], 'a text or a mapping'),
};

/**
 * Says whether a message of this type may have this payload.
 * @param where of the message in what was sent, for the error: empty, or `messages.3.`
 * @throws CodedError INVALID_REQUEST naming the field, or the type that was most likely meant
 */
export function checkPayload(type: string, payload: Json, declared: DeclaredTypes, where = ''): void {
  const own = declared.get(type);
  if (own !== undefined) {
    const problem = own(payload);
    if (problem !== undefined) throw refusal(`${where}${problem}`, `${where}payload`);
    return;
  }
  if (!isOurs(type)) return checkName(type, declared, where);
  const checked = check(z.looseObject({ payload: PAYLOADS[type] }), { payload });
  if (checked.kind === 'ok') return;
  const { field, message } = checked.problem;
  throw refusal(`${where}${message} (of ${type})`, `${where}${field}`);
}

export const isOurs = (type: string): type is MessageType => (MESSAGE_TYPES as readonly string[]).includes(type);

/** Whoever writes `TASK_DELEGTE` waits for an answer in vain; a short word is more likely a type of his own. */
function checkName(type: string, declared: DeclaredTypes, where: string): void {
  const limit = type.length < 6 ? 0 : type.length < 10 ? 1 : 2;
  const near = nearest(type, [...MESSAGE_TYPES, ...declared.keys()], limit);
  if (near === undefined) return;
  throw refusal(
    `${where}type is ${JSON.stringify(type)}, which is no known type; did you mean ${near}?`,
    `${where}type`,
  );
}

const refusal = (message: string, field: string): CodedError => new CodedError('INVALID_REQUEST', message, { field });
