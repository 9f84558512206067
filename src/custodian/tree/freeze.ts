import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';
import type { Incarnation } from '../incarnation.ts';
import type { ProcessStat } from './process-table.ts';

/**
 * Lets whole trees stand still, and keeps them so. That a tree is paused stands in the journal, so that another
 * custodian goes on with it; what started in the moment of the pause, or was continued by somebody else, is stopped when
 * it is seen.
 */
export interface Freezer {
  /** Resolves when two looks in a row have found nothing that moves, or after `LIMIT_MS`: the watch goes on with it. */
  pause(incarnation: Incarnation): Promise<void>;
  resume(incarnation: Incarnation): void;
  /** One look at all that is paused. */
  enforce(): void;
}

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;
const LIMIT_MS = 2000;

type Parts = Pick<Context, 'tree' | 'signaller' | 'journal' | 'incarnations' | 'log'>;

export function createFreezer(parts: Parts): Freezer {
  const { tree, journal, incarnations, log } = parts;
  const isPaused = (one: Incarnation): boolean => one.paused === true && !one.ended && !one.stopping;

  /** @returns how many were found moving: a signal takes a moment to arrive, so they may be standing already */
  const freeze = (incarnation: Incarnation): number => {
    const moving = tree.members(incarnation.key).filter(isMoving);
    if (moving.length > 0) signalTree(parts, incarnation, 'SIGSTOP', moving);
    return moving.length;
  };

  return {
    async pause(incarnation) {
      if (incarnation.ended || incarnation.stopping) return;
      const { agent, record } = incarnation;
      incarnation.paused = true;
      journal.keep([{ kind: 'paused', agent, generation: record.generation, paused: true }]);
      const endMs = performance.now() + LIMIT_MS;
      tree.scan('full');
      let cleanLooks = 0;
      for (let waitMs = FIRST_WAIT_MS; isPaused(incarnation); waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
        const moving = freeze(incarnation);
        cleanLooks = moving === 0 ? cleanLooks + 1 : 0;
        if (cleanLooks >= 2) return;
        if (performance.now() > endMs) {
          log.warn('A paused tree still moves', { agent, generation: record.generation, moving });
          return;
        }
        await delay(waitMs);
        tree.scan('quick');
      }
    },
    resume(incarnation) {
      const { agent, record } = incarnation;
      if (!incarnation.paused) return;
      tree.scan('quick');
      signalTree(parts, incarnation, 'SIGCONT', tree.members(incarnation.key));
      // Last: if processes cannot be read now, it is paused still, and resumed when that is asked for again.
      delete incarnation.paused;
      journal.keep([{ kind: 'paused', agent, generation: record.generation, paused: false }]);
    },
    enforce() {
      for (const incarnation of incarnations.values()) if (isPaused(incarnation)) freeze(incarnation);
    },
  };
}

/** T: stopped, t: held by a debugger. A zombie with threads left shows as Z whatever its threads do. */
const isMoving = ({ state }: ProcessStat): boolean => !['T', 't', 'Z', 'X'].includes(state);

/** To the group at one blow, so that it cannot fork in between, and to each other member by itself. */
export function signalTree(
  { signaller }: Pick<Context, 'signaller'>,
  { pid }: Incarnation,
  signal: NodeJS.Signals,
  members: ProcessStat[],
): boolean {
  const inGroup = members.find((member) => member.pgrp === pid);
  let isDelivered = inGroup !== undefined && signaller.send(inGroup, signal, pid) === 'sent';
  for (const member of members) {
    if (member.pgrp !== pid) isDelivered = signaller.send(member, signal) === 'sent' || isDelivered;
  }
  return isDelivered;
}
