import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import type { ExitCause } from '../domain/custody.ts';
import { incarnationOf } from '../domain/ids.ts';
import type { LiveRecord, Tombstone } from './journal/custody-state.ts';
import { isAgentName } from './journal/journal-line.ts';
import type { ProcessIdentity } from './identity.ts';
import type { KillMode } from './protocol.ts';

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

/** The incarnation that a marker names, if it is one. */
export function incarnationIn(marker: string): { agent: string; generation: number; nonce: string } | undefined {
  const [, agent, digits, nonce] = /^([^/]+)\/(\d+)\/([^/]+)$/.exec(marker) ?? [];
  const generation = Number(digits);
  if (!isAgentName(agent) || nonce === undefined || !Number.isSafeInteger(generation)) return undefined;
  return { agent, generation, nonce };
}

/** Begins with the seal of its state directory, so that a process can be told for one of ours without a journal. */
export function newNonce(stateDir: string, killMode?: KillMode): string {
  return sealOf(stateDir, killMode) + randomBytes(8).toString('hex');
}

/** Of the directory itself, since two containers may each have one of that path. */
export function sealOf(stateDir: string, killMode: KillMode = 'tree'): string {
  const { dev, ino } = statSync(stateDir);
  return createHash('sha256').update(`${dev}:${ino}:${killMode}`).digest('hex').slice(0, 8);
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
