import { createAttempt } from './attempt.ts';
import type { Context } from './context.ts';
import { statOf } from './identity.ts';
import type { Incarnation } from './incarnation.ts';
import { errnoOf } from './logger.ts';

/**
 * What has to be checked while anything lives: the tree once a second, and adopted processes, of which the kernel
 * tells us nothing. Without agents no timer runs.
 */
export interface Watch {
  /** Call when an incarnation has come. The timers end by themselves. */
  wake(): void;
}

const TREE_EVERY_MS = 1000;
const ADOPTED_EVERY_MS = 100;
/** Whether a pid exists costs 0.5 µs each time; whether it is still the same process and no zombie, twice a second. */
const IDENTITY_EVERY_ROUNDS = 5;

export interface WatchHooks {
  /** An adopted process has ended. */
  gone: (incarnation: Incarnation) => void;
  /** All trees have just been scanned. */
  scanned: () => void;
}

export function createWatch({ tree, table, incarnations, log }: Context, hooks: WatchHooks): Watch {
  const attempt = createAttempt('Looking at the processes', log);
  let treeTimer: NodeJS.Timeout | undefined;
  let adoptedTimer: NodeJS.Timeout | undefined;
  let rounds = 0;

  const lookAtTree = () => {
    if (incarnations.size === 0) {
      clearInterval(treeTimer);
      treeTimer = undefined;
      return;
    }
    attempt(() => {
      tree.scan('quick');
      hooks.scanned();
    });
  };

  const lookAtAdopted = () => {
    rounds += 1;
    const checksIdentity = rounds % IDENTITY_EVERY_ROUNDS === 0;
    let adopted = 0;
    for (const incarnation of incarnations.values()) {
      if (incarnation.child || incarnation.ended) continue;
      adopted += 1;
      let isHere = pidExists(incarnation.pid);
      // If it cannot be read it is held for the same: to give up one that lives could start it twice.
      if (isHere && checksIdentity) attempt(() => void (isHere = statOf(incarnation, table) !== undefined));
      if (!isHere) hooks.gone(incarnation);
    }
    if (adopted > 0) return;
    clearInterval(adoptedTimer);
    adoptedTimer = undefined;
  };

  return {
    wake() {
      // Without sessions and markers a scan finds nothing that the group does not tell at the end.
      if (table.tree !== 'group-only') treeTimer ??= setInterval(lookAtTree, TREE_EVERY_MS);
      const hasAdopted = [...incarnations.values()].some((incarnation) => !incarnation.child);
      if (hasAdopted) adoptedTimer ??= setInterval(lookAtAdopted, ADOPTED_EVERY_MS);
    },
  };
}

function pidExists(pid: number): boolean {
  try {
    // Signal 0 asks only; nothing is sent.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}
