import { lineText, type LogFile, NEWLINE, withLog } from './log-folder.ts';

const PIECE_BYTES = 64 * 1024;
/** No tail reads more than this: an agent may write a line that never ends. */
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

/**
 * The last lines of an agent's log files, oldest first, read from their ends. Rotation cuts anywhere, so the files of
 * one incarnation are one text; the last line of an incarnation ends with it, newline or not.
 */
export async function tailOf(files: LogFile[], lines: number): Promise<string[]> {
  const generations = [...new Set(files.map(({ generation }) => generation))].toReversed();
  let budget = MAX_TAIL_BYTES;
  let result: string[] = [];
  for (const generation of generations) {
    if (result.length >= lines || budget <= 0) break;
    const own = files.filter((file) => file.generation === generation).toReversed();
    const { text, bytes } = await tailOfText(own, lines - result.length, budget);
    result = [...text, ...result];
    budget -= bytes;
  }
  return result;
}

/** @param files newest first */
async function tailOfText(files: LogFile[], lines: number, budget: number): Promise<{ text: string[]; bytes: number }> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let newlines = 0;
  let whole = true;
  reading: for (const { file } of files) {
    let position = withLog(file, ({ stat }) => stat.size) ?? 0;
    while (position > 0) {
      // The newline at the very end ends the last line; so one more than `lines` of them is needed.
      if (newlines > lines || bytes >= budget) {
        whole = false;
        break reading;
      }
      const length = Math.min(PIECE_BYTES, position, budget - bytes);
      position -= length;
      const piece = withLog(file, (log) => log.read(position, length));
      if (piece === undefined || piece.length < length) break; // it was rotated meanwhile
      pieces.unshift(piece);
      bytes += piece.length;
      newlines += countNewlines(piece);
      await immediate();
    }
  }
  const split = splitLines(Buffer.concat(pieces));
  // The first line may have begun before what was read.
  const text = whole || split.length <= 1 ? split : split.slice(1);
  return { text: text.slice(-lines), bytes };
}

function splitLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  let from = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
    lines.push(lineText(bytes.subarray(from, end)));
    from = end + 1;
  }
  if (from < bytes.length) lines.push(lineText(bytes.subarray(from)));
  return lines;
}

function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** Lets others have the thread between two pieces. */
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
