import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { CodedError } from '../../src/contract/errors.ts';
import { parseAgentInput, parseAgentRequest } from '../../src/schema/agent-input.ts';

const full: AgentInput = {
  agent_id: 'data_worker.007',
  template_id: 'DataAnalystAgent_v1',
  variables: { symbol: 'BTC', depth: 3, live: true },
  labels: { 'team/x': 'alpha' },
  task: 'do it',
  fault_domain: 'data',
  command: ['python3', '-u', ''],
  env: { PATH: '/bin', X: '' },
  env_file: '.env',
  cwd: '.',
  stdin: '{{task}}',
  restart: 'on-failure',
  success_exit_codes: [0, 3],
  backoff: { initial: '0ms', factor: 1.5, max: '30s', jitter: 0 },
  reset_after: '1m',
  stop: { signal: 'SIGINT', grace: '3s' },
  may: { start: ['Reporter_v1'] },
};
const owned: Partial<AgentInput> = {
  origin: 'file /x/openstarry.yaml',
  created_by: 'master',
  request_id: 'r-1',
  signature: 'abc',
  restore: {
    desired: 'stopped',
    generation: 2,
    handled: 2,
    failures: { consecutive: 1, timesMs: [1.5] },
    episode: { number: 1, incident: true },
    restarts: 3,
    lastExit: { generation: 2, code: null, signal: 'SIGKILL', cause: 'self', at: 'now', ran_ms: 12.5 },
    phase: 'disabled',
    reason: 'gave up',
  },
};

function errorOf(value: unknown, parse = parseAgentRequest): { code: string; message: string; field: unknown } {
  try {
    parse(value);
  } catch (error) {
    expect(error).toBeInstanceOf(CodedError);
    const { code, message, details } = error as CodedError;
    return { code, message, field: details['field'] };
  }
  throw new Error('was accepted');
}

describe('parseAgentInput', () => {
  it('accepts every field of the contract, unchanged', () => {
    expect(parseAgentInput({ ...full, ...owned })).toEqual({ ...full, ...owned });
    expect(parseAgentInput({ agent_id: 'a' })).toEqual({ agent_id: 'a' });
  });

  it('never throws anything but a coded error that names the trouble', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything({ withNullPrototype: true }),
          fc
            .record({ agent_id: fc.constant('a') })
            .chain((base) =>
              fc
                .dictionary(fc.constantFrom(...Object.keys(full), '__proto__', 'x'), fc.jsonValue())
                .map((more) => ({ ...more, ...base })),
            ),
        ),
        (value) => {
          try {
            parseAgentInput(value);
          } catch (error) {
            expect(error).toMatchObject({ name: 'CodedError' });
          }
        },
      ),
    );
  });
});

describe('parseAgentRequest', () => {
  it('accepts what a caller may write, and takes agentId and templateId for their names', () => {
    expect(parseAgentRequest(full)).toEqual(full);
    expect(parseAgentRequest({ agentId: 'a', templateId: 'T' })).toEqual({ agent_id: 'a', template_id: 'T' });
    expect(parseAgentRequest({ agent_id: 'a', agentId: 'a' })).toEqual({ agent_id: 'a' });
    expect(errorOf({ agent_id: 'a', agentId: 'b' })).toMatchObject({ code: 'INVALID_REQUEST', field: 'agent_id' });
  });

  it('refuses the name that stands for the admin, whoever asks for it', () => {
    const refused = { code: 'INVALID_REQUEST', field: 'agent_id' };
    expect(errorOf({ agent_id: 'admin' })).toMatchObject(refused);
    expect(() => parseAgentInput({ agent_id: 'admin', template_id: 'T' })).toThrow(/stands? for|admin token/);
  });

  it('takes the number 0 for a duration', () => {
    expect(parseAgentRequest({ agent_id: 'a', backoff: { initial: 0 } })).toEqual({
      agent_id: 'a',
      backoff: { initial: '0ms' },
    });
  });

  it('leaves out what is undefined', () => {
    expect(Object.keys(parseAgentRequest({ agent_id: 'a', cwd: undefined }))).toEqual(['agent_id']);
  });

  it.each(Object.entries(owned))('refuses %s, which only the daemon sets', (field, value) => {
    expect(errorOf({ agent_id: 'a', [field]: value })).toEqual({
      code: 'INVALID_REQUEST',
      field,
      message: `${field} is set by the daemon; remove the field`,
    });
  });

  it.each([
    'priority',
    'relocate',
    'registry',
    'plugins',
    'escalation',
    'ports',
  ])('refuses %s, which is not built yet, with UNSUPPORTED_FIELD', (field) => {
    expect(errorOf({ agent_id: 'a', [field]: {} })).toMatchObject({ code: 'UNSUPPORTED_FIELD', field });
  });

  it('refuses a stop command with UNSUPPORTED_FIELD', () => {
    expect(errorOf({ agent_id: 'a', stop: { command: ['x'] } })).toMatchObject({
      code: 'UNSUPPORTED_FIELD',
      field: 'stop.command',
    });
  });

  it.each<[string, unknown, string, string]>([
    ['a body that is no object', [], '', 'The value is [] (a list); expected a mapping'],
    ['null', null, '', 'The value is null; expected a mapping'],
    ['no agent_id', {}, 'agent_id', 'agent_id is missing; expected 1 to 64 letters'],
    ['an agent_id that escapes', { agent_id: '../x' }, 'agent_id', 'agent_id is "../x" (string); expected 1 to 64'],
    ['an agent_id with a newline at its end', { agent_id: 'a\n' }, 'agent_id', 'expected 1 to 64'],
    ['an agent_id that is a number', { agent_id: 7 }, 'agent_id', 'agent_id is 7 (number); expected'],
    [
      'a mistyped field',
      { agent_id: 'a', comand: ['x'] },
      'comand',
      'comand is not a known field; did you mean "command"?; known: agent_id,',
    ],
    ['an unknown field', { agent_id: 'a', zzzzz: 1 }, 'zzzzz', 'zzzzz is not a known field; known: agent_id,'],
    ['a mistyped nested field', { agent_id: 'a', stop: { gracee: '1s' } }, 'stop.gracee', 'did you mean "grace"?'],
    [
      'a command line',
      { agent_id: 'a', command: 'python3 x.py' },
      'command',
      'command is "python3 x.py" (string); expected a list',
    ],
    ['an empty command', { agent_id: 'a', command: [] }, 'command', 'at least the program'],
    ['an empty program', { agent_id: 'a', command: ['', 'x'] }, 'command', 'a program as its first entry'],
    [
      'a number in the command',
      { agent_id: 'a', command: ['sleep', 5] },
      'command.1',
      'command.1 is 5 (number); expected a text (in quotes',
    ],
    ['NUL in the command', { agent_id: 'a', command: ['a\0b'] }, 'command.0', 'command.0 contains a NUL character'],
    ['half a surrogate pair', { agent_id: 'a', task: 'x\ud800' }, 'task', 'half of a surrogate pair'],
    [
      'a bad variable name',
      { agent_id: 'a', env: { 'A-B': 'x' } },
      'env.A-B',
      '"A-B" in env is no valid name; expected a letter or underscore',
    ],
    [
      'a variable of ours',
      { agent_id: 'a', env: { OPENSTARRY_TOKEN: 'x' } },
      'env.OPENSTARRY_TOKEN',
      'set by the daemon',
    ],
    ['an environment that is a list', { agent_id: 'a', env: ['A=1'] }, 'env', 'expected a mapping'],
    [
      'a restart of another kind',
      { agent_id: 'a', restart: 'yes' },
      'restart',
      'restart is "yes" (string); expected one of "always", "on-failure", "never"',
    ],
    [
      'a signal nobody knows',
      { agent_id: 'a', stop: { signal: 'TERM' } },
      'stop.signal',
      'stop.signal is "TERM" (string); expected one of "SIGTERM"',
    ],
    [
      'a duration without unit',
      { agent_id: 'a', stop: { grace: 5 } },
      'stop.grace',
      'stop.grace is 5 (number); expected a duration',
    ],
    [
      'a duration of words',
      { agent_id: 'a', reset_after: 'soon' },
      'reset_after',
      'reset_after is "soon" (string); expected a duration',
    ],
    [
      'a jitter above 1',
      { agent_id: 'a', backoff: { jitter: 2 } },
      'backoff.jitter',
      'backoff.jitter is 2 (number); expected at most 1',
    ],
    ['an exit code of 256', { agent_id: 'a', success_exit_codes: [256] }, 'success_exit_codes.0', 'at most 255'],
    [
      'a variable that is a list',
      { agent_id: 'a', variables: { x: [] } },
      'variables.x',
      'variables.x is [] (a list); expected a text',
    ],
    [
      'too many labels',
      { agent_id: 'a', labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`l${n}`, 'x'])) },
      'labels',
      'at most 64 labels',
    ],
  ])('refuses %s, naming the field', (_, value, field, message) => {
    const error = errorOf(value);
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', field });
    expect(error.message).toContain(message);
  });

  it('refuses an own key __proto__ wherever it stands', () => {
    for (const text of [
      '{"agent_id":"a","__proto__":{}}',
      '{"agent_id":"a","env":{"__proto__":"x"}}',
      '{"agent_id":"a","variables":{"__proto__":1}}',
    ]) {
      expect(errorOf(JSON.parse(text))).toMatchObject({
        code: 'INVALID_REQUEST',
        field: expect.stringMatching(/__proto__$/),
      });
    }
  });

  it('takes names that every object has, such as constructor, for names', () => {
    const odd = { agent_id: 'a', env: { constructor: 'x', toString: 'y' }, variables: { hasOwnProperty: 1 } };
    expect(parseAgentRequest(odd)).toEqual(odd);
  });

  it('keeps values that may be confidential out of its messages', () => {
    expect(errorOf({ agent_id: 'a', env: { TOKEN: ['s3cret'] } }).message).not.toContain('s3cret');
    expect(errorOf({ agent_id: 'a', stdin: { s3cret: 1 } }).message).not.toContain('s3cret');
  });

  it('refuses what is larger than 256 KiB with PAYLOAD_TOO_LARGE', () => {
    expect(errorOf({ agent_id: 'a', stdin: 'x'.repeat(262_144) }).code).toBe('PAYLOAD_TOO_LARGE');
    expect(errorOf({ agent_id: 'a', task: 'x'.repeat(100_000) })).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'task',
    });
  });

  it('refuses a nesting that never ends', () => {
    const cycle: Record<string, unknown> = { agent_id: 'a' };
    cycle['variables'] = cycle;
    expect(errorOf(cycle).message).toContain('nested deeper than the limit of 32 levels');
  });
});
