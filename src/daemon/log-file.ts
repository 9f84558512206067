import { constants, openSync, writeSync } from 'node:fs';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Where the log goes, line by line. What the disk does not take is dropped: pino's own file destination ends the process
 * at the first write that fails, and then waits for ever to get rid of its last lines. A log is not worth a daemon.
 */
export function logFile(path: string): { write(line: string): void } {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  let isTorn = false;
  return {
    write(line) {
      const bytes = Buffer.from(isTorn ? `\n${line}` : line);
      try {
        isTorn = writeSync(fd, bytes) < bytes.length;
      } catch {
        // nowhere left to say it
      }
    },
  };
}
