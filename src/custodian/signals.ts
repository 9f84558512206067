import { constants } from 'node:os';
import { isSafePid, statOf } from './identity.ts';
import type { ProcessIdentity } from './identity.ts';
import { errnoOf } from './logger.ts';
import type { Logger } from './logger.ts';
import type { ProcessTable } from './tree/process-table.ts';

export type SignalResult = 'sent' | 'gone' | 'refused';

export interface Signaller {
  /** To one process, or to all of process group `group`, of which the target must be a member. Throws if it cannot be read. */
  send(target: ProcessIdentity, signal: NodeJS.Signals, group?: number): SignalResult;
  /** Pids that are never signalled: this process and the daemon's. */
  readonly forbidden: ReadonlySet<number>;
  /** Names the daemon that is connected now; undefined when it has gone, as its pid may then become an agent's. */
  protectDaemon(pid: number | undefined): void;
}

export function isSignalName(value: unknown): value is NodeJS.Signals {
  return typeof value === 'string' && Object.hasOwn(constants.signals, value);
}

/**
 * The only place that signals. The start time is read again right before: between this reading and the kill lie
 * microseconds, and for a child of our own not even those, as its pid is not free before we have reaped it.
 */
export function createSignaller(table: ProcessTable, log: Logger): Signaller {
  let forbidden: ReadonlySet<number> = new Set([process.pid]);
  return {
    get forbidden() {
      return forbidden;
    },
    protectDaemon(pid) {
      forbidden = new Set(pid === undefined ? [process.pid] : [process.pid, pid]);
    },
    send(target, signal, group) {
      if (!isSafePid(target.pid, forbidden)) return 'refused';
      const stat = statOf(target, table);
      if (stat === undefined) return 'gone';
      let to = stat.pid;
      if (group !== undefined) {
        // A group's number stays taken while it has a member, and we have just seen one of ours in it.
        if (stat.pgrp !== group || !isSafePid(group, forbidden)) return 'refused';
        to = -group;
      }
      try {
        process.kill(to, signal);
        return 'sent';
      } catch (error) {
        if (errnoOf(error) === 'ESRCH') return 'gone';
        log.warn('Cannot signal a process', { pid: to, signal, errno: errnoOf(error) });
        return 'refused';
      }
    },
  };
}
