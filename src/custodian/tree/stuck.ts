import type { EmitEvent } from '../context.ts';
import type { Incarnation } from '../incarnation.ts';
import type { Logger } from '../logger.ts';
import type { Tree } from './tree.ts';

/** Tells, once in a while, of a process that lives on after SIGKILL: it waits inside the kernel, mostly for a disk. */
export interface Stuck {
  check(incarnation: Incarnation): void;
  forget(incarnation: Incarnation): void;
}

const AFTER_MS = 2000;
const AGAIN_MS = 30_000;

export function createStuck(tree: Tree, emit: EmitEvent, log: Logger): Stuck {
  const nextAtMs = new Map<Incarnation, number>();
  return {
    check(incarnation) {
      const nowMs = performance.now();
      const dueMs = nextAtMs.get(incarnation);
      if (dueMs === undefined) nextAtMs.set(incarnation, nowMs + AFTER_MS);
      if (dueMs === undefined || nowMs < dueMs) return;
      nextAtMs.set(incarnation, nowMs + AGAIN_MS);
      const [survivor] = tree.members(incarnation.key);
      if (survivor === undefined) return;
      const { agent, record } = incarnation;
      const data = { agent, generation: record.generation, pid: survivor.pid, kernel_state: survivor.state };
      log.warn('A process survives SIGKILL', data);
      emit('stuck', data);
    },
    forget(incarnation) {
      nextAtMs.delete(incarnation);
    },
  };
}
