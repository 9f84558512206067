import { writeSync } from 'node:fs';

/**
 * JSON lines to the standard output. Written straight to the descriptor, and every failure ignored: a full disk or a
 * reader that went away must not end the process that holds all agents.
 */
export interface Logger {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

const STDOUT = 1;

export function createLogger(write: (line: string) => void = (line) => void writeSync(STDOUT, line)): Logger {
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    try {
      write(`${JSON.stringify({ at: new Date().toISOString(), level, name: 'custodian', message, ...fields })}\n`);
    } catch {
      // nowhere left to say it
    }
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

/** The `code` of a system error, such as ENOENT. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

const SHORTAGES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** True for an error that says nothing about what was asked for: this process, or the machine, has run out of something. */
export function isShortage(error: unknown): boolean {
  return SHORTAGES.has(errnoOf(error) ?? '');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
