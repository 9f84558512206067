import { CodedError } from '../contract/errors.ts';

const LINE = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;

/**
 * Reads `NAME=value` lines: `#` begins a comment, `export ` is allowed, values may stand in single quotes (as they are)
 * or double quotes (with `\n`, `\t`, `\"`, `\\`). Nothing in it is expanded.
 *
 * @throws CodedError SPAWN_FAILED, naming file and line, never the value
 */
export function parseEnvFile(file: string, text: string): Record<string, string> {
  const entries: [string, string][] = [];
  for (const [n, raw] of text
    .replace(/^\u{feff}/u, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, name, rest] = LINE.exec(line) ?? [];
    const value = rest === undefined ? undefined : valueOf(rest);
    const refuse = (says: string) =>
      new CodedError('SPAWN_FAILED', `env_file ${file}, line ${n + 1}: ${says}`, { field: 'env_file', file });
    if (name === undefined || value === undefined || name === '__proto__') throw refuse('expected NAME=value');
    if (name.startsWith('OPENSTARRY_')) throw refuse(`${name} is set by the daemon; remove the line`);
    if (value.includes('\0')) throw refuse(`the value of ${name} contains a NUL character`);
    entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}

const ESCAPED: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

/** Undefined for a quote that does not end, or is followed by more than a comment. */
function valueOf(text: string): string | undefined {
  const quote = text[0];
  if (quote !== '"' && quote !== "'") return text.replace(/(?:^|\s+)#.*$/, '');
  const match = (quote === '"' ? /^"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$/ : /^'([^']*)'\s*(?:#.*)?$/).exec(text);
  if (match === null) return undefined;
  const inner = match[1] as string;
  return quote === '"' ? inner.replaceAll(/\\(.)/g, (_, char: string) => ESCAPED[char] ?? char) : inner;
}
