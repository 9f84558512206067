import { expandReferences } from '../schema/resolve-references.ts';
import type { ConfigSource } from './config-source.ts';

/** In agents references stay references: they are resolved on the host, at the spawn. */
const LEFT_ALONE: ReadonlySet<string> = new Set(['agents', 'master']);

/** Expands `${VAR}` and `${VAR:-default}` in the settings of the daemon itself. */
export function expandSettings(
  settings: unknown,
  env: Readonly<Record<string, string | undefined>>,
  invalid: ConfigSource['invalid'],
): unknown {
  const lookup = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined);
  return expand(settings, []);

  function expand(value: unknown, path: string[]): unknown {
    if (typeof value === 'string') {
      return expandReferences(value, lookup, (name) =>
        invalid(
          path,
          `${path.join('.')} refers to \${${name}}, which is not in the environment; set it, or write \${${name}:-default}`,
        ),
      );
    }
    if (Array.isArray(value)) return value.map((item, n) => expand(item, [...path, String(n)]));
    if (value === null || typeof value !== 'object') return value;
    const members = Object.entries(value).map(([key, member]): [string, unknown] => {
      const left = path.length === 0 && LEFT_ALONE.has(key);
      return [key, left ? member : expand(member, [...path, key])];
    });
    return Object.fromEntries(members);
  }
}
