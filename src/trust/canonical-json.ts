import { CodedError } from '../contract/errors.ts';

const MAX_DEPTH = 64;

/**
 * One text for one value: keys sorted by UTF-16 units, no white space, properties that are `undefined` left out, as JSON
 * does. Two values that are equal after a trip through JSON have the same text.
 *
 * @throws CodedError INVALID_REQUEST for what JSON cannot carry, naming its path
 */
export function canonicalJson(value: unknown): string {
  return write(value, []);
}

function write(value: unknown, path: (string | number)[]): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw refusal(path, String(value));
      return JSON.stringify(value);
    case 'object':
      if (value === null) return 'null';
      if (path.length >= MAX_DEPTH) throw refusal(path, `nesting deeper than ${MAX_DEPTH}`);
      if (Array.isArray(value)) return `[${Array.from(value, (item, n) => write(item, [...path, n])).join(',')}]`;
      return writeObject(value, path);
    default:
      throw refusal(path, typeof value);
  }
}

function writeObject(value: object, path: (string | number)[]): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Another realm's plain objects (a workflow's) have another Object.prototype, which has no prototype itself.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw refusal(path, `an instance of ${value.constructor?.name ?? 'a class'}`);
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${write(member, [...path, key])}`);
  return `{${members.join(',')}}`;
}

function refusal(path: (string | number)[], seen: string): CodedError {
  const where = path.length === 0 ? 'The value' : path.join('.');
  return new CodedError('INVALID_REQUEST', `${where} cannot be written as JSON: ${seen}`, { field: path.join('.') });
}
