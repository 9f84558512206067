import type { AgentInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import type { TemplateText } from '../ports/template-source.ts';
import { nearest } from './nearest.ts';
import { RESERVED_VARIABLES, type Template, valueProblem } from './template.ts';

/**
 * What `{{name}}` stands for, by name. With a template its declared variables count, and no others may be given;
 * without one the agent's own do.
 *
 * @throws CodedError INVALID_REQUEST for a value that is missing, of another type, or of a variable that nobody declares
 */
export function valuesOf(
  input: AgentInput,
  text: TemplateText | null,
  template: Template | null,
  task: string | null,
): ReadonlyMap<string, string> {
  const given = input.variables ?? {};
  const values = new Map<string, string>();
  const declared = template?.variables ?? {};
  for (const [name, value] of Object.entries(given)) {
    if (RESERVED_VARIABLES.has(name)) throw refusal(name, 'is filled in by the daemon; choose another name');
    if (template === null) values.set(name, String(value));
    else if (!Object.hasOwn(declared, name)) throw undeclared(name, Object.keys(declared), text);
  }
  for (const [name, spec] of Object.entries(declared)) {
    const value = Object.hasOwn(given, name) ? given[name] : spec.default;
    if (value === undefined) {
      if (spec.required ?? true)
        throw refusal(name, `is missing; template ${text?.id} (${text?.location}) requires a ${spec.type ?? 'string'}`);
      values.set(name, '');
      continue;
    }
    const problem = valueProblem(spec, value);
    if (problem !== undefined) throw refusal(name, problem);
    values.set(name, String(value));
  }
  values.set('agent_id', input.agent_id);
  if (task !== null) values.set('task', task);
  return values;
}

function undeclared(name: string, declared: string[], text: TemplateText | null): CodedError {
  const near = nearest(name, declared);
  const suggestion = near === undefined ? '' : `; did you mean "${near}"?`;
  const known = declared.length === 0 ? 'which declares none' : `which declares ${declared.join(', ')}`;
  return refusal(name, `is not a variable of template ${text?.id} (${text?.location}), ${known}${suggestion}`);
}

function refusal(name: string, says: string): CodedError {
  return new CodedError('INVALID_REQUEST', `variables.${name} ${says}`, { field: `variables.${name}` });
}
