import { z } from 'zod';
import { nearest } from './nearest.ts';

/** What is wrong with a value that somebody wrote, ready to be told. */
export interface Problem {
  /** Dotted path of the field, such as `stop.grace`; empty for the value as a whole. */
  field: string;
  /** The same, in parts: a name may contain a dot. */
  path: string[];
  /** Names the field, the value seen and what is accepted. */
  message: string;
  /** True if nobody knows a field of this name. */
  unknown: boolean;
}

export type Checked<T> = { kind: 'ok'; value: T } | { kind: 'problem'; problem: Problem };

/** Validates, and turns what zod says into one sentence. */
export function check<T>(schema: z.ZodType<T>, value: unknown): Checked<T> {
  const result = schema.safeParse(value, { error: accepted });
  return result.success
    ? { kind: 'ok', value: result.data }
    : { kind: 'problem', problem: problemOf(result.error, value) };
}

/** An object that has these fields and no others. @param instead where to put what is none of them */
export function strict<Shape extends z.ZodRawShape>(shape: Shape, instead?: string) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return 'a mapping';
      return instead === undefined ? unknownField(issue.keys[0] as string, Object.keys(shape)) : `; ${instead}`;
    },
  });
}

/** A text of this form; `form` completes the sentence "expected …". */
export const textOf = (form: string, pattern: RegExp) => z.string(form).regex(pattern, form);

/** For zod, every message completes the sentence "expected …". */
function problemOf(error: z.ZodError, value: unknown): Problem {
  const issue = error.issues[0] as z.core.$ZodIssue;
  if (issue.code === 'unrecognized_keys') {
    const path = parts([...issue.path, issue.keys[0] as string]);
    const field = dotted(path);
    return { field, path, message: `${field} is not a known field${issue.message}`, unknown: true };
  }
  const path = parts(issue.path);
  const field = dotted(path);
  if (issue.code === 'invalid_key') {
    const name = JSON.stringify(issue.path.at(-1));
    const message = `${name} in ${dotted(issue.path.slice(0, -1))} is no valid name; expected ${issue.issues[0]?.message}`;
    return { field, path, message, unknown: false };
  }
  const found = at(value, issue.path);
  const seen = found === undefined ? 'missing' : secret(issue.path) ? veiled(found) : shown(found);
  return { field, path, message: `${field || 'The value'} is ${seen}; expected ${issue.message}`, unknown: false };
}

function unknownField(name: string, known: string[]): string {
  if (known.length === 0) return '; no fields are known here';
  const near = nearest(name, known);
  return `${near === undefined ? '' : `; did you mean "${near}"?`}; known: ${known.join(', ')}`;
}

function accepted(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return `at least ${String(issue.minimum)}${UNITS[issue.origin] ?? ''}`;
    case 'too_big':
      return `at most ${String(issue.maximum)}${UNITS[issue.origin] ?? ''}`;
    case 'invalid_union':
      return [...new Set(issue.errors.map((errors) => errors[0]?.message))].join(' or ');
    default:
      return issue.message ?? 'another value';
  }
}

const TYPES: Record<string, string> = {
  string: 'a text (in quotes, if YAML takes it for something else)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};
const UNITS: Record<string, string> = { string: ' characters', array: ' entries', record: ' entries' };

const parts = (path: readonly PropertyKey[]): string[] => path.map(String);
export const dotted = (path: readonly PropertyKey[]): string => path.map(String).join('.');

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const key of path) {
    if (found === null || typeof found !== 'object' || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[key];
  }
  return found;
}

/** `"abc" (string)`, shortened: a message must stay readable. */
function shown(value: unknown): string {
  if (value === null) return 'null';
  const text = JSON.stringify(value) ?? typeof value;
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return typeof value === 'object'
    ? `${short} (${Array.isArray(value) ? 'a list' : 'a mapping'})`
    : `${short} (${typeof value})`;
}

/** Values that may be confidential stand in no message and in no log. */
const SECRETS = new Set(['env', 'stdin', 'task', 'signature', 'api_key', 'secret']);
const secret = (path: readonly PropertyKey[]): boolean => path.some((part) => SECRETS.has(String(part)));
const veiled = (value: unknown): string =>
  typeof value === 'string'
    ? `a text of ${value.length} characters`
    : value === null
      ? 'null'
      : `of type ${typeof value}`;
