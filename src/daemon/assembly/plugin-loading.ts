import { existsSync, readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PluginSettings } from '../../config/config.ts';
import { CodedError } from '../../contract/errors.ts';
import { type InfrastructurePlugin, PLUGIN_API_VERSION } from '../../ports/infrastructure-plugin.ts';
import { nearest } from '../../schema/nearest.ts';

export type PluginKind = 'bus' | 'state';

const OPENS = { bus: 'openBus', state: 'openState' } as const;

/** Loaded when they are used: most daemons need only one of them. */
const BUILT_IN: Record<string, () => Promise<{ default: InfrastructurePlugin }>> = {
  sqlite: async () => ({ default: (await import('../../adapters/sqlite/plugin.ts')).sqlitePlugin }),
  redis: async () => ({ default: (await import('../../adapters/redis/plugin.ts')).redisPlugin }),
};

/**
 * The plugin that `plugins.<kind>.use` names, its manifest checked: one in the box, else a package or file, found from the
 * folder of the configuration file.
 *
 * @throws CodedError PLUGIN_FAILED naming plugin, what was expected and what was found
 */
export async function loadPlugin(
  kind: PluginKind,
  { use }: PluginSettings,
  baseDir: string,
): Promise<InfrastructurePlugin> {
  const failed = failureOf(kind, use);
  const builtIn = Object.hasOwn(BUILT_IN, use) ? BUILT_IN[use] : undefined;
  const load = builtIn ?? ((): Promise<object> => import(locate(use, baseDir, failed)) as Promise<object>);
  const module = await load().catch((error: unknown) => {
    throw error instanceof CodedError ? error : failed(`its code cannot be loaded: ${reasonOf(error)}`, error);
  });
  const plugin = exportedBy(module);
  const wrong = wrongWith(plugin, kind, use);
  if (wrong !== undefined) throw failed(wrong);
  return plugin as InfrastructurePlugin;
}

export type Failure = (says: string, cause?: unknown) => CodedError;

/** Makes the errors of one plugin: each names the setting and the plugin, `says` what is wrong. */
export function failureOf(kind: PluginKind, use: string): Failure {
  return (says, cause) =>
    new CodedError(
      'PLUGIN_FAILED',
      `The plugin ${use} (plugins.${kind}) failed: ${says}`,
      { plugin: use, kind },
      cause,
    );
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** @returns the URL of its module */
function locate(use: string, baseDir: string, failed: Failure): string {
  if (isBuiltin(use)) throw failed('it is a module of Node, and no plugin');
  const require = createRequire(path.join(baseDir, 'openstarry.yaml'));
  try {
    return pathToFileURL(require.resolve(use)).href;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const file = code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' ? importOnly(use, require) : undefined;
    if (file !== undefined) return pathToFileURL(file).href;
    if (code !== 'MODULE_NOT_FOUND') throw failed(`it cannot be found from ${baseDir}: ${reasonOf(error)}`, error);
    throw failed(
      `there is no ${isPath(use) ? 'such file' : 'such package'} as seen from ${baseDir}; ${wayOut(use)}`,
      error,
    );
  }
}

/** A plugin's name becomes the name of a folder, too. */
const NAME = /^(?:@[\w.-]+\/)?\w[\w./-]{0,99}$/;
const isPath = (use: string): boolean => /^\.{0,2}\//.test(use);

function wayOut(use: string): string {
  if (isPath(use)) return 'correct the path, which starts at the folder of the configuration file';
  const near = nearest(use, Object.keys(BUILT_IN));
  const meant = near === undefined ? '' : `did you mean "${near}"? Else `;
  return `${meant}install it there (npm install ${use}), or take one in the box: ${Object.keys(BUILT_IN).join(' or ')}`;
}

/** The file of a package that exports something to `import` alone, which `require.resolve` does not see. */
function importOnly(use: string, require: NodeJS.Require): string | undefined {
  const parts = use.split('/');
  const name = parts.slice(0, use.startsWith('@') ? 2 : 1).join('/');
  const subpath = `.${use.slice(name.length)}`;
  const folder = (require.resolve.paths(use) ?? [])
    .map((each) => path.join(each, name))
    .find((each) => existsSync(path.join(each, 'package.json')));
  if (folder === undefined) return undefined;
  const { exports } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { exports?: unknown };
  const whole =
    isMapping(exports) && Object.keys(exports).some((key) => key.startsWith('.')) ? exports : { '.': exports };
  const target = conditional((whole as Record<string, unknown>)[subpath]);
  return target === undefined ? undefined : path.join(folder, target);
}

function conditional(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (!isMapping(target)) return undefined;
  const key = Object.keys(target).find((each) => ['node', 'import', 'default'].includes(each));
  return key === undefined ? undefined : conditional(target[key]);
}

/** The default export; also that of a module which was compiled to CommonJS. */
function exportedBy(module: object): unknown {
  const first = (module as { default?: unknown }).default;
  const inner = isMapping(first) && !Object.hasOwn(first, 'manifest') ? first['default'] : undefined;
  return inner ?? first;
}

/** @returns what was expected and what was found, or undefined */
function wrongWith(plugin: unknown, kind: PluginKind, use: string): string | undefined {
  if (!isMapping(plugin))
    return `its default export is ${shown(plugin)}; expected an InfrastructurePlugin: { manifest, openBus, openState }`;
  const { manifest } = plugin;
  if (!isMapping(manifest))
    return `its manifest is ${shown(manifest)}; expected { name, type, version, api_version, provides }`;
  const { name, type, version, api_version, provides } = manifest;
  const expected = (field: string, found: unknown, what: string): string =>
    `manifest.${field} is ${shown(found)}; expected ${what}`;
  if (type !== 'infrastructure') return expected('type', type, '"infrastructure"');
  if (api_version !== PLUGIN_API_VERSION) {
    const way = Number(api_version) > PLUGIN_API_VERSION ? 'update the daemon' : 'update the plugin';
    return `${expected('api_version', api_version, `${PLUGIN_API_VERSION}, that of this daemon`)}: ${way}`;
  }
  if (typeof name !== 'string' || !NAME.test(name)) return expected('name', name, 'the name of a package');
  if (!isPath(use) && name !== use) return expected('name', name, `"${use}", as in the configuration`);
  if (typeof version !== 'string' || version === '') return expected('version', version, 'a text such as "1.0.0"');
  if (!Array.isArray(provides) || !provides.every((each) => each === 'bus' || each === 'state'))
    return expected('provides', provides, 'a list of "bus" and "state"');
  if (!provides.includes(kind)) return expected('provides', provides, `one with "${kind}": it cannot be the ${kind}`);
  const open = OPENS[kind];
  return typeof plugin[open] === 'function' ? undefined : `${open} is ${shown(plugin[open])}; expected a function`;
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function') return 'a function';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
