import { setTimeout as pause } from 'node:timers/promises';
import { HttpFailure, parse, send, type Endpoint, type Query } from './http.ts';

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
const TIMEOUT_MS = 30_000;
/** The daemon may be restarting: agents outlive it. */
const RETRY_FOR_MS = 120_000;
/** Short trouble is not worth a word. */
const TELL_AT_ATTEMPT = 3;

export interface CallOptions {
  query?: Query;
  body?: unknown;
  /** For one attempt. @default 30000 */
  timeoutMs?: number;
  /** Trouble that may pass is borne for so long; 0: not at all. @default 120000 */
  retryForMs?: number;
  /** False if the call must not take effect twice: then it is tried again only where it cannot have had any. @default true */
  isRepeatable?: boolean;
  /** The same for each attempt: what has taken effect does so once. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** The daemon's REST API; trouble that may pass (no answer, 429, 503) is borne with growing pauses. */
export class Daemon {
  private readonly endpoint: Endpoint;
  private readonly log: (line: string) => void;

  constructor(endpoint: Endpoint, log: (line: string) => void) {
    this.endpoint = endpoint;
    this.log = log;
  }

  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    return parse(await this.text(method, path, options)) as T;
  }

  /** @throws DaemonError; whatever `signal` was aborted with */
  async text(method: string, path: string, options: CallOptions = {}): Promise<string> {
    const { timeoutMs = TIMEOUT_MS, retryForMs = RETRY_FOR_MS, isRepeatable = true, ...rest } = options;
    const until = performance.now() + retryForMs;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await send(this.endpoint, { method, path, timeoutMs, ...rest });
      } catch (error) {
        if (!isPassing(error) || !(isRepeatable || error.isWithoutEffect)) throw error;
        const pauseMs = Math.max(error.retryAfterMs, pauseOf(attempt));
        if (performance.now() + pauseMs > until) throw error;
        if (attempt === TELL_AT_ATTEMPT) this.log(`tries ${method} ${path} again and again: ${error.message}`);
        await pause(pauseMs, undefined, rest.signal === undefined ? {} : { signal: rest.signal });
      }
    }
  }
}

/** Half of it is chance, so that agents that were cut off together do not come back together. */
export function pauseOf(attempt: number): number {
  const full = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return full / 2 + (Math.random() * full) / 2;
}

/** True if the same call may succeed later. A daemon that has just come back may not have found this process yet. */
export function isPassing(error: unknown): error is HttpFailure {
  if (!(error instanceof HttpFailure)) return false;
  if (error.code === 'STALE_INCARNATION') return error.details['live_generation'] === null;
  return [0, 429, 502, 503, 504].includes(error.status);
}
