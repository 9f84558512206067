/**
 * What the daemon prints for the user who started it, a line at a time.
 *
 * The reader may be gone (`start | tee`, and Ctrl-C ends both), and the file that it goes to may be on a full disk:
 * the command line ends then, the daemon must not.
 */
export function speaker(): (line: string) => void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
  return (line) => {
    try {
      process.stdout.write(`${line}\n`);
    } catch {
      // A file is written at once, and may throw.
    }
  };
}
