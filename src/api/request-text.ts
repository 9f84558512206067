import { CodedError } from '../contract/errors.ts';

const MAX_DEPTH = 32;

/**
 * Refuses JSON that no agent can be given: NUL and lone surrogates (neither fits into argv, an environment or a file),
 * and nesting that exhausts the stack of whoever walks it. Without recursion, for the same reason.
 * @throws CodedError INVALID_REQUEST, naming the field
 */
export function checkText(body: unknown): void {
  const open: { value: unknown; path: string; depth: number }[] = [{ value: body, path: '', depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, path, depth } = next;
    if (typeof value === 'string') checkString(value, path || 'the body');
    if (typeof value !== 'object' || value === null) continue;
    if (depth === MAX_DEPTH) throw invalid(path.slice(0, 80), `is nested more than ${MAX_DEPTH} levels deep`);
    for (const [key, child] of Object.entries(value)) {
      checkString(key, `a name in ${path || 'the body'}`);
      open.push({ value: child, path: path === '' ? key : `${path}.${key}`, depth: depth + 1 });
    }
  }
}

function checkString(text: string, field: string): void {
  if (text.includes('\0')) throw invalid(field, 'contains a NUL character');
  if (LONE_SURROGATE.test(text)) throw invalid(field, 'contains half of a surrogate pair, which is no character');
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function invalid(field: string, why: string): CodedError {
  return new CodedError('INVALID_REQUEST', `"${field}" ${why}`, { field });
}
