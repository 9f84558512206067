import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { CodedError } from '../contract/errors.ts';

export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

const run = promisify(execFile);
const LOOK_UP_MS = 5_000;

/** How `getent` says that there is no such entry. */
const NONE = 2;

/**
 * Finds a user of this machine by name or uid.
 *
 * @throws CodedError SPAWN_FAILED if there is none; an error without a code of ours if that cannot be told for the moment
 */
export async function findUser(wanted: string): Promise<SystemUser> {
  const user = userIn(await passwd(), wanted) ?? (await askedFor(wanted));
  if (user !== undefined) return user;
  const message = `There is no user ${JSON.stringify(wanted)} on this machine: make it, or correct \`user\``;
  throw new CodedError('SPAWN_FAILED', message, { field: 'user', user: wanted });
}

async function passwd(): Promise<string> {
  try {
    return await readFile('/etc/passwd', 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new Error(`Cannot look for a user: ${(error as Error).message}`, { cause: error });
  }
}

/** Users that come from a directory service are in no file. */
async function askedFor(wanted: string): Promise<SystemUser | undefined> {
  try {
    const { stdout } = await run('getent', ['passwd', '--', wanted], { timeout: LOOK_UP_MS });
    return userIn(stdout, wanted);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (code === NONE || code === 'ENOENT') return undefined; // there is none, or nobody to ask
    // Out of time, out of processes, or the directory service is away.
    throw new Error(`Cannot look for the user ${JSON.stringify(wanted)}: ${message.trim()}`, { cause: error });
  }
}

/** Of lines such as `name:x:1000:1000:comment:/home/name:/bin/sh`. */
export function userIn(passwd: string, wanted: string): SystemUser | undefined {
  for (const line of passwd.split('\n')) {
    const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
    if (name !== wanted && uid !== wanted) continue;
    if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid)) continue;
    return { name, uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home };
  }
  return undefined;
}
