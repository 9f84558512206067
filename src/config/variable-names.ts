import { expandReferences } from '../schema/resolve-references.ts';
import { readConfigSource } from './config-source.ts';

/**
 * Names of the variables that a configuration file refers to, as `${NAME}` or `{ from_env: NAME }`, in alphabetical order;
 * also of its agents, which may find theirs in an `env_file` as well.
 * @throws CodedError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export async function variableNamesIn(file: string): Promise<string[]> {
  const { data } = await readConfigSource(file);
  const names = new Set<string>();
  collect(data, names);
  return [...names].toSorted();
}

function collect(value: unknown, names: Set<string>): void {
  if (typeof value === 'string') {
    const noted = (name: string): string => {
      names.add(name);
      return '';
    };
    expandReferences(value, noted, (name) => new Error(`${name} is always found`));
  }
  if (value === null || typeof value !== 'object') return;
  for (const [key, member] of Object.entries(value)) {
    if (key === 'from_env' && typeof member === 'string') names.add(member);
    else collect(member, names);
  }
}
