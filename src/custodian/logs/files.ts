import { closeSync, constants, lstatSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { agentIdOfFile, fileNameOf } from '../../domain/ids.ts';
import { isAgentName } from '../journal/journal-line.ts';

/** The logs of this many incarnations of an agent stay. */
const INCARNATIONS_KEPT = 10;

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** The folder of an agent's logs. No link is followed: an agent could otherwise let us write into any file. */
export function logFolderOf(stateDir: string, agent: string): string {
  return join(stateDir, 'logs', fileNameOf(agent));
}

export function logPathOf(stateDir: string, agent: string, generation: number): string {
  return join(logFolderOf(stateDir, agent), `${generation}.log`);
}

/** The incarnation whose log that is. */
export function incarnationOfLog(stateDir: string, path: string): { agent: string; generation: number } | undefined {
  const [folder, name, ...more] = relative(join(stateDir, 'logs'), path).split('/');
  const digits = /^(\d+)\.log$/.exec(name ?? '')?.[1];
  if (folder === undefined || digits === undefined || more.length > 0) return undefined;
  const agent = agentIdOfFile(folder);
  const generation = Number(digits);
  return isAgentName(agent) && Number.isSafeInteger(generation) ? { agent, generation } : undefined;
}

/** Opens an incarnation's log for its standard output and error. The caller closes it after the fork. */
export function openLog(stateDir: string, agent: string, generation: number): number {
  const folder = logFolderOf(stateDir, agent);
  for (const path of [join(stateDir, 'logs'), folder]) ensureFolder(path);
  return openSync(logPathOf(stateDir, agent, generation), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
}

function ensureFolder(path: string): void {
  try {
    if (lstatSync(path).isDirectory()) return;
  } catch {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return;
  }
  throw Object.assign(new Error(`${path} is in the way: a folder for logs has to be there`), { code: 'ENOTDIR' });
}

export function closeQuietly(fd: number | undefined): void {
  if (fd === undefined) return;
  try {
    closeSync(fd);
  } catch {
    // closed already
  }
}

/** Removes the logs of all but the newest incarnations. */
export async function pruneLogs(stateDir: string, agent: string): Promise<void> {
  const folder = logFolderOf(stateDir, agent);
  const files = (await readdir(folder)).flatMap((name) => {
    const generation = /^(\d+)\.log(?:\.\d+|\.part|\.trim)?$/.exec(name)?.[1];
    return generation === undefined ? [] : [{ name, generation: Number(generation) }];
  });
  const generations = [...new Set(files.map((file) => file.generation))].toSorted((a, b) => b - a);
  const oldest = generations[INCARNATIONS_KEPT - 1];
  if (oldest === undefined) return;
  for (const { name, generation } of files) if (generation < oldest) unlinkSync(join(folder, name));
}
