import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { stateHashOf } from './address.ts';
import { errnoOf } from './logger.ts';
import type { ProcessTable } from './tree/process-table.ts';

/** One custodian for each state directory, however many are started at the same time. */
export type Lock = { kind: 'held'; release(): void } | { kind: 'taken'; holder: string };

export function takeLock(stateDir: string, table: ProcessTable): Promise<Lock> {
  return process.platform === 'linux' ? takeAbstractSocket(stateDir) : Promise.resolve(takeLockFile(stateDir, table));
}

/** A name in the kernel, bound by at most one process and gone with it: no file that a crash could leave behind. */
function takeAbstractSocket(stateDir: string): Promise<Lock> {
  const name = `\0openstarry-custodian-${process.getuid?.()}-${stateHashOf(stateDir)}`;
  return new Promise((resolve, reject) => {
    // A process that connects is answered with the holder's pid.
    const server: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`pid ${process.pid}\n`);
    });
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') void holderOf(name).then((holder) => resolve({ kind: 'taken', holder }));
      else reject(error);
    });
    server.listen(name, () => {
      server.on('error', () => {});
      resolve({ kind: 'held', release: () => server.close() });
    });
  });
}

function holderOf(name: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(name);
    const done = () => {
      socket.destroy();
      resolve(text.trim() || 'a process that does not answer');
    };
    socket.setEncoding('utf8').setTimeout(1000, done);
    socket.on('data', (piece: string) => {
      text += piece;
    });
    socket.on('error', done).on('end', done);
  });
}

/** A file made by exactly one, that names its maker; it counts only as long as that very process lives. */
function takeLockFile(stateDir: string, table: ProcessTable): Lock {
  const path = join(stateDir, 'custodian.lock');
  const mine = `${process.pid} ${table.stat(process.pid)?.start ?? 0}`;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, mine);
      closeSync(fd);
      return { kind: 'held', release: () => unlinkSync(path) };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    const [pid, start] = readLock(path).split(' ').map(Number);
    const holder = pid === undefined ? undefined : table.stat(pid);
    if (holder !== undefined && holder.start === start) return { kind: 'taken', holder: `pid ${pid}` };
    try {
      unlinkSync(path);
    } catch {
      // another one was faster
    }
  }
  return { kind: 'taken', holder: readLock(path) };
}

function readLock(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
