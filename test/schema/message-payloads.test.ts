import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/domain/messages/message.ts';
import { checkPayload, type DeclaredTypes } from '../../src/schema/message-payloads.ts';

const DECLARED: DeclaredTypes = new Map([
  ['PRICE', (payload: Json) => (typeof payload === 'number' ? undefined : 'payload must be number')],
  ['TASK_DELEGATES', () => undefined],
]);

function problemOf(type: string, payload: Json, where?: string): string | undefined {
  try {
    checkPayload(type, payload, DECLARED, where);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('checkPayload', () => {
  it.each<[string, Json]>([
    ['TEXT', 'hello'],
    ['TEXT', { text: 'hello', anything: [1, null] }],
    ['TASK_DELEGATE', {}],
    ['TASK_DELEGATE', { task_id: 't1', deadline: '5m', whatever: { deep: true } }],
    ['TASK_RESULT', { ok: false, error: 'no data' }],
    ['HEARTBEAT', { progress: 0.5, usage: { tokens: 12 } }],
    ['APPROVAL_DECISION', { incident_id: 'i1', decision: 'approved', by: 'somebody' }],
    ['PRICE', 1.5],
    ['TASK_DELEGATES', 'declared by a user, near as it is'],
    ['my.own-Type_1', null],
    ['TEST', 'a short word may be like one of ours'],
    ['TASK', []],
  ])('accepts %s with %j', (type, payload) => {
    expect(problemOf(type, payload)).toBeUndefined();
  });

  it.each<[string, Json, RegExp]>([
    ['TEXT', 7, /payload is 7 \(number\); expected a text or a mapping \(of TEXT\)/],
    ['STATUS_QUERY', null, /payload is null; expected a mapping/],
    ['TASK_RESULT', { ok: 'yes' }, /payload\.ok is "yes" \(string\); expected true or false/],
    ['APPROVAL_DECISION', { incident_id: 'i1' }, /payload\.decision is missing/],
    ['APPROVAL_DECISION', { decision: 'approved' }, /payload\.incident_id is missing/],
    ['HEARTBEAT', { usage: { tokens: 'many' } }, /payload\.usage\.tokens/],
    ['PRICE', 'high', /^payload must be number$/],
    ['TASK_DELEGTE', {}, /did you mean TASK_DELEGATE\?/],
    ['text', 'x', /did you mean TEXT\?/],
    ['task-result', {}, /did you mean TASK_RESULT\?/],
    ['APROVAL_DECISON', {}, /did you mean APPROVAL_DECISION\?/],
  ])('refuses %s with %j', (type, payload, message) => {
    expect(problemOf(type, payload)).toMatch(message);
  });

  it('names the message of a batch', () => {
    expect(problemOf('TEXT', 7, 'messages.3.')).toMatch(/^messages\.3\.payload is 7/);
    expect(problemOf('PRICE', 'x', 'messages.0.')).toMatch(/^messages\.0\.payload must be number/);
    expect(problemOf('Text', 'x', 'messages.1.')).toMatch(/^messages\.1\.type is "Text"/);
  });
});
