import { spawn } from 'node:child_process';

export interface RunCommandOptions {
  cwd?: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** Ended with SIGKILL when it has not finished by then. */
  timeoutMs?: number;
  /** Killed (SIGKILL) when it has written nothing for this long. */
  silenceMs?: number;
  signal?: AbortSignal;
  onLine?: (line: string) => void;
}

export interface CommandResult {
  /** The exit code, or why there is none: a signal's name, `ENOENT`, `time-out`. */
  code: number | string;
  /** The end of stdout and stderr as they came, at most 64 KB. */
  output: string;
}

const KEPT_OUTPUT = 64 * 1024;

/** Runs a program to its end, without a shell. Never rejects: what went wrong is in the result. */
export function runCommand(command: string, args: string[], options: RunCommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: options.env ?? process.env,
    });
    let output = '';
    let unfinished = '';
    let stoppedFor: string | undefined;
    const stop = (reason: string): void => {
      stoppedFor ??= reason;
      child.kill('SIGKILL');
    };
    const abort = (): void => stop('aborted');
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => stop('time-out'), options.timeoutMs);
    const silence =
      options.silenceMs === undefined
        ? undefined
        : setTimeout(() => stop('time-out without output'), options.silenceMs);
    options.signal?.addEventListener('abort', abort);
    if (options.signal?.aborted === true) abort();

    const collect = (chunk: Buffer): void => {
      silence?.refresh();
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
      const lines = (unfinished + chunk.toString()).split('\n');
      unfinished = lines.pop() ?? '';
      for (const line of lines) options.onLine?.(line);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);

    const finish = (code: number | string): void => {
      clearTimeout(timer);
      clearTimeout(silence);
      options.signal?.removeEventListener('abort', abort);
      resolve({ code: stoppedFor ?? code, output });
    };
    child.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    child.on('close', (code, signal) => finish(code ?? signal ?? 'unknown'));
  });
}
