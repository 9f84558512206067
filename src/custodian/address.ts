import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Node cuts a longer path silently at 107 bytes and listens somewhere else. */
const SOCKET_PATH_LIMIT_BYTES = 100;

/** Names a state directory in places that are shared by all of them; the same for every path that leads to it. */
export function stateHashOf(stateDir: string): string {
  return createHash('sha256').update(realpathSync(stateDir)).digest('hex').slice(0, 16);
}

/** Where the sockets of this user are: `$XDG_RUNTIME_DIR/openstarry`, else a folder of the user in the temp directory. */
function runtimeDirOf(env: NodeJS.ProcessEnv): string {
  const xdg = env['XDG_RUNTIME_DIR'];
  if (xdg !== undefined && isAbsolute(xdg) && isOwnDirectory(xdg)) return join(xdg, 'openstarry');
  return join(tmpdir(), `openstarry-${process.getuid?.() ?? 0}`);
}

function isOwnDirectory(path: string): boolean {
  try {
    const stat = statSync(path);
    return stat.isDirectory() && stat.uid === process.getuid?.();
  } catch {
    return false;
  }
}

/** The path on which the custodian of a state directory listens when it starts in this environment. */
export function socketPathOf(stateDir: string, env: NodeJS.ProcessEnv = process.env): string {
  const path = join(runtimeDirOf(env), `${stateHashOf(stateDir)}.sock`);
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_LIMIT_BYTES) {
    throw new Error(
      `The socket path ${path} has ${bytes} bytes, at most ${SOCKET_PATH_LIMIT_BYTES} work: set XDG_RUNTIME_DIR or TMPDIR to a shorter directory`,
    );
  }
  return path;
}

/** Makes the folder of a socket, or refuses one that somebody else could have put there. */
export function ensureSocketFolder(socketPath: string): void {
  const folder = dirname(socketPath);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { mode } = refuseForeignFolder(folder);
  if ((mode & 0o077) !== 0) chmodSync(folder, 0o700);
}

/** In a temp directory for all, anybody can make a folder with our name and listen there for our secrets. */
function refuseForeignFolder(folder: string, owners = [process.getuid?.()]): { mode: number } {
  const stat = lstatSync(folder);
  const wayOut = 'set XDG_RUNTIME_DIR or TMPDIR to a directory of your own';
  if (!stat.isDirectory()) throw new Error(`The socket folder ${folder} is not a directory: ${wayOut}`);
  if (!owners.includes(stat.uid)) {
    throw new Error(`The socket folder ${folder} belongs to uid ${stat.uid}, not to ${owners[0]}: ${wayOut}`);
  }
  return stat;
}

/** What a running custodian writes down about itself: `<state>/custodian.json`. */
export interface CustodianEndpoint {
  pid: number;
  socket: string;
  protocol: number;
  version: string;
  started_at: string;
}

export function endpointFileOf(stateDir: string): string {
  return join(stateDir, 'custodian.json');
}

/**
 * The path on which a running custodian can be reached. It is read from its endpoint file first: the caller's environment
 * (cron, sudo) may name another runtime directory than the one in which the custodian was started.
 */
export function reachableSocketPathOf(stateDir: string, env: NodeJS.ProcessEnv = process.env): string {
  const path = writtenSocketOf(stateDir) ?? socketPathOf(stateDir, env);
  // root may ask the custodian of somebody else, whose state directory it is then
  const owners = [process.getuid?.(), statSync(stateDir).uid];
  if (existsSync(dirname(path))) refuseForeignFolder(dirname(path), owners);
  return path;
}

function writtenSocketOf(stateDir: string): string | undefined {
  try {
    const endpoint = JSON.parse(readFileSync(endpointFileOf(stateDir), 'utf8')) as Partial<CustodianEndpoint>;
    if (typeof endpoint.socket === 'string' && isAbsolute(endpoint.socket)) return endpoint.socket;
  } catch {
    // no endpoint file: the custodian is not there, or still starting
  }
  return undefined;
}
