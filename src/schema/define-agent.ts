import { createHash } from 'node:crypto';
import path from 'node:path';
import type { AgentInput } from '../contract/agent-input.ts';
import type { Definition, Launch } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import type { Rules } from '../domain/agent-state.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';
import type { StopPolicy } from '../domain/stop-policy.ts';
import type { TemplateText } from '../ports/template-source.ts';
import { checksOf } from './checks.ts';
import { dependenciesOf, policyInRun, restartPolicyOf, stopPolicyOf } from './policies.ts';
import { substitute } from './substitute.ts';
import { invalidTemplate, parseTemplate, type Template } from './template.ts';
import { valuesOf } from './variables.ts';

export interface DefineRequest {
  /** Checked by `parseAgentInput` or `parseAgentRequest`. */
  input: AgentInput;
  /** The template that `input.template_id` names. */
  template: TemplateText | null;
  /** All that exist, built in and declared, with the configured defaults applied. */
  faultDomains: Record<string, RestartPolicy>;
  defaults: { stop: StopPolicy };
  /** Folder of the configuration file: relative paths start here. */
  baseDir: string;
}

/** The kernel takes no longer argument or variable (MAX_ARG_STRLEN, its final NUL included). */
const MAX_ARGUMENT_BYTES = 131_071;

/**
 * Puts an agent's input and its template together. Pure: the same arguments give the same definition, on every host.
 *
 * @throws CodedError INVALID_REQUEST for a mistake in the input, TEMPLATE_INVALID for one in the template
 */
export function defineAgent(request: DefineRequest): Definition {
  const { input, faultDomains, defaults } = request;
  if (input.template_id !== undefined && request.template === null) {
    throw new CodedError(
      'TEMPLATE_NOT_FOUND',
      `Template ${input.template_id} of agent ${input.agent_id} is not there`,
      {
        template_id: input.template_id,
      },
    );
  }
  const template = request.template === null ? null : parseTemplate(request.template);
  const faultDomain = input.fault_domain ?? template?.fault_domain ?? 'default';
  if (!Object.hasOwn(faultDomains, faultDomain)) {
    const known = Object.keys(faultDomains).join(', ');
    throw refusal(input, 'fault_domain', `is ${JSON.stringify(faultDomain)}; expected one of ${known}`);
  }
  const fill = filler(request, template);
  const launch = launchOf(request, template, fill);
  const restart = restartPolicyOf(faultDomains[faultDomain] as RestartPolicy, template, input);
  return {
    agent_id: input.agent_id,
    template_id: input.template_id ?? null,
    template_version: request.template?.version ?? null,
    ...(request.template?.stale === undefined ? {} : { template_stale: request.template.stale }),
    fault_domain: faultDomain,
    rules: {
      launchDigest: digestOf(launch),
      restart: input.run ? policyInRun(restart) : restart,
      stop: stopPolicyOf(defaults.stop, template, input),
      ...dependencyRules(request, template),
      ...(input.run ? { finite: true as const } : {}),
      ...(startsByItself(input, template) ? {} : { autostart: false as const }),
    },
    launch,
    ...((input.wake_on_message ?? template?.wake_on_message) ? { wake_on_message: true as const } : {}),
    ...(template?.schedule === undefined ? {} : { schedule: template.schedule }),
    checks: checksOf(input, template, (field, text, ofInput) => fill(field, text, ofInput, false)),
  };
}

/** Not if it is only run by its schedule, or for a run: then it is started for that. */
const startsByItself = (input: AgentInput, template: Template | null): boolean =>
  input.run !== undefined || (input.autostart ?? template?.autostart ?? template?.schedule?.mode !== 'run');

/** The task of the run that it is started for, or its own; null: none. */
const taskOf = (input: AgentInput, template: Template | null): string | null =>
  input.run?.task ?? input.task ?? template?.task ?? (template?.schedule?.mode === 'run' ? template.schedule.task : undefined) ?? null;

function dependencyRules({ input }: DefineRequest, template: Template | null): Pick<Rules, 'dependencies'> {
  const dependencies = dependenciesOf(input, template);
  if (Object.hasOwn(dependencies, input.agent_id))
    throw refusal(input, 'depends_on', `names ${input.agent_id} itself; an agent cannot wait for itself`);
  return Object.keys(dependencies).length === 0 ? {} : { dependencies };
}

/** `ofInput`: the text is the agent's own, not its template's. */
type Fill = (field: string, text: string, ofInput: boolean, references?: boolean) => string;

/** Puts values in the place of `{{names}}`. A name without a value is the mistake of whoever wrote the text. */
function filler(request: DefineRequest, template: Template | null): Fill {
  const { input } = request;
  const task = taskOf(input, template);
  const values = valuesOf(input, request.template, template, task);
  return (field, text, ofInput, references = true) =>
    substitute(
      text,
      (name) => {
        const value = values.get(name);
        if (value !== undefined) return value;
        const says = `${field} uses {{${name}}}, which has no value; known: ${[...values.keys()].join(', ') || 'none'}`;
        if (name === 'task')
          throw new CodedError('INVALID_REQUEST', `${field} uses {{task}}: give the agent a task`, { field: 'task' });
        if (ofInput || request.template === null) throw new CodedError('INVALID_REQUEST', says, { field });
        throw invalidTemplate(request.template, field, says);
      },
      references,
    );
}

function launchOf(request: DefineRequest, template: Template | null, fill: Fill): Launch {
  const { input, baseDir } = request;
  const { command, own } = commandOf(request, template);
  const task = taskOf(input, template);
  const env = { ...template?.env, ...input.env };
  const stdin = input.stdin ?? template?.stdin;
  const envFile = input.env_file ?? template?.env_file;
  const cwd = input.cwd ?? template?.cwd ?? '.';
  const user = input.user ?? template?.user;
  const killMode = input.kill_mode ?? template?.kill_mode;
  const launch: Launch = {
    command: command.map((argument, n) => fill(`command.${n}`, argument, own)),
    env: Object.fromEntries(
      Object.entries(env).map(([name, value]) => [
        name,
        fill(`env.${name}`, value, Object.hasOwn(input.env ?? {}, name)),
      ]),
    ),
    env_file: envFile === undefined ? null : path.resolve(baseDir, envFile),
    cwd: path.resolve(baseDir, fill('cwd', cwd, input.cwd !== undefined, false)),
    stdin: stdin === undefined ? null : fill('stdin', stdin, input.stdin !== undefined, false),
    task,
    ...(user === undefined ? {} : { user }),
    ...(killMode === undefined ? {} : { kill_mode: killMode }),
    may: input.may ?? template?.may ?? { start: [] },
  };
  checkSizes(input, launch);
  return launch;
}

function commandOf(
  { input, template: text }: DefineRequest,
  template: Template | null,
): { command: string[]; own: boolean } {
  if (input.command !== undefined) return { command: input.command, own: true };
  if (template?.command !== undefined) return { command: template.command, own: false };
  if (text === null) throw refusal(input, 'template_id', 'and command are both missing; give one of them');
  throw invalidTemplate(
    text,
    'command',
    'command is missing, and the agent gives none; expected a list such as [python3, agent.py]',
  );
}

function checkSizes(input: AgentInput, launch: Launch): void {
  const texts: [field: string, text: string][] = [
    ...launch.command.map((argument, n): [string, string] => [`command.${n}`, argument]),
    ...Object.entries(launch.env).map(([name, value]): [string, string] => [`env.${name}`, `${name}=${value}`]),
    ['task', `OPENSTARRY_TASK=${launch.task ?? ''}`],
  ];
  for (const [field, text] of texts) {
    const bytes = Buffer.byteLength(text);
    if (bytes <= MAX_ARGUMENT_BYTES) continue;
    throw refusal(
      input,
      field,
      `has ${bytes} bytes; the operating system takes at most ${MAX_ARGUMENT_BYTES}: use stdin or a file`,
    );
  }
}

/** The same for the same launch, whatever the order in which its variables were written. */
function digestOf(launch: Launch): string {
  const { command, env, env_file, cwd, stdin, task, may, user, kill_mode: killMode } = launch;
  const variables = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
  // What came later counts only where it is given: else every agent would be started anew by an upgrade.
  const later = user === undefined && killMode === undefined ? [] : [{ user, killMode }];
  const text = JSON.stringify([command, variables, env_file, cwd, stdin, task, may.start, ...later]);
  return createHash('sha256').update(text).digest('hex');
}

function refusal(input: AgentInput, field: string, says: string): CodedError {
  return new CodedError('INVALID_REQUEST', `Agent ${input.agent_id}: ${field} ${says}`, {
    field,
    agent_id: input.agent_id,
  });
}
