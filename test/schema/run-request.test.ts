import { describe, expect, it } from 'vitest';
import { parseRunRequest } from '../../src/schema/run-request.ts';

function refusal(value: unknown): { code?: string; field?: string; message: string } {
  try {
    parseRunRequest(value);
  } catch (error) {
    const { code, details, message } = error as { code: string; details: { field?: string }; message: string };
    return { code, ...details, message };
  }
  return { message: 'accepted' };
}

describe('parseRunRequest', () => {
  it('takes what an agent may say, and what the run is', () => {
    const known = { agent_id: 'a', task: 'sum it up', run_id: 'a.2026:1', cleanup: 'delete', timeout: '5m' };
    expect(parseRunRequest(known)).toEqual(known);
    const made = { agent_id: 'a', template_id: 'T', variables: { n: 1 }, labels: { team: 'x' } };
    expect(parseRunRequest(made)).toEqual(made);
    expect(parseRunRequest({ agent_id: 'a', command: ['echo', 'x'], env: { A: 'b' } })).toMatchObject({
      command: ['echo', 'x'],
    });
  });

  it('takes the names of TypeScript, too', () => {
    expect(parseRunRequest({ agentId: 'a', runId: 'r' })).toEqual({ agent_id: 'a', run_id: 'r' });
  });

  it.each([
    [{ run_id: 'a/b' }, 'run_id', 'the id of a run: 1 to 128 letters'],
    [{ run_id: '' }, 'run_id', 'the id of a run'],
    [{ run_id: 7 }, 'run_id', '7 (number)'],
    [{ run_id: `r${'x'.repeat(128)}` }, 'run_id', '1 to 128'],
    [{ timeout: '0.5s' }, 'timeout', 'a duration of whole seconds such as "90s"'],
    [{ timeout: 60 }, 'timeout', 'a duration of whole seconds'],
    [{ cleanup: 'remove' }, 'cleanup', 'one of "keep", "delete"'],
    [{ tsak: 'x' }, 'tsak', 'did you mean "task"?'],
    [{ schedule: { cron: '@daily' } }, 'schedule', 'nothing for a run; remove the field'],
    [{ autostart: false }, 'autostart', 'nothing for a run; remove the field'],
    [{ agent_id: 'a b' }, 'agent_id', 'agent_id'],
  ])('refuses %j naming %s', (fields, field, says) => {
    const seen = refusal({ agent_id: 'a', ...fields });
    expect(seen).toMatchObject({ code: 'INVALID_REQUEST', field });
    expect(seen.message).toContain(says);
  });

  it.each([undefined, null, 1, 'x', [], {}])('refuses %j', (value) => {
    expect(refusal(value).code).toBe('INVALID_REQUEST');
  });

  it('takes no field that the loader or a life sets', () => {
    for (const field of ['run', 'signature', 'restore', 'request_id'])
      expect(refusal({ agent_id: 'a', [field]: {} })).toMatchObject({ code: 'INVALID_REQUEST', field });
  });
});
