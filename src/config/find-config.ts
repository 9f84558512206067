import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError } from '../contract/errors.ts';

const CONFIG_NAME = 'openstarry.yaml';

const QUICKSTART = fileURLToPath(new URL('../../examples/quickstart', import.meta.url));

export interface ConfigSearch {
  /** The value of `--config`, if given. */
  flag?: string | undefined;
  cwd: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** Folder of the built-in quickstart. */
  quickstartDir?: string;
}

/**
 * The absolute path of the configuration file that counts: `--config`, else `OPENSTARRY_CONFIG`, else `openstarry.yaml`
 * in the working directory, else the built-in quickstart. A folder that is named stands for the `openstarry.yaml` in it.
 *
 * @throws CodedError CONFIG_NOT_FOUND if the one that is named is not there
 */
export function findConfig({ flag, cwd, env = process.env, quickstartDir = QUICKSTART }: ConfigSearch): string {
  if (flag !== undefined) return named(flag, cwd, '--config');
  const variable = env['OPENSTARRY_CONFIG'];
  if (variable) return named(variable, cwd, 'OPENSTARRY_CONFIG');
  const own = path.join(cwd, CONFIG_NAME);
  return existsSync(own) ? own : path.join(quickstartDir, CONFIG_NAME);
}

function named(name: string, cwd: string, by: string): string {
  const file = path.resolve(cwd, name);
  const inside = path.join(file, CONFIG_NAME);
  if (name !== '' && existsSync(inside)) return inside;
  if (name !== '' && existsSync(file)) return file;
  throw new CodedError('CONFIG_NOT_FOUND', `There is no configuration file ${file}, which ${by} names`, { file });
}
