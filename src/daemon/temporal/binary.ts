import { access, constants } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError } from '../../contract/errors.ts';
import { buildTemporal } from './build.ts';
import { downloadTemporal, RELEASES } from './download.ts';
import { TEMPORAL_CLI_VERSION, temporalVersion } from './version.ts';

/** A way by which the binary was found, in the order in which they are tried. */
type TemporalSource = 'environment' | 'cache' | 'path' | 'download' | 'build';

export interface TemporalBinary {
  path: string;
  /** Of the command line tool, such as `1.5.1`. Decides which database it may open. */
  version: string;
  source: TemporalSource;
}

export interface FindTemporalOptions {
  env?: Readonly<Record<string, string | undefined>>;
  /** Told one line at a time what takes long. */
  progress?: (line: string) => void;
  /** Ends a download or a build that is under way. */
  signal?: AbortSignal;
  /** Where `v<version>/<archive>` and `v<version>/checksums.txt` are. */
  releases?: string;
  /** The Go module that pins and builds the binary. */
  moduleDir?: string;
  platform?: string;
  arch?: string;
}

/** Where the pinned binary is kept: `$XDG_CACHE_HOME` or `~/.cache`, then `openstarry/temporal-cli/<version>/temporal`. */
export function cachedTemporalPath(env: Readonly<Record<string, string | undefined>>): string {
  // The specification of XDG_CACHE_HOME says that a relative path is to be ignored.
  const configured = env['XDG_CACHE_HOME'];
  const cache =
    configured !== undefined && path.isAbsolute(configured)
      ? configured
      : path.join(env['HOME'] ?? os.homedir(), '.cache');
  return path.join(cache, 'openstarry', 'temporal-cli', TEMPORAL_CLI_VERSION, 'temporal');
}

/**
 * Finds a Temporal binary: the one that `OPENSTARRY_TEMPORAL_CLI` names, the cached pinned one, a pinned one on PATH, the
 * official download, a build of `tools/temporal`. Whether a server is needed at all is decided before.
 *
 * @throws CodedError TEMPORAL_NOT_FOUND with each way tried and why it failed
 */
export async function findTemporal(options: FindTemporalOptions = {}): Promise<TemporalBinary> {
  const env = options.env ?? process.env;
  const named = env['OPENSTARRY_TEMPORAL_CLI'];
  if (named !== undefined && named !== '') return namedBinary(named);

  const cached = cachedTemporalPath(env);
  const found = { path: cached, version: TEMPORAL_CLI_VERSION };
  // What stands in the cache was checked before it was put there under this name.
  if (await isExecutable(cached)) return { ...found, source: 'cache' };

  const ways: Array<{ source: TemporalSource; name: string; attempt: () => Promise<string> }> = [
    { source: 'path', name: '`temporal` on PATH', attempt: () => pinnedOnPath(env) },
    { source: 'download', name: 'download', attempt: () => downloadTemporal(installOptions(options, env, cached)) },
    { source: 'build', name: 'build with Go', attempt: () => buildTemporal(installOptions(options, env, cached)) },
  ];
  const tried = ['OPENSTARRY_TEMPORAL_CLI: not set', `cache: there is no ${cached}`];
  for (const way of ways) {
    try {
      return { ...found, path: await way.attempt(), source: way.source };
    } catch (error) {
      options.signal?.throwIfAborted();
      tried.push(`${way.name}: ${(error as Error).message}`);
    }
  }
  throw notFound(tried);
}

function installOptions(
  options: FindTemporalOptions,
  env: Readonly<Record<string, string | undefined>>,
  target: string,
) {
  return {
    version: TEMPORAL_CLI_VERSION,
    target,
    env,
    platform: options.platform ?? process.platform,
    arch: options.arch ?? process.arch,
    releases: options.releases ?? RELEASES,
    moduleDir: options.moduleDir ?? fileURLToPath(new URL('../../../tools/temporal', import.meta.url)),
    progress: options.progress ?? (() => {}),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
}

/** A binary that the user names is used whatever its version; if it does not work, nothing else is tried in its place. */
async function namedBinary(named: string): Promise<TemporalBinary> {
  try {
    return { path: path.resolve(named), version: await temporalVersion(named), source: 'environment' };
  } catch (error) {
    throw notFound([
      `OPENSTARRY_TEMPORAL_CLI=${named}: ${(error as Error).message} (unset it to let the other ways be tried)`,
    ]);
  }
}

async function pinnedOnPath(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  for (const folder of (env['PATH'] ?? '').split(path.delimiter).filter((entry) => path.isAbsolute(entry))) {
    const candidate = path.join(folder, 'temporal');
    if (!(await isExecutable(candidate))) continue;
    const version = await temporalVersion(candidate);
    if (version === TEMPORAL_CLI_VERSION) return candidate;
    throw new Error(`${candidate} is version ${version}, and ${TEMPORAL_CLI_VERSION} is needed`);
  }
  throw new Error('there is none');
}

export async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function notFound(tried: string[]): CodedError {
  const message = [
    `Temporal's binary (command line tool ${TEMPORAL_CLI_VERSION}) was not found. Tried, in this order:`,
    ...tried.map((line) => `  - ${line.replaceAll('\n', '\n    ')}`),
    'Do one of these and start again:',
    '  - set TEMPORAL_ADDRESS=<host>:<port> to use a Temporal server that runs already',
    `  - install the Temporal CLI ${TEMPORAL_CLI_VERSION} and set OPENSTARRY_TEMPORAL_CLI to its path`,
    '  - go online, so that it can be downloaded',
    '  - install Go 1.25 or newer, so that it can be built from source',
  ].join('\n');
  return new CodedError('TEMPORAL_NOT_FOUND', message, { tried });
}
