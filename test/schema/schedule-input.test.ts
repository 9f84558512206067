import { describe, expect, it } from 'vitest';
import { parseAgentInput, parseAgentRequest } from '../../src/schema/agent-input.ts';
import { parseScheduleInput } from '../../src/schema/schedule-input.ts';
import { parseTemplate } from '../../src/schema/template.ts';

const refusal = (work: () => unknown): { code?: unknown; field?: unknown; message: string } => {
  try {
    work();
  } catch (error) {
    const { code, details, message } = error as { code: string; details: { field?: string }; message: string };
    return { code, field: details.field, message };
  }
  return { message: 'accepted' };
};

describe('parseScheduleInput', () => {
  it('takes all that a schedule may say', () => {
    const message = { agent_id: 'a', schedule_id: 's', cron: '0 9 * * *', timezone: 'Asia/Seoul', jitter: '30s', payload: { n: [1] }, note: 'x' };
    expect(parseScheduleInput(message)).toEqual(message);
    const run = { agent_id: 'a', every: '10m', mode: 'run', overlap: 'cancel_other', catch_up: '10s', task: 't', timeout: '5m', cleanup: 'delete', template_id: 'T', variables: { n: 1 } };
    expect(parseScheduleInput(run)).toEqual(run);
    expect(parseScheduleInput({ agentId: 'a', after: '5m' })).toEqual({ agent_id: 'a', after: '5m' });
  });

  /** Field at fault, and what a message must hold: the value seen and something that is right. */
  it.each([
    [{ cron: '* * * *' }, 'cron', 'cron is "* * * *" (string); expected a cron expression such as "30 9 * * 1-5": it has 4 fields'],
    [{ cron: '0 9 * * 8' }, 'cron', 'the day of the week "8" is not within 0-7 or a name such as mon; one is "mon-fri"'],
    [{ cron: '*/10 30 9 * * 1-5' }, 'cron', 'write all 7, such as "*/10 30 9 * * 1-5 *"'],
    [{ cron: 5 }, 'cron', 'expected a cron expression such as "30 9 * * 1-5"'],
    [{ cron: '@every 10' }, 'cron', 'one is "@every 1h30m"'],
    [{ every: '500ms' }, 'every', 'expected a duration of whole seconds such as "90s" or "10m"'],
    [{ every: 10 }, 'every', 'expected a duration of whole seconds'],
    [{ at: 'tomorrow' }, 'at', '"2026-12-24T18:00:00Z"'],
    [{ after: '-5m' }, 'after', 'such as "90s" or "10m"'],
    [{ cron: '@daily', timezone: 'Seoul' }, 'timezone', 'did you mean "Asia/Seoul"?'],
    [{ cron: '@daily', catch_up: '5s' }, 'catch_up', 'a duration of at least 10s, such as "1m"'],
    [{ cron: '@daily', catch_up: 'soon' }, 'catch_up', 'expected a duration'],
    [{ cron: '@daily', catch_up: '99999d' }, 'catch_up', 'at most "3650d"'],
    [{ cron: '@daily', overlap: 'SKIP' }, 'overlap', 'one of "skip", "buffer_one"'],
    [{ cron: '@daily', mode: 'start' }, 'mode', 'one of "message", "run"'],
    [{ cron: '@daily', jitter: 'a bit' }, 'jitter', '"500ms"'],
    [{ cron: '@daily', every: '5m' }, 'every', 'exactly one of cron, every, at, after'],
    [{}, 'cron', 'cron is missing; expected exactly one of cron, every, at, after, such as cron: "30 9 * * *"'],
    [{ cron: '@daily', task: 'x' }, 'task', 'nothing here: it is of mode: run'],
    [{ cron: '@daily', mode: 'run', payload: 1 }, 'payload', 'nothing here: it is of mode: message'],
    [{ cron: '@daily', payload: 'x'.repeat(40_000) }, 'payload', 'at most 32768 bytes'],
    [{ cron: '@daily', schedule_id: 'a/b' }, 'schedule_id', '1 to 64 letters'],
    [{ crom: '@daily' }, 'crom', 'did you mean "cron"?'],
    [{ cron: '@daily', note: 'a\0b' }, 'note', 'note '],
  ])('refuses %j naming %s', (fields, field, says) => {
    const seen = refusal(() => parseScheduleInput({ agent_id: 'a', ...fields }));
    expect(seen).toMatchObject({ code: 'INVALID_REQUEST', field });
    expect(seen.message).toContain(says);
  });

  it.each([null, 1, 'x', []])('refuses %j', (value) => {
    expect(refusal(() => parseScheduleInput(value)).code).toBe('INVALID_REQUEST');
  });
});

describe('the schedule of an agent', () => {
  it('may be a cron expression alone, also in a template', () => {
    expect(parseAgentRequest({ agent_id: 'a', schedule: '@daily' })).toEqual({ agent_id: 'a', schedule: { cron: '@daily' } });
    const data = { command: ['x'], schedule: '0 9 * * *' };
    expect(parseTemplate({ id: 'T', location: 'T.yaml', version: 'v', data }).schedule).toEqual({ cron: '0 9 * * *' });
  });

  it('is named where it is wrong', () => {
    expect(refusal(() => parseAgentRequest({ agent_id: 'a', schedule: '61 * * * *' }))).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'schedule.cron',
    });
    expect(refusal(() => parseAgentRequest({ agent_id: 'a', schedule: 5 })).field).toBe('schedule');
    const data = { command: ['x'], schedule: { every: '1ms' } };
    expect(refusal(() => parseTemplate({ id: 'T', location: 'T.yaml', version: 'v', data }))).toMatchObject({
      code: 'TEMPLATE_INVALID',
      field: 'schedule.every',
    });
  });

  it('is no part of its life', () => {
    expect(refusal(() => parseAgentInput({ agent_id: 'a', schedule: '@daily' }))).toMatchObject({
      code: 'UNSUPPORTED_FIELD',
      field: 'schedule',
      message: expect.stringContaining('POST /schedules'),
    });
  });
});
