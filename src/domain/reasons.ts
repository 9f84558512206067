/** The sentences that people read in CLI, API and Web UI: every verdict carries one, shown unchanged everywhere. */
import { isUnknownExit, type ExitRecord } from './custody.ts';
import { describeMs } from './duration.ts';

/** `generation 3 exited with code 7 after 2.1 s` */
export function describeExit(exit: ExitRecord): string {
  const after = ` after ${describeMs(exit.ran_ms)}`;
  const who = `generation ${exit.generation}`;
  switch (exit.cause) {
    case 'reboot':
      return `${who} was gone after a reboot`;
    case 'custodian_lost':
      return `${who} ended unseen while its custodian was down; exit code unknown`;
    case 'operator':
      return `${who} was stopped on request (${status(exit)})${after}`;
    case 'unhealthy':
      return `${who} was stopped as unhealthy${because(exit)} (${status(exit)})${after}`;
    case 'limit':
      return `${who} was stopped over its limit${because(exit)} (${status(exit)})${after}`;
    case 'shutdown':
      return `${who} was stopped by the shutdown of the daemon (${status(exit)})${after}`;
    case 'self':
      return exit.signal === null
        ? `${who} exited with ${status(exit)}${after}`
        : `${who} was killed by ${exit.signal}${after}`;
  }
}

const because = ({ why }: ExitRecord): string => (why === undefined ? '' : `: ${why}`);

function status(exit: ExitRecord): string {
  if (isUnknownExit(exit)) return 'exit code unknown';
  return exit.signal ?? `code ${exit.code}`;
}

export function describeBackoff(exit: ExitRecord, restart: number, delayMs: number): string {
  return `${describeExit(exit)}; restart ${restart} in ${describeMs(delayMs)}`;
}

export function describeRestart(exit: ExitRecord | null, restart: number): string {
  return exit === null ? `restart ${restart}` : `restart ${restart}: ${describeExit(exit)}`;
}
