import { spawn } from 'node:child_process';
import { NotifierFailure, type Notice, type Notifier } from '../../ports/notifier.ts';

/** For one run of the program. */
const TIMEOUT_MS = 15_000;
const MAX_SAID = 500;

export interface CommandOptions {
  name: string;
  /** Program and arguments; `{{title}}`, `{{text}}`, `{{severity}}` and `{{delivery_id}}` are filled in. */
  command: readonly string[];
  /** Where it runs. @default the daemon's own */
  cwd?: string | undefined;
  /** @default 15000 */
  timeoutMs?: number | undefined;
}

/**
 * Runs a program, which has the notice as JSON on its standard input. No shell is involved. Exit code 0 means that it was
 * taken; 78 (as of a configuration that is wrong) that another attempt is useless.
 */
export function commandNotifier({ name, command, cwd, timeoutMs = TIMEOUT_MS }: CommandOptions): Notifier {
  return {
    name,
    send: (notice, signal) => run(filledIn(command, notice), JSON.stringify(notice), { cwd, timeoutMs, signal }),
  };
}

const PLACE = /\{\{(title|text|severity|delivery_id)\}\}/g;
const NUL = '\0';

/** In one pass: what is filled in is not expanded again. */
function filledIn(command: readonly string[], notice: Notice): string[] {
  const value = (_all: string, field: 'title' | 'text' | 'severity' | 'delivery_id'): string =>
    // No argument can hold it.
    notice[field].replaceAll(NUL, '');
  return command.map((part) => part.replaceAll(PLACE, value));
}

const CONFIGURATION_ERROR = 78;

export function run(
  [program = '', ...args]: readonly string[],
  input: string,
  { cwd, timeoutMs, signal }: { cwd?: string | undefined; timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    let isLate = false;
    // A group of its own, so that what it has started ends with it when its time is over.
    const child = spawn(program, args, { cwd, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // gone already
      }
    };
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, timeoutMs);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    const settle = (failure?: NotifierFailure): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      const message = `Cannot run ${program}: ${error.code ?? error.message}`;
      // Of processes or memory there may be enough again.
      const retryable = error.code === 'EAGAIN' || error.code === 'ENOMEM' || error.code === 'EMFILE';
      settle(new NotifierFailure(message, { retryable, cause: error }));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-MAX_SAID);
    });
    // It need not read it.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('exit', (code, killedBy) => {
      if (code === 0) return settle();
      const how = isLate
        ? `did not end within ${timeoutMs} ms`
        : code === null
          ? `was killed by ${killedBy ?? 'a signal'}`
          : `exited with ${code}`;
      const why = said.trim() === '' ? '' : `: ${said.trim().replaceAll(/\s+/g, ' ')}`;
      settle(new NotifierFailure(`${program} ${how}${why}`, { retryable: code !== CONFIGURATION_ERROR }));
    });
  });
}
