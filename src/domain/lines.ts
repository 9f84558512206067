/**
 * Cuts a stream of text into lines. A line longer than `maxLength` UTF-16 units makes the splitter report an overflow,
 * after which it swallows everything: the sender has lost the frame and the connection has to go.
 */
export interface LineSplitter {
  /** Takes the next piece and gives back the lines that it completes, without their newline. */
  push(piece: string): string[];
  readonly overflowed: boolean;
}

export function createLineSplitter(maxLength: number): LineSplitter {
  // Pieces of the unfinished line stay apart until it ends, so that a long line is not copied for each piece.
  let pieces: string[] = [];
  let length = 0;
  let overflowed = false;

  return {
    get overflowed() {
      return overflowed;
    },
    push(piece) {
      if (overflowed) return [];
      const lines: string[] = [];
      let from = 0;
      for (;;) {
        const end = piece.indexOf('\n', from);
        const part = end < 0 ? piece.slice(from) : piece.slice(from, end);
        length += part.length;
        if (length > maxLength) {
          overflowed = true;
          pieces = [];
          return lines;
        }
        pieces.push(part);
        if (end < 0) return lines;
        lines.push(pieces.join(''));
        pieces = [];
        length = 0;
        from = end + 1;
      }
    },
  };
}
