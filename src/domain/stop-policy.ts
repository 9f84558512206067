/** How a process is asked to leave before it is made to. */
export interface StopPolicy {
  /** POSIX name of the first signal, sent once to the process group. */
  signal: string;
  /** How long after it SIGKILL follows for all that is left of the tree. Milliseconds. */
  graceMs: number;
}

export const DEFAULT_STOP: StopPolicy = { signal: 'SIGTERM', graceMs: 10_000 };

/** Signals that may be named in a stop policy or sent by an operator. */
export const SIGNALS = [
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGKILL',
  'SIGSTOP',
  'SIGCONT',
  'SIGWINCH',
] as const;
export type SignalName = (typeof SIGNALS)[number];

export function isSignalName(value: unknown): value is SignalName {
  return SIGNALS.includes(value as SignalName);
}
