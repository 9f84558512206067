import { z } from 'zod';
import { CodedError } from '../contract/errors.ts';
import type { TemplateText } from '../ports/template-source.ts';
import { launchFields, templateId, variableName } from './fields.ts';
import { plainData } from './plain-data.ts';
import { agentSchedule, withCron } from './schedule-input.ts';
import { check, type Problem, strict } from './problem.ts';
import { isUnsupported, unsupportedMessage } from './unsupported.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const variableSchema = strict({
  type: z.enum(['string', 'number', 'boolean']).exactOptional(),
  default: scalar.exactOptional(),
  /** Default: required where there is no `default`. Not required and not given means an empty text. */
  required: z.boolean().exactOptional(),
  /** A regular expression that the whole value, written as text, must match. */
  pattern: z.string().max(1000).exactOptional(),
  description: z.string().exactOptional(),
});

export const templateSchema = strict({
  /** May be left out: the file's name says it. */
  id: templateId.exactOptional(),
  description: z.string().exactOptional(),
  variables: z.record(variableName, variableSchema).exactOptional(),
  ...launchFields,
  /** Of agents that are made through the API or the configuration file. */
  schedule: agentSchedule.exactOptional(),
});

export type Template = z.infer<typeof templateSchema>;
export type VariableSpec = z.infer<typeof variableSchema>;

/** Names that the daemon itself gives a value. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set(['task', 'agent_id']);

/**
 * Checks what a design layer says of a template.
 *
 * @throws CodedError TEMPLATE_INVALID or UNSUPPORTED_FIELD, naming the file and the field
 */
export function parseTemplate(text: TemplateText): Template {
  const plain = plainData(text.data);
  if (plain.kind === 'problem') throw templateError(text, plain.problem);
  const checked = check(templateSchema, withSchedule(plain.value));
  if (checked.kind === 'problem') throw templateError(text, checked.problem);
  const template = checked.value;
  if (template.id !== undefined && template.id !== text.id) {
    const says = `id is ${JSON.stringify(template.id)}; expected ${JSON.stringify(text.id)}, the name that it is found by`;
    throw invalidTemplate(text, 'id', says);
  }
  for (const [name, spec] of Object.entries(template.variables ?? {})) {
    const problem = specProblem(name, spec);
    if (problem !== undefined) throw invalidTemplate(text, `variables.${name}`, problem);
  }
  return template;
}

const withSchedule = (value: unknown): unknown =>
  value !== null && typeof value === 'object' && 'schedule' in value
    ? { ...value, schedule: withCron(value.schedule) }
    : value;

function specProblem(name: string, spec: VariableSpec): string | undefined {
  if (RESERVED_VARIABLES.has(name))
    return `variables.${name} has a name that the daemon fills in itself; choose another`;
  if (spec.pattern !== undefined && compile(spec.pattern) === undefined) {
    return `variables.${name}.pattern is ${JSON.stringify(spec.pattern)}; expected a regular expression`;
  }
  if (spec.default === undefined) return undefined;
  const problem = valueProblem(spec, spec.default);
  return problem && `variables.${name}.default ${problem}`;
}

/** What is wrong with a value for a variable, as the end of a sentence that names it; undefined if nothing is. */
export function valueProblem(spec: VariableSpec, value: string | number | boolean): string | undefined {
  const type = spec.type ?? 'string';
  const seen = JSON.stringify(String(value).slice(0, 60));
  if (typeof value !== type)
    return `is ${seen} (${typeof value}); expected a ${type}${type === 'string' ? ', in quotes' : ''}`;
  if (spec.pattern === undefined || compile(spec.pattern)?.test(String(value))) return undefined;
  return `is ${seen}; expected a text that matches ${spec.pattern} as a whole`;
}

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${pattern})$`, 'u');
  } catch {
    return undefined;
  }
}

function templateError(text: TemplateText, { field, message, unknown }: Problem): CodedError {
  // Labels are an agent's own: they say which one it is, not how its kind is run.
  if (unknown && (isUnsupported(field) || field === 'labels')) {
    const details = { field, template_id: text.id, location: text.location };
    return new CodedError(
      'UNSUPPORTED_FIELD',
      `Template ${text.id} (${text.location}): ${unsupportedMessage(field)}`,
      details,
    );
  }
  return invalidTemplate(text, field, message);
}

/** `says` names the field. */
export function invalidTemplate(text: Pick<TemplateText, 'id' | 'location'>, field: string, says: string): CodedError {
  const details = { field, template_id: text.id, location: text.location };
  return new CodedError('TEMPLATE_INVALID', `Template ${text.id} (${text.location}): ${says}`, details);
}
