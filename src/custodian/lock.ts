import { randomUUID } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { stateHashOf } from './address.ts';
import { errnoOf } from './logger.ts';
import type { ProcessTable } from './tree/process-table.ts';

/** One custodian for each state directory, however many are started at the same time. */
export type Lock = { kind: 'held'; release(): void } | { kind: 'taken'; holder: string };

export async function takeLock(stateDir: string, table: ProcessTable, platform = process.platform): Promise<Lock> {
  return platform === 'linux' ? takeAbstractSocket(stateDir) : takeLockFile(stateDir, table);
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

/**
 * Files numbered one after the other, each made whole by exactly one and naming its maker: the newest counts, as long as
 * that very process lives. Whoever finds it dead makes the next instead of removing it, since who removes a file cannot
 * know that it is still the one that was looked at. The newest is therefore never removed; at the end it is emptied.
 */
function takeLockFile(stateDir: string, table: ProcessTable): Lock {
  const start = table.stat(process.pid)?.start;
  if (start === undefined) throw new Error('This process cannot find itself among the processes');
  const fileOf = (count: number | string) => join(stateDir, `${LOCK_FILE}.${count}`);
  const made = fileOf(`${randomUUID()}.new`);
  writeFileSync(made, `${process.pid} ${start}`, { mode: 0o600 });
  try {
    for (;;) {
      const newest = Math.max(0, ...lockCounts(stateDir));
      const holder = newest === 0 ? 'nobody' : holderIn(fileOf(newest), table);
      if (holder === 'removed') continue;
      if (holder !== 'nobody') return { kind: 'taken', holder: `pid ${holder}` };
      const mine = newest + 1;
      if (!isLinked(made, fileOf(mine))) continue;
      const others = lockCounts(stateDir).filter((count) => count !== mine);
      // Others were faster by more than one, and have removed that number already.
      if (others.some((count) => count > mine)) {
        rmSync(fileOf(mine), { force: true });
        continue;
      }
      for (const count of others) rmSync(fileOf(count), { force: true });
      return { kind: 'held', release: () => writeFileSync(fileOf(mine), '') };
    }
  } finally {
    unlinkSync(made);
  }
}

const LOCK_FILE = 'custodian.lock';

function lockCounts(stateDir: string): number[] {
  return readdirSync(stateDir).flatMap((name) => {
    const count = name.startsWith(`${LOCK_FILE}.`) ? name.slice(LOCK_FILE.length + 1) : '';
    return /^\d+$/.test(count) ? [Number(count)] : [];
  });
}

/** The pid of whoever holds it; `removed` if there is a newer one by now. */
function holderIn(file: string, table: ProcessTable): number | 'nobody' | 'removed' {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'removed';
    throw error;
  }
  const [pid, start] = text.split(' ').map(Number);
  if (pid === undefined || start === undefined) return 'nobody';
  return table.stat(pid)?.start === start ? pid : 'nobody';
}

/** False if the name is taken. */
function isLinked(file: string, name: string): boolean {
  try {
    linkSync(file, name);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}
