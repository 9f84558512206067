import type { ExitRecord } from '../domain/custody.ts';
import { createAttempt } from './attempt.ts';
import { removeCgroup } from './tree/cgroups.ts';
import { custodyOf } from './journal/custody-state.ts';
import type { Context } from './context.ts';
import type { Incarnation } from './incarnation.ts';
import { killTree } from './tree/kill-tree.ts';
import { trimLog } from './logs/rotation.ts';

/**
 * From the end of a main process to its exit record. What remains of the tree is killed first: the verdict is released
 * when two scans in a row have found nobody. All exits of one tick share the scans, the write and the sync.
 */
export interface Exits {
  /** The main process is gone. */
  ended(incarnation: Incarnation): void;
}

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 1000;

export function createExits(context: Context): Exits {
  const { tree, journal, incarnations, log, emit, stuck } = context;
  const sweeping = new Map<Incarnation, { cleanScans: number }>();
  let isScheduled = false;
  let timer: NodeJS.Timeout | undefined;
  let waitMs = FIRST_WAIT_MS;

  const attempt = createAttempt('Looking for what is left of ended agents', log);

  const sweep = () => {
    const isStop = [...sweeping.keys()].some((incarnation) => incarnation.stopping !== undefined);
    // A stop is final for the whole tree, so its last look is through all of /proc, once for all stops of the round.
    for (const how of ['quick', isStop ? 'full' : 'quick'] as const) {
      const open = [...sweeping].filter(([, { cleanScans }]) => cleanScans < 2);
      if (open.length === 0) break;
      tree.scan(how);
      for (const [incarnation, state] of open) {
        state.cleanScans = killTree(context, incarnation) === 0 ? state.cleanScans + 1 : 0;
      }
    }
    for (const [incarnation, { cleanScans }] of sweeping) if (cleanScans < 2) stuck.check(incarnation);
  };

  const round = () => {
    attempt(sweep);
    const clean = [...sweeping].filter(([, { cleanScans }]) => cleanScans >= 2).map(([incarnation]) => incarnation);
    for (const incarnation of clean) sweeping.delete(incarnation);
    if (clean.length > 0) void release(clean);
    if (sweeping.size === 0) {
      waitMs = FIRST_WAIT_MS;
      return;
    }
    timer = setTimeout(() => {
      timer = undefined;
      round();
    }, waitMs);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  };

  const release = async (released: Incarnation[]) => {
    const exits = released.map((incarnation) => ({ incarnation, exit: exitRecordOf(incarnation) }));
    journal.keep(exits.map(({ incarnation, exit }) => ({ kind: 'exit', agent: incarnation.agent, exit })));
    for (const { incarnation, exit } of exits) {
      // Nobody writes it any more; done before the event, so that who reads the end of the log finds it still.
      trimLog(incarnation.record.log, log);
      clearTimeout(incarnation.stopping?.timer);
      tree.remove(incarnation.key);
      if (incarnation.record.cgroup !== undefined) removeCgroup(incarnation.record.cgroup);
      stuck.forget(incarnation);
      incarnations.delete(incarnation.agent);
      log.info('An agent ended', { agent: incarnation.agent, pid: incarnation.pid, ...exit });
    }
    await journal.sync();
    for (const { incarnation, exit } of exits) {
      const { agent } = incarnation;
      emit('exit', { agent, exit, custody: custodyOf(journal.entries.get(agent)) });
      incarnation.resolveGone();
    }
  };

  return {
    ended(incarnation) {
      if (sweeping.has(incarnation)) return;
      sweeping.set(incarnation, { cleanScans: 0 });
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(() => {
        isScheduled = false;
        clearTimeout(timer);
        waitMs = FIRST_WAIT_MS;
        round();
      });
    },
  };
}

function exitRecordOf({ record, ended, stopping }: Incarnation): ExitRecord {
  const at = new Date().toISOString();
  const { code = null, signal = null, cause = 'self', ranMs = 0 } = ended ?? {};
  return {
    generation: record.generation,
    code,
    signal,
    cause: stopping?.cause ?? cause,
    ...(stopping?.why === undefined ? {} : { why: stopping.why }),
    at: ended?.at ?? at,
    ran_ms: Math.max(0, Math.round(ranMs)),
  };
}
