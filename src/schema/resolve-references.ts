import type { Launch } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import { parseEnvFile } from './env-file.ts';

/**
 * `$${` is a plain `${`; `${NAME}` and `${NAME:-default}` are references. Any other `${…}` is left to whoever runs,
 * such as a shell that the command starts.
 */
const REFERENCE = /\$(\$)\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** Expands the references of one text. `missing` is told the name of a variable that neither exists nor has a default. */
export function expandReferences(
  text: string,
  lookup: (name: string) => string | undefined,
  missing: (name: string) => Error,
): string {
  return text.replaceAll(REFERENCE, (_, escaped: string | undefined, name: string, fallback: string | undefined) => {
    if (escaped !== undefined) return '${';
    const value = lookup(name);
    // As in a shell: the default also stands in for an empty value.
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value === undefined) throw missing(name);
    return value;
  });
}

export interface ResolvedLaunch {
  command: string[];
  /** The variables of the env file, overridden by the agent's own. */
  env: Record<string, string>;
}

/**
 * Expands the references of a launch, on the host and at the spawn, so that no secret enters a history. Names are looked
 * up in the env file, then in the daemon's environment.
 *
 * @param envFileText content of `launch.env_file`, which the caller has read
 * @throws CodedError SPAWN_FAILED, naming the field and the variable that is missing
 */
export function resolveReferences(
  launch: Pick<Launch, 'command' | 'env' | 'env_file'>,
  environment: Readonly<Record<string, string | undefined>>,
  envFileText: string | null = null,
): ResolvedLaunch {
  const fromFile = envFileText === null ? {} : parseEnvFile(launch.env_file ?? 'env_file', envFileText);
  const lookup = (name: string): string | undefined => {
    if (Object.hasOwn(fromFile, name)) return fromFile[name];
    return Object.hasOwn(environment, name) ? environment[name] : undefined;
  };
  const expand = (field: string, text: string): string =>
    expandReferences(text, lookup, (name) => {
      const where =
        launch.env_file === null ? "the daemon's environment" : `${launch.env_file} nor in the daemon's environment`;
      const message = `${field} refers to \${${name}}, which is ${launch.env_file === null ? 'not' : 'neither'} in ${where}; set it, or write \${${name}:-default}`;
      return new CodedError('SPAWN_FAILED', message, { field, variable: name });
    });
  const own = Object.entries(launch.env).map(([name, value]): [string, string] => [name, expand(`env.${name}`, value)]);
  return {
    command: launch.command.map((argument, n) => expand(`command.${n}`, argument)),
    env: { ...fromFile, ...Object.fromEntries(own) },
  };
}
