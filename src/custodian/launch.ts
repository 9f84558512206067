import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { explainExecFailure, explainUserFailure } from './executable.ts';
import { errnoOf, messageOf } from './logger.ts';
import { MARKER } from './protocol.ts';
import type { SpawnParams } from './protocol.ts';
import { spawnRefusal } from './refusal.ts';
import type { Refusal } from './refusal.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

export interface Launch {
  params: SpawnParams;
  /** Absolute. */
  executable: string;
  marker: string;
  stdinFd: number | undefined;
  logFd: number;
}

export type LaunchResult =
  | { kind: 'started'; child: ChildProcess & { pid: number } }
  /** Nothing was forked, or what was forked never became the program. */
  | { kind: 'failed'; refusal: Promise<Refusal> };

/** Starts the process as the leader of its own session and group. */
export function launch({ params, executable, marker, stdinFd, logFd }: Launch): LaunchResult {
  const [argv0 = executable, ...args] = params.command;
  const explained = (errno: string) =>
    errno === 'EPERM' && params.user ? explainUserFailure(params.user.uid) : explainExecFailure(executable, errno);
  const refusalFor = (error: unknown) => {
    const errno = errnoOf(error);
    return spawnRefusal(errno ?? 'EIO', errno === undefined ? messageOf(error) : explained(errno));
  };
  try {
    // The marker comes first, so that it is found without reading a long environment; a given one has no say.
    const { [MARKER]: _, ...env } = params.env;
    const child = spawn(executable, args, {
      argv0,
      cwd: params.cwd,
      env: { [MARKER]: marker, ...env },
      ...params.user,
      detached: true,
      stdio: [stdinFd ?? 'ignore', logFd, logFd],
    });
    // Node throws some errors of the fork and emits the others at the next tick.
    const failed = new Promise<Refusal>((resolve) => {
      child.once('error', (error) => resolve(refusalFor(error)));
    });
    return isStarted(child) ? { kind: 'started', child } : { kind: 'failed', refusal: failed };
  } catch (error) {
    return { kind: 'failed', refusal: Promise.resolve(refusalFor(error)) };
  }
}

function isStarted(child: ChildProcess): child is ChildProcess & { pid: number } {
  return child.pid !== undefined;
}

/** A file that holds the text and has no name any more, so that nobody else reads it and nothing is left of it. */
export function openStdin(stateDir: string, nonce: string, text: string): number {
  const path = join(stateDir, `stdin-${nonce}`);
  const out = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(out, bytes, done);
    return openSync(path, O_RDONLY | O_NOFOLLOW);
  } finally {
    closeSync(out);
    unlinkSync(path);
  }
}
