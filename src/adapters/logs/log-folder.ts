import { constants, closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync, type Stats } from 'node:fs';
import path from 'node:path';

/** One file of an agent's log: of an incarnation, `rotation` 0 being written to, 1 the one before, and so on. */
export interface LogFile {
  file: string;
  generation: number;
  rotation: number;
}

const NAME = /^(\d{1,15})\.log(?:\.(\d{1,4}))?$/;

/** The log files in a folder, oldest output first; none if the folder is missing, or is a link. */
export function logFilesIn(folder: string): LogFile[] {
  return namesIn(folder)
    .flatMap((name) => {
      const [, generation, rotation = '0'] = NAME.exec(name) ?? [];
      if (generation === undefined) return [];
      return [{ file: path.join(folder, name), generation: Number(generation), rotation: Number(rotation) }];
    })
    .toSorted((a, b) => a.generation - b.generation || b.rotation - a.rotation);
}

function namesIn(folder: string): string[] {
  try {
    return lstatSync(folder).isDirectory() ? readdirSync(folder) : [];
  } catch {
    return []; // not there (yet, or any more)
  }
}

/** An open regular file. What cannot be opened, is a link or something else is as good as missing. */
export interface OpenLog {
  stat: Stats;
  /** Up to `length` bytes from `position` on. */
  read: (position: number, length: number) => Buffer;
}

/** Synchronous: log files lie on a local disk, mostly in the page cache, and pieces are small. */
export function withLog<T>(file: string, use: (log: OpenLog) => T): T | undefined {
  let descriptor: number;
  try {
    // An agent may write to its log folder: a link could lead anywhere, and a pipe would hold us up.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return undefined;
    return use({
      stat,
      read(position, length) {
        const buffer = Buffer.allocUnsafe(length);
        return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
      },
    });
  } finally {
    closeSync(descriptor);
  }
}

/** Text of a line, without the carriage return of those who write one. */
export function lineText(bytes: Buffer): string {
  const end = bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length;
  return bytes.toString('utf8', 0, end);
}

export const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
