import { accessSync, constants, openSync, readSync, closeSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { errnoOf } from './logger.ts';
import { spawnRefusal } from './refusal.ts';

/** Where a command is looked for when the environment has no PATH. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Finds the file that a command runs, or refuses with what is wrong. It is done before the fork: once a wrapper runs, a
 * missing program is only an exit code 127.
 */
export function resolveExecutable(command: string, env: Record<string, string>, cwd: string): string {
  checkCwd(cwd);
  if (command.includes('/')) {
    const path = isAbsolute(command) ? command : resolve(cwd, command);
    const errno = whyNotExecutable(path);
    if (errno !== undefined) throw spawnRefusal(errno, notExecutable(path, errno));
    return path;
  }
  const searchPath = env['PATH'] ?? DEFAULT_PATH;
  let found: string | undefined;
  for (const folder of searchPath.split(delimiter)) {
    const path = join(isAbsolute(folder) ? folder : resolve(cwd, folder), command);
    const errno = whyNotExecutable(path);
    if (errno === undefined) return path;
    if (errno === 'EACCES') found ??= path;
  }
  if (found !== undefined) throw spawnRefusal('EACCES', notExecutable(found, 'EACCES'));
  throw spawnRefusal(
    'ENOENT',
    `Cannot find the command "${command}" in PATH (${searchPath}): install it, or give its full path`,
  );
}

function checkCwd(cwd: string): void {
  let errno: string | undefined;
  try {
    if (!statSync(cwd).isDirectory()) errno = 'ENOTDIR';
    else accessSync(cwd, constants.X_OK);
  } catch (error) {
    errno = errnoOf(error) ?? 'EIO';
  }
  if (errno === undefined) return;
  const why = { ENOENT: 'does not exist: create it, or correct `cwd`', ENOTDIR: 'is not a directory: correct `cwd`' }[
    errno
  ];
  throw spawnRefusal(
    errno,
    `The working directory ${cwd} ${why ?? `cannot be entered (${errno}): correct its rights or \`cwd\``}`,
  );
}

function whyNotExecutable(path: string): string | undefined {
  try {
    if (!statSync(path).isFile()) return 'EACCES';
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return errnoOf(error) ?? 'EIO';
  }
}

function notExecutable(path: string, errno: string): string {
  if (errno === 'ENOENT') return `The command ${path} does not exist: correct \`command\` or \`cwd\``;
  if (errno === 'EACCES')
    return `The command ${path} is not an executable file: run \`chmod +x\` on it, or name its interpreter`;
  return `The command ${path} cannot be run (${errno}): correct \`command\``;
}

/** What to say when the kernel refuses a file that looked executable. */
export function explainExecFailure(path: string, errno: string): string {
  if (errno === 'ENOENT') {
    const interpreter = interpreterOf(path);
    if (interpreter !== undefined) {
      return `The command ${path} names the interpreter ${JSON.stringify(interpreter)} in its first line, which does not exist: install it or correct the line`;
    }
    return `The command ${path} cannot be run: its loader or a part of it is missing`;
  }
  if (errno === 'E2BIG')
    return `The arguments and the environment of ${path} are too long for the kernel (E2BIG): pass less, or use stdin`;
  if (errno === 'ENOEXEC')
    return `The command ${path} is not in a format that this machine runs: give it a first line such as #!/bin/sh`;
  if (errno === 'EAGAIN')
    return `The machine has no room for another process (EAGAIN): raise the limit of processes of this user`;
  return `The command ${path} could not be started (${errno})`;
}

/** What to say when the kernel does not let a process become another user. */
export function explainUserFailure(uid: number): string {
  return `The agent cannot run as the user with uid ${uid}: that takes a daemon that runs as root; start it as root, or remove \`user\``;
}

function interpreterOf(path: string): string | undefined {
  const head = Buffer.alloc(256);
  try {
    const fd = openSync(path, 'r');
    try {
      const length = readSync(fd, head, 0, head.length, 0);
      return /^#!\s*([^\n]*)/.exec(head.toString('utf8', 0, length))?.[1];
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
