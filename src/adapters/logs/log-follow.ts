import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import { lineText, type LogFile, logFilesIn, NEWLINE, withLog } from './log-folder.ts';

/** How often files are checked, whether the system reports changes or not. */
const POLL_MS = 250;
/** Reported changes of a hot file are taken together. */
const SETTLE_MS = 20;
const PIECE_BYTES = 64 * 1024;
/** A longer line comes in parts. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Rounds for which the copy of a file that was cut may keep us waiting. */
const PATIENCE = 4;

/** What the custodian writes in the place of output that it had to cut; see its log rotation. */
const CUT = /^\[custodian: (\d+) bytes of this log were cut here\]\n/;

interface Position {
  generation: number;
  /** How far its current file has been read. */
  offset: number;
  /** Identity of the copy that was made last: a newer one says that the current file starts afresh. */
  rotated: string | undefined;
  /** Rounds since the file was found shorter than what was read of it. */
  waited: number;
}

/** New lines of the newest incarnation, and of all that follow, until `signal` aborts. */
export async function* followFolder(folder: string, signal: AbortSignal): AsyncGenerator<string> {
  // Before the first await, so that a caller that reads the tail after this loses nothing in between.
  let position = endOf(logFilesIn(folder));
  const bell = createBell(folder, signal);
  const lines = createLineBuffer();
  try {
    while (!signal.aborted) {
      // Looked for first: an incarnation starts when the one before is gone, so what that wrote is complete by then.
      const next = logFilesIn(folder).find(({ generation }) => generation > (position?.generation ?? -1))?.generation;
      if (position !== undefined) {
        for (const piece of advance(folder, position)) {
          for (const line of lines.push(piece)) yield line;
          if (signal.aborted) return;
        }
      }
      if (next === undefined || (position?.waited ?? 0) > 0) {
        await bell.rings();
      } else {
        for (const line of lines.flush()) yield line;
        position = { generation: next, offset: 0, rotated: undefined, waited: 0 };
      }
    }
  } finally {
    bell.close();
  }
}

/** The start of the unfinished line at the end of the newest file. */
function endOf(files: LogFile[]): Position | undefined {
  const last = files.at(-1);
  if (last === undefined) return undefined;
  const offset = withLog(last.file, ({ stat, read }) => {
    const from = Math.max(0, stat.size - PIECE_BYTES);
    const newline = read(from, stat.size - from).lastIndexOf(NEWLINE);
    if (newline >= 0) return from + newline + 1;
    return from === 0 ? 0 : stat.size;
  });
  const { generation } = last;
  const rotated = copiesOf(files, generation).at(-1)?.identity;
  return { generation, offset: offset ?? 0, rotated, waited: 0 };
}

/** What has been written since; moves the position on. */
function* advance(folder: string, position: Position): Generator<Buffer> {
  // A file that is rotated is copied, then cut: what had not been read of it is at the end of the copy.
  for (const copy of newCopies(logFilesIn(folder), position)) {
    yield* piecesFrom(copy.file, offsetAfterCut(copy.file, position.offset) ?? position.offset);
    Object.assign(position, { offset: 0, rotated: copy.identity, waited: 0 });
  }
  const file = path.join(folder, `${position.generation}.log`);
  const sizeBytes = withLog(file, ({ stat }) => stat.size);
  if (sizeBytes !== undefined && sizeBytes < position.offset) {
    // Cut: its copy is about to get its name, unless somebody emptied the file by hand, or it grew beyond all limits.
    position.waited += 1;
    if (position.waited <= PATIENCE) return;
    position.offset = offsetAfterCut(file, position.offset) ?? 0;
  }
  position.waited = 0;
  for (const piece of piecesFrom(file, position.offset)) {
    position.offset += piece.length;
    yield piece;
  }
}

/** Where the byte now is that was at `offset` before the custodian cut the file's beginning; undefined if it did not. */
function offsetAfterCut(file: string, offset: number): number | undefined {
  const cut = CUT.exec(withLog(file, ({ read }) => read(0, 200).toString('latin1')) ?? '');
  return cut === null ? undefined : Math.max(0, offset - Number(cut[1]) + cut[0].length);
}

function* piecesFrom(file: string, offset: number): Generator<Buffer> {
  for (let position = offset; ;) {
    const piece = withLog(file, ({ read }) => read(position, PIECE_BYTES));
    if (piece === undefined || piece.length === 0) return;
    position += piece.length;
    yield piece;
  }
}

interface Copy {
  file: string;
  identity: string;
}

/** The copies that were made since the one that is known, oldest first; of an incarnation that is new, all. */
function newCopies(files: LogFile[], { generation, rotated }: Position): Copy[] {
  const copies = copiesOf(files, generation);
  return copies.slice(copies.findIndex(({ identity }) => identity === rotated) + 1);
}

/** None while they are being renamed: the next look will see them all. */
function copiesOf(files: LogFile[], generation: number): Copy[] {
  const rotated = files.filter((log) => log.generation === generation && log.rotation > 0);
  const copies = rotated.flatMap(({ file }) => {
    // An inode may be used again; its time of birth is not.
    const identity = withLog(file, ({ stat }) => `${stat.dev}/${stat.ino}/${stat.birthtimeMs}`);
    return identity === undefined ? [] : [{ file, identity }];
  });
  return copies.length === rotated.length ? copies : [];
}

/** Cuts bytes into lines. */
function createLineBuffer() {
  let pieces: Buffer[] = [];
  let bytes = 0;
  const take = (last: Buffer): string => {
    const line = lineText(Buffer.concat([...pieces, last]));
    pieces = [];
    bytes = 0;
    return line;
  };
  return {
    *push(piece: Buffer): Generator<string> {
      let from = 0;
      for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
        yield take(piece.subarray(from, end));
        from = end + 1;
      }
      if (from === piece.length) return;
      pieces.push(piece.subarray(from));
      bytes += piece.length - from;
      if (bytes >= MAX_LINE_BYTES) yield take(Buffer.alloc(0));
    },
    *flush(): Generator<string> {
      if (bytes > 0) yield take(Buffer.alloc(0));
    },
  };
}

/** Rings when something in the folder may have changed, and every `POLL_MS`: reports can be missing, late or wrong. */
function createBell(folder: string, signal: AbortSignal) {
  let watcher: FSWatcher | undefined;
  let wake: (() => void) | undefined;
  let changed = false;
  const onChange = (): void => {
    changed = true;
    wake?.();
  };
  const open = (): void => {
    try {
      watcher = watch(folder, { persistent: false }, onChange);
      watcher.on('error', close);
    } catch {
      // Not there yet, or no more watches to be had.
    }
  };
  const close = (): void => {
    watcher?.close();
    watcher = undefined;
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      wake = done;
      if (signal.aborted) done();
    });

  return {
    async rings(): Promise<void> {
      if (watcher === undefined) open();
      if (!changed) await pause(POLL_MS);
      if (changed && !signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        changed = false;
      }
    },
    close,
  };
}
