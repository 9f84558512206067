import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';
import type { TemplateText } from '../../src/ports/template-source.ts';
import { defineAgent } from '../../src/schema/define-agent.ts';
import { resolveReferences } from '../../src/schema/resolve-references.ts';

const template = (data: Record<string, unknown>): TemplateText => ({
  id: 'T',
  location: '/t/T.yaml',
  version: 'v1',
  data: { id: 'T', ...data },
});

function define(input: Partial<AgentInput>, text: TemplateText | null = null, baseDir = '/base') {
  const whole = { agent_id: 'a', ...(text === null ? {} : { template_id: 'T' }), ...input };
  return defineAgent({
    input: whole,
    template: text,
    faultDomains: BUILT_IN_FAULT_DOMAINS,
    defaults: { stop: DEFAULT_STOP },
    baseDir,
  });
}

const refused = (code: string, message: string | RegExp) =>
  expect.objectContaining({
    code,
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  });

describe('defineAgent', () => {
  it('needs no template for an agent with a command', () => {
    expect(define({ command: ['python3', 'x.py'] })).toEqual({
      agent_id: 'a',
      template_id: null,
      template_version: null,
      checks: { health: null, limits: null },
      fault_domain: 'default',
      rules: {
        launchDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
        restart: BUILT_IN_FAULT_DOMAINS.default,
        stop: DEFAULT_STOP,
      },
      launch: {
        command: ['python3', 'x.py'],
        env: {},
        env_file: null,
        cwd: '/base',
        stdin: null,
        task: null,
        may: { start: [] },
      },
    });
  });

  it('refuses an agent with neither template nor command', () => {
    expect(() => define({})).toThrow(refused('INVALID_REQUEST', 'template_id and command are both missing'));
  });

  it('refuses a template that is not there, and one of another id', () => {
    expect(() => define({ template_id: 'T' })).toThrow(refused('TEMPLATE_NOT_FOUND', 'Template T of agent a'));
    expect(() => define({}, { ...template({}), id: 'U' })).toThrow(
      refused('TEMPLATE_INVALID', 'id is "T"; expected "U"'),
    );
  });

  it('lets the agent override its template field by field', () => {
    const text = template({
      command: ['prog', 'of-template'],
      env: { A: 'template', B: 'template' },
      fault_domain: 'data',
      restart: 'never',
      backoff: { initial: '1s', max: '5s' },
      stop: { signal: 'SIGINT', grace: '1s' },
      reset_after: '7s',
      success_exit_codes: [0, 9],
      cwd: 'work',
      env_file: '/etc/env',
      stdin: 'hello',
      task: 'default task',
      may: { start: ['X'] },
    });
    const agent = define(
      { env: { B: 'agent' }, backoff: { max: '9s' }, stop: { grace: '2s' }, restart: 'always' },
      text,
    );
    expect(agent).toMatchObject({
      template_id: 'T',
      template_version: 'v1',
      fault_domain: 'data',
      launch: {
        command: ['prog', 'of-template'],
        env: { A: 'template', B: 'agent' },
        cwd: '/base/work',
        env_file: '/etc/env',
        stdin: 'hello',
        task: 'default task',
        may: { start: ['X'] },
      },
      rules: {
        stop: { signal: 'SIGINT', graceMs: 2000 },
        restart: {
          restart: 'always',
          backoff: { initialMs: 1000, factor: 2, maxMs: 9000, jitter: 0.1 },
          resetAfterMs: 7000,
          successExitCodes: [0, 9],
          intensity: { kind: 'unlimited' },
        },
      },
    });
    expect(define({ command: ['own'] }, text).launch.command).toEqual(['own']);
  });

  it('has mail start an agent where it says so, or its template does', () => {
    const waking = template({ command: ['x'], wake_on_message: true });
    expect(define({ template_id: 'T' }, waking).wake_on_message).toBe(true);
    expect(define({ template_id: 'T', wake_on_message: false }, waking)).not.toHaveProperty('wake_on_message');
    expect(define({ command: ['x'], wake_on_message: true }).wake_on_message).toBe(true);
    expect(define({ command: ['x'] })).not.toHaveProperty('wake_on_message');
    // No process has to be replaced for it.
    const digest = (input: Partial<AgentInput>): string => define(input).rules.launchDigest;
    expect(digest({ command: ['x'], wake_on_message: true })).toBe(digest({ command: ['x'] }));
  });

  it('refuses a first delay above the longest, and a fault domain nobody declared', () => {
    expect(() => define({ command: ['x'], backoff: { initial: '2m' } })).toThrow(
      refused('INVALID_REQUEST', 'backoff.initial (2 min) is longer than backoff.max (1 min)'),
    );
    expect(() => define({ command: ['x'], fault_domain: 'toString' })).toThrow(
      refused(
        'INVALID_REQUEST',
        'fault_domain is "toString"; expected one of default, data, strategy, critical, master',
      ),
    );
  });

  it('names the template and its file in what it refuses', () => {
    const where = 'Template T (/t/T.yaml): ';
    expect(() => define({}, template({ command: 'x' }))).toThrow(
      refused('TEMPLATE_INVALID', `${where}command is "x" (string); expected a list`),
    );
    expect(() => define({}, template({}))).toThrow(refused('TEMPLATE_INVALID', `${where}command is missing`));
    expect(() => define({}, template({ commnd: [] }))).toThrow(
      refused('TEMPLATE_INVALID', `${where}commnd is not a known field; did you mean "command"?`),
    );
    expect(() => define({}, template({ group: 'x' }))).toThrow(
      refused('UNSUPPORTED_FIELD', `${where}group is not supported by this version`),
    );
    expect(() => define({}, template({ labels: {} }))).toThrow(
      refused('UNSUPPORTED_FIELD', `${where}labels is not supported`),
    );
    expect(() => define({}, { ...template({}), data: 'text' })).toThrow(
      refused('TEMPLATE_INVALID', `${where}The value is "text" (string); expected a mapping`),
    );
  });

  it('takes another digest when, and only when, the process would have to be another', () => {
    const base: Partial<AgentInput> = { command: ['x', '{{task}}'], env: { A: '1', B: '2' }, task: 't' };
    const digest = (more: Partial<AgentInput>) => define({ ...base, ...more }).rules.launchDigest;
    expect(digest({ env: { B: '2', A: '1' } })).toBe(digest({}));
    const policy: Partial<AgentInput> = {
      labels: { a: 'b' },
      fault_domain: 'data',
      restart: 'never',
      stop: { grace: '1s' },
      backoff: { initial: '1s' },
    };
    expect(digest(policy)).toBe(digest({}));
    const others = [
      { task: 'u' },
      { env: { A: '1' } },
      { cwd: '/' },
      { stdin: '' },
      { env_file: 'e' },
      { may: { start: ['T'] } },
      { command: ['x', 't', ''] },
    ];
    expect(new Set(others.map(digest)).size).toBe(others.length);
    for (const other of others) expect(digest(other)).not.toBe(digest({}));
  });
});

describe('defineAgent with variables', () => {
  const echo = (more: Record<string, unknown>, variables = {}) =>
    template({ command: ['echo', '{{v}}'], variables: { v: more, ...variables } });

  it('fills in variables, task and agent id in command, env, stdin and cwd', () => {
    const text = template({
      command: ['run', '--id={{agent_id}}', '{{ symbol }}/{{depth}}', '{{task}}'],
      env: { S: '{{symbol}}' },
      stdin: 'do: {{task}}',
      cwd: 'work/{{agent_id}}',
      variables: { symbol: { type: 'string' }, depth: { type: 'number', default: 5 }, note: { required: false } },
    });
    expect(define({ variables: { symbol: 'BTC' }, task: 'buy\nlow' }, text).launch).toMatchObject({
      command: ['run', '--id=a', 'BTC/5', 'buy\nlow'],
      env: { S: 'BTC' },
      stdin: 'do: buy\nlow',
      cwd: '/base/work/a',
    });
  });

  it('takes variables as they come where there is no template', () => {
    expect(define({ command: ['x', '{{n}}{{b}}'], variables: { n: 1.5, b: false } }).launch.command).toEqual([
      'x',
      '1.5false',
    ]);
  });

  it('fills in once: what a value contains stays as it is', () => {
    const command = ['echo', '{{a}}', '{{b}}'];
    expect(define({ command, variables: { a: '{{b}}', b: '{{a}}$&$1' } }).launch.command).toEqual([
      'echo',
      '{{b}}',
      '{{a}}$&$1',
    ]);
  });

  it('leaves alone what only looks like a placeholder', () => {
    const command = ['docker', 'ps', '--format', '{{.Names}}', '{{json .}}', '{{', '{ {a} }', '{{}}'];
    expect(define({ command }).launch.command).toEqual(command);
  });

  it.each([
    ['a missing one', {}, {}, 'variables.v is missing; template T (/t/T.yaml) requires a string'],
    [
      'an undeclared one',
      {},
      { v: 'x', vv: 'y' },
      'variables.vv is not a variable of template T (/t/T.yaml), which declares v; did you mean "v"?',
    ],
    ['a number for a text', {}, { v: 5 }, 'variables.v is "5" (number); expected a string, in quotes'],
    ['a text for a number', { type: 'number' }, { v: '5' }, 'variables.v is "5" (string); expected a number'],
    ['a text for a boolean', { type: 'boolean' }, { v: 'true' }, 'expected a boolean'],
    [
      'one that only partly matches',
      { pattern: '[a-z]+' },
      { v: 'abc;rm' },
      'variables.v is "abc;rm"; expected a text that matches [a-z]+ as a whole',
    ],
    ['a newline behind a match', { pattern: '[a-z]+' }, { v: 'abc\n' }, 'as a whole'],
    ['a reserved name', {}, { v: 'x', task: 'x' }, 'variables.task is filled in by the daemon'],
  ])('refuses %s with INVALID_REQUEST', (_, spec, variables, message) => {
    expect(() => define({ variables }, echo(spec))).toThrow(refused('INVALID_REQUEST', message));
  });

  it.each([
    [
      'a default of another type',
      { type: 'number', default: 'x' },
      'variables.v.default is "x" (string); expected a number',
    ],
    [
      'a default that does not match',
      { default: '1', pattern: '[a-z]' },
      'variables.v.default is "1"; expected a text that matches',
    ],
    ['a pattern that is none', { pattern: '(' }, 'variables.v.pattern is "("; expected a regular expression'],
    [
      'a type nobody knows',
      { type: 'int' },
      'variables.v.type is "int" (string); expected one of "string", "number", "boolean"',
    ],
  ])('refuses %s with TEMPLATE_INVALID', (_, spec, message) => {
    expect(() => define({ variables: { v: 'x' } }, echo(spec))).toThrow(refused('TEMPLATE_INVALID', message));
  });

  it('blames whoever uses a name without a value', () => {
    expect(() => define({}, template({ command: ['x', '{{foo}}'] }))).toThrow(
      refused('TEMPLATE_INVALID', 'command.1 uses {{foo}}, which has no value; known: agent_id'),
    );
    expect(() => define({ command: ['x', '{{foo}}'] }, template({}))).toThrow(
      refused('INVALID_REQUEST', 'command.1 uses {{foo}}'),
    );
    expect(() => define({ command: ['x', '{{constructor}}'] })).toThrow(refused('INVALID_REQUEST', '{{constructor}}'));
    expect(() => define({}, template({ command: ['x'], stdin: '{{task}}' }))).toThrow(
      refused('INVALID_REQUEST', 'give the agent a task'),
    );
    expect(() => define({}, echo({}, { agent_id: {} }))).toThrow(
      refused('TEMPLATE_INVALID', 'a name that the daemon fills in itself'),
    );
  });

  it('refuses what is longer than the operating system takes', () => {
    const big = { command: ['x', '{{v}}'], variables: { v: 'é'.repeat(66_000) } };
    expect(() => define(big)).toThrow(
      refused('INVALID_REQUEST', 'command.1 has 132000 bytes; the operating system takes at most 131071'),
    );
  });
});

describe('defineAgent and resolveReferences', () => {
  const environment = { SECRET: 's3cret', HOME: '/home' };
  /** What the process gets as its argument. */
  const argument = (text: string, variables: Record<string, string>) =>
    resolveReferences(define({ command: ['x', text], variables }).launch, environment).command[1];

  it.each([
    ['{{v}}', { v: '${SECRET}' }, '${SECRET}'],
    ['{{v}}', { v: '$${SECRET}$$$${SECRET}' }, '$${SECRET}$$$${SECRET}'],
    ['${{v}}', { v: '{SECRET}' }, '${SECRET}'],
    ['{{v}}{SECRET}', { v: '$' }, '${SECRET}'],
    ['${{v}}{SECRET}', { v: '' }, '${SECRET}'],
    ['${{{v}}}', { v: 'SECRET' }, '${SECRET}'],
    ['${{{v}}:-x}', { v: 'SECRET' }, '${SECRET:-x}'],
    ['${SEC{{v}}}', { v: 'RET' }, '${SECRET}'],
    ['$${{v}}', { v: '{SECRET}' }, '$${SECRET}'],
    ['{{v}}{{w}}', { v: '$', w: '{SECRET}' }, '${SECRET}'],
    ['${HOME}/{{v}}', { v: '${SECRET}' }, '/home/${SECRET}'],
    ['${NONE:-{{v}}}', { v: 'fine' }, 'fine'],
    ['$${HOME}{{v}}', { v: 'x' }, '${HOME}x'],
    ['$$ {{v}} $HOME', { v: '$$' }, '$$ $$ $HOME'],
  ])('make of %j with %j the text %j: no value ever becomes a reference', (text, variables, expected) => {
    expect(argument(text, variables as Record<string, string>)).toBe(expected);
  });
});
