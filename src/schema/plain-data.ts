import { dotted, type Problem } from './problem.ts';

const MAX_DEPTH = 32;

/**
 * A copy of JSON-like data without properties that are `undefined`, or what stands in the way of using it: a key
 * `__proto__`, a text with NUL or half a surrogate pair (neither can be an argument, a variable or a file name), depth.
 */
export function plainData(value: unknown): { kind: 'ok'; value: unknown } | { kind: 'problem'; problem: Problem } {
  try {
    return { kind: 'ok', value: copy(value, []) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'problem', problem: error.problem };
    throw error;
  }
}

class Refusal extends Error {
  readonly problem: Problem;

  constructor(path: string[], says: string) {
    const field = dotted(path);
    super(says);
    this.problem = { field, path, message: `${field || 'The value'} ${says}`, unknown: false };
  }
}

function copy(value: unknown, path: string[]): unknown {
  if (typeof value === 'string') return usable(value, path);
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value !== 'object')
    throw new Refusal(path, `is ${typeof value === 'number' ? value : `a ${typeof value}`}; expected JSON`);
  if (path.length >= MAX_DEPTH) throw new Refusal(path, `is nested deeper than the limit of ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((item, n) => copy(item, [...path, String(n)]));
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') throw new Refusal([...path, key], 'is not allowed as a name');
    usable(key, [...path, key]);
    if (member !== undefined) result[key] = copy(member, [...path, key]);
  }
  return result;
}

function usable(text: string, path: string[]): string {
  if (text.includes('\0'))
    throw new Refusal(path, 'contains a NUL character, which no argument, variable or file name can hold');
  if (/\p{Surrogate}/u.test(text))
    throw new Refusal(path, 'is no well-formed Unicode: it contains half of a surrogate pair');
  return text;
}
