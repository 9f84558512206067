import { z } from 'zod';
import { textOf } from '../schema/problem.ts';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import type { InfrastructureSettings, PluginSettings } from './config.ts';
import { secretOf } from './secret-setting.ts';

const use = textOf(
  'sqlite, redis, the name of a package or a path such as ./plugins/bus.mjs',
  /^(?:\.{0,2}\/\S.*|(?:@[\w.-]+\/)?\w[\w.-]*(?:\/[\w./-]+)?)$/,
).max(4096);

/** What stands beside `use` is for the plugin, which checks it itself. */
export const plugin = z.looseObject({ use }, 'a mapping, such as { use: sqlite }');

const DEFAULT: PluginSettings = { use: 'sqlite', settings: {} };

/**
 * Which plugins keep messages and state, and their settings, with every `{ from_env: NAME }` replaced by the variable.
 *
 * @throws CodedError CONFIG_INVALID if a variable is not there
 */
export function pluginsOf(
  source: ConfigSource,
  { plugins = {} }: ConfigFile,
  env: Readonly<Record<string, string | undefined>>,
): InfrastructureSettings {
  const settingsOf = (kind: 'bus' | 'state'): PluginSettings => {
    const given = plugins[kind];
    if (given === undefined) return DEFAULT;
    const { use: name, ...settings } = resolved(given, ['plugins', kind]) as PluginSettings['settings'] & typeof given;
    return { use: name, settings };
  };
  return { bus: settingsOf('bus'), state: settingsOf('state') };

  function resolved(value: unknown, where: string[]): unknown {
    if (Array.isArray(value)) return value.map((item, n) => resolved(item, [...where, String(n)]));
    if (typeof value !== 'object' || value === null) return value;
    if (isReference(value)) return secretOf(source, where, value, env);
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, resolved(member, [...where, name])]),
    );
  }
}

function isReference(value: object): value is { from_env: string } {
  return Object.keys(value).length === 1 && typeof (value as { from_env?: unknown }).from_env === 'string';
}
