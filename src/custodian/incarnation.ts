import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { ExitCause } from '../domain/custody.ts';
import { incarnationOf } from '../domain/ids.ts';
import type { LiveRecord, Tombstone } from './journal/custody-state.ts';
import type { ProcessIdentity } from './identity.ts';

/** One process life while the custodian holds it: from the spawn (or the adoption) until its exit record is written. */
export interface Incarnation extends ProcessIdentity {
  agent: string;
  /** `<agent>/<generation>` */
  key: string;
  record: LiveRecord;
  /** Only a parent learns the exit code; absent for an adopted process. */
  child?: ChildProcess;
  /** Set when the main process is gone; what is left of the tree is being killed then. */
  ended?: End;
  stopping?: Stopping;
  /** Set while its tree is to stand still. */
  paused?: true;
  /** Resolves when the exit record is written. */
  gone: Promise<void>;
  resolveGone(): void;
}

export interface End {
  code: number | null;
  signal: string | null;
  /** Unless a stop is under way, which names the cause then. */
  cause: ExitCause;
  at: string;
  ranMs: number;
}

export interface Stopping {
  cause: Tombstone['cause'];
  why?: string;
  signal: NodeJS.Signals;
  since: string;
  /** On the monotonic clock. */
  killAtMs: number;
  timer?: NodeJS.Timeout;
  /** Set once its signal went out: each process hears it once. */
  isSignalled?: true;
  /** Set once SIGKILL has been sent. */
  killingSinceMs?: number;
}

export function markerOf(agent: string, generation: number, nonce: string): string {
  return `${incarnationOf(agent, generation)}/${nonce}`;
}

export function newNonce(): string {
  return randomBytes(8).toString('hex');
}

export function createIncarnation(agent: string, record: LiveRecord, child?: ChildProcess): Incarnation {
  let resolveGone = () => {};
  const gone = new Promise<void>((resolve) => {
    resolveGone = resolve;
  });
  const { pid, start, generation } = record;
  return {
    agent,
    key: incarnationOf(agent, generation),
    pid,
    start,
    record,
    gone,
    resolveGone,
    ...(child ? { child } : {}),
  };
}
