import type { ConfigSource } from './config-source.ts';

/** The value of a setting that names a variable, so that no secret stands in the file. Null if the setting is not there. */
export function secretOf(
  source: ConfigSource,
  where: string[],
  setting: { from_env: string } | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  if (setting === undefined) return null;
  const name = setting.from_env;
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (value) return value;
  const field = [...where, 'from_env'];
  throw source.invalid(field, `${field.join('.')} names ${name}, which is not in the environment or empty; set it`);
}
