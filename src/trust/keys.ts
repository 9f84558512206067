import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CodedError } from '../contract/errors.ts';

const ADMIN_TOKEN_PREFIX = 'ost_';

export interface Keys {
  /** The admin token of the API. */
  token: string;
  tokenFile: string;
  /** Key of all signatures and agent tokens. */
  key: Uint8Array;
}

/**
 * The secrets of a state directory: the files `token` and `key`, made at the first call, readable by their owner only.
 *
 * @throws CodedError STATE_DIR_UNUSABLE if one is open to others, belongs to somebody else, is a link or is damaged
 */
export async function loadKeys(stateDir: string): Promise<Keys> {
  const tokenFile = path.join(stateDir, 'token');
  const keyFile = path.join(stateDir, 'key');
  const token = await readOrMake(tokenFile, ADMIN_TOKEN_PREFIX, 'clients then need the new token');
  const key = await readOrMake(keyFile, '', 'agents that were made through the API must then be made again');
  return { token, tokenFile, key: Buffer.from(key, 'base64url') };
}

const SECRET_BYTES = 32;
const SECRET = /^[A-Za-z0-9_-]{43}$/;

async function readOrMake(file: string, prefix: string, consequence: string): Promise<string> {
  const found = await readSecret(file);
  const text = found ?? (await makeSecret(file, prefix));
  if (text.startsWith(prefix) && SECRET.test(text.slice(prefix.length))) return text;
  throw unusable(file, `is damaged. Restore it, or delete it to have a new one made; ${consequence}`);
}

async function readSecret(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP')
      throw unusable(file, 'is a symbolic link, which is not followed. Put the file itself there', error);
    throw unusable(file, `cannot be opened: ${message}`, error);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw unusable(file, 'is not a regular file. Move it away');
    const uid = process.getuid?.();
    if (uid !== undefined && stat.uid !== uid) {
      throw unusable(file, `belongs to uid ${stat.uid}, and the daemon runs as uid ${uid}. Run it as the owner`);
    }
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
      throw unusable(
        file,
        `has mode ${mode}, so others can read it. Delete it to have a new one made, or: chmod 600 ${file}`,
      );
    }
    return (await handle.readFile('utf8')).trim();
  } finally {
    await handle.close();
  }
}

/** Whole or not at all: written beside, then linked, which fails if somebody else was first; theirs counts then. */
async function makeSecret(file: string, prefix: string): Promise<string> {
  const temporary = `${file}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(`${prefix}${randomBytes(SECRET_BYTES).toString('base64url')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await syncFolder(path.dirname(file));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new CodedError('STORAGE_FULL', `${file} cannot be written: ${message}`, { file }, error);
    }
    throw unusable(file, `cannot be made: ${message}`, error);
  } finally {
    await unlink(temporary).catch(() => {});
  }
  const made = await readSecret(file);
  if (made === undefined) throw unusable(file, 'has vanished while it was made');
  return made;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  await handle.sync().finally(() => handle.close());
}

function unusable(file: string, why: string, cause?: unknown): CodedError {
  return new CodedError('STATE_DIR_UNUSABLE', `${file} ${why}`, { file }, cause);
}
