import {
  close,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { cutLog } from './space.ts';
import type { LogSpace } from './space.ts';
import { errnoOf } from '../logger.ts';
import type { Logger } from '../logger.ts';

/**
 * Rotation by copy and truncate: the writer keeps its descriptor, so the file itself has to stay. Files are opened for
 * appending, so a writer goes on at the new end. What is written between the last copied byte and the cut is lost; that
 * window is one system call long, as the last piece is copied without a pause.
 */
export interface LogFile {
  path: string;
  max_bytes: number;
  keep: number;
}

export interface LogRotation {
  watch(file: LogFile): void;
  unwatch(path: string): void;
  close(): void;
}

const TICK_MS = 100;
/** Cold files are checked every 20th tick. */
const COLD_TICKS = 20;
const PIECE_BYTES = 256 * 1024;
/** Of a file that outran the checks, this many times its limit is kept, and the older part is cut. */
const KEPT_LIMITS = 2;

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const readAsync = promisify(read);
const writeAsync = promisify(write);
const closeAsync = promisify(close);

interface Watched extends LogFile {
  sizeBytes: number;
  isHot: boolean;
  isRotating: boolean;
}

export function createLogRotation(log: Logger, space: LogSpace): LogRotation {
  const files = new Map<string, Watched>();
  let timer: NodeJS.Timeout | undefined;
  let ticks = 0;

  const check = (file: Watched) => {
    let sizeBytes: number;
    try {
      sizeBytes = statSync(file.path).size;
    } catch {
      return;
    }
    file.isHot = sizeBytes - file.sizeBytes > file.max_bytes / 2;
    file.sizeBytes = sizeBytes;
    if (sizeBytes <= file.max_bytes || file.isRotating) return;
    file.isRotating = true;
    file.isHot = true;
    rotate(file, log)
      .catch((error: unknown) => {
        log.warn('Cannot rotate a log', { path: file.path, errno: errnoOf(error) });
        // On a full disk the copy is what there is no room for. Without the cut the file would fill it for ever.
        if (errnoOf(error) === 'ENOSPC') cutLog(file.path, log);
      })
      .finally(() => {
        file.isRotating = false;
        file.sizeBytes = 0;
      });
  };

  const tick = () => {
    const isColdRound = ticks % COLD_TICKS === 0;
    ticks += 1;
    let hot = false;
    for (const file of files.values()) {
      if (isColdRound || file.isHot) check(file);
      hot ||= file.isHot;
    }
    if (space.look((path) => files.get(path)?.isRotating === true)) hot = true;
    // Between cold rounds there is nothing to wake up for unless a file is hot.
    if (!hot) ticks = 0;
    timer = files.size === 0 ? undefined : setTimeout(tick, hot ? TICK_MS : TICK_MS * COLD_TICKS);
  };

  return {
    watch(file) {
      files.set(file.path, { ...file, sizeBytes: 0, isHot: false, isRotating: false });
      timer ??= setTimeout(tick, TICK_MS * COLD_TICKS);
    },
    unwatch(path) {
      files.delete(path);
    },
    close() {
      clearTimeout(timer);
      files.clear();
    },
  };
}

/** Moves what a log holds to `<path>.1` and the older ones one further; exported for its tests. */
export async function rotate({ path, max_bytes: maxBytes, keep }: LogFile, log: Logger): Promise<void> {
  if (keep < 1) {
    cutLog(path, log);
    return;
  }
  const part = `${path}.part`;
  removeQuietly(part);
  const from = openSync(path, O_RDWR | O_NOFOLLOW);
  let to: number | undefined;
  try {
    to = openSync(part, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0o600);
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const startBytes = fstatSync(from).size;
    const cutBytes = Math.max(0, startBytes - KEPT_LIMITS * maxBytes);
    if (cutBytes > 0) writeSync(to, cutNote(cutBytes));
    let at = cutBytes;
    while (at < startBytes) {
      const { bytesRead } = await readAsync(from, piece, 0, PIECE_BYTES, at);
      if (bytesRead === 0) break;
      for (let done = 0; done < bytesRead;) {
        done += (await writeAsync(to, piece, done, bytesRead - done, null)).bytesWritten;
      }
      at += bytesRead;
    }
    // What came during the copy, without a pause; a writer that is faster than this loop is cut after its limit.
    for (const endBytes = at + maxBytes; at < endBytes;) {
      const count = readSync(from, piece, 0, PIECE_BYTES, at);
      if (count === 0) break;
      for (let done = 0; done < count;) done += writeSync(to, piece, done, count - done);
      at += count;
    }
    const lostBytes = fstatSync(from).size - at;
    ftruncateSync(from, 0);
    if (cutBytes > 0 || lostBytes > 0)
      log.warn('A log grew faster than it was rotated', { path, lost_bytes: cutBytes + Math.max(0, lostBytes) });
  } catch (error) {
    removeQuietly(part);
    throw error;
  } finally {
    closeSync(from);
    if (to !== undefined) await closeAsync(to);
  }
  for (let index = keep - 1; index >= 1; index -= 1) renameQuietly(`${path}.${index}`, `${path}.${index + 1}`);
  renameSync(part, `${path}.1`);
}

/**
 * For a log that has no writer any more and outgrew its limits between two checks: keeps its newest `max_bytes` in
 * place, where the end of the log is looked for.
 */
export function trimLog({ path, max_bytes: maxBytes }: LogFile, log: Logger): void {
  const part = `${path}.trim`;
  let from: number | undefined;
  let to: number | undefined;
  try {
    from = openSync(path, O_RDONLY | O_NOFOLLOW);
    const sizeBytes = fstatSync(from).size;
    if (sizeBytes <= KEPT_LIMITS * maxBytes) return;
    removeQuietly(part);
    to = openSync(part, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0o600);
    const cutBytes = sizeBytes - maxBytes;
    writeSync(to, cutNote(cutBytes));
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let at = cutBytes; ;) {
      const count = readSync(from, piece, 0, PIECE_BYTES, at);
      if (count === 0) break;
      for (let done = 0; done < count;) done += writeSync(to, piece, done, count - done);
      at += count;
    }
    renameSync(part, path);
    log.warn('Cut the log of an ended agent', { path, lost_bytes: cutBytes });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') log.warn('Cannot cut a log', { path, errno: errnoOf(error) });
    removeQuietly(part);
  } finally {
    if (from !== undefined) closeSync(from);
    if (to !== undefined) closeSync(to);
  }
}

const cutNote = (bytes: number) => `[custodian: ${bytes} bytes of this log were cut here]\n`;

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // not there
  }
}

function renameQuietly(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // not there
  }
}
