/** A `${` with what makes it a reference: all of it must have been written by whoever wrote the text. */
const OPENING = /\$+\{(?:[A-Za-z_][A-Za-z0-9_]*(?:\}|:-))?/g;
const PLACEHOLDER = /\{\{ *([A-Za-z_][A-Za-z0-9_.-]*) *\}\}/g;

/**
 * Fills in `{{name}}` in one pass: what a value contains is never filled in again, and never becomes a `${VAR}`
 * reference. Where a value would form one, alone or with the text around it, it is written `$${`, which
 * `resolveReferences` turns into a plain `${`.
 *
 * @param valueOf throws for a name that has no value
 * @param references whether `${VAR}` means something in this text
 */
export function substitute(text: string, valueOf: (name: string) => string, references: boolean): string {
  let result = '';
  /** Where the literal parts of `result` begin and end. */
  const literals: [from: number, to: number][] = [];
  let done = 0;
  const literal = (end: number): void => {
    literals.push([result.length, result.length + end - done]);
    result += text.slice(done, end);
  };
  for (const match of text.matchAll(PLACEHOLDER)) {
    literal(match.index);
    result += valueOf(match[1] as string);
    done = match.index + match[0].length;
  }
  if (done === 0) return text;
  literal(text.length);
  if (!references) return result;
  return result.replaceAll(OPENING, (run, from: number) =>
    literals.some(([start, end]) => start <= from && from + run.length <= end) ? run : `$${run}`,
  );
}
