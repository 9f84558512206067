import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { temporalVersion } from './version.ts';

export interface InstallOptions {
  version: string;
  /** Where the binary is to stand. */
  target: string;
  env: Readonly<Record<string, string | undefined>>;
  progress: (line: string) => void;
  signal?: AbortSignal;
}

/** What a killed attempt left is removed by a later one after this time. */
const ABANDONED_MS = 60 * 60_000;

/**
 * Lets `make` write the binary into a folder beside its place, checks its version and moves it there: a name in the cache
 * is either absent or a whole, working binary, whenever the attempt was interrupted.
 */
export async function installBinary(options: InstallOptions, make: (target: string) => Promise<void>): Promise<string> {
  const cache = path.dirname(options.target);
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const workshop = await mkdtemp(path.join(cache, '.making-'));
  try {
    const made = path.join(workshop, 'temporal');
    await make(made);
    await chmod(made, 0o755);
    const version = await temporalVersion(made);
    if (version !== options.version) throw new Error(`what came says it is version ${version}, not ${options.version}`);
    await rename(made, options.target);
    return options.target;
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith('.making-')) continue;
    const folder = path.join(cache, name);
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(folder, { recursive: true, force: true });
  }
}
