import { mkdirSync, readFileSync, readdirSync, rmdirSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { findCgroupPlace } from './cgroup-place.ts';
import type { LiveRecord } from '../journal/custody-state.ts';
import { isAgentName } from '../journal/journal-line.ts';
import { errnoOf, isShortage, messageOf } from '../logger.ts';
import type { Logger } from '../logger.ts';

/**
 * A cgroup for each incarnation: whatever a process does, its children are in it, so nothing can escape a stop. Without
 * controllers: nothing is limited, and nothing has to be enabled.
 */
export interface Cgroups {
  /** Makes the cgroup of an incarnation. @returns its folder, or undefined if it cannot be made */
  make(agent: string, incarnation: Pick<LiveRecord, 'generation' | 'nonce'>): string | undefined;
  /** What is forked in between is born in that cgroup. */
  inside<T>(folder: string | undefined, fork: () => T): T;
  /** The incarnations that have one with processes in it. */
  occupied(): Occupied[];
  /** Removes what is left of incarnations that are no more. */
  tidy(held: ReadonlySet<string>): void;
  close(): void;
}

export interface Occupied extends Pick<LiveRecord, 'generation' | 'nonce'> {
  agent: string;
  cgroup: string;
  pids: number[];
}

const PREFIX = 'openstarry-';
const CGROUP2_MAGIC = 0x63677270;

/** @returns undefined where there is no place for any, or where they do not work */
export function openCgroups(hash: string, log: Logger): Cgroups | undefined {
  const place = findCgroupPlace();
  if (place.kind === 'none') {
    log.info('Process trees are followed without cgroups', { why: place.why });
    return undefined;
  }
  const { base, home } = outside(place, `${PREFIX}${hash}`);
  const parent = join(base, `${PREFIX}${hash}`);
  const enter = (folder: string) => writeFileSync(join(folder, 'cgroup.procs'), String(process.pid));
  const leave = () => {
    try {
      enter(home);
    } catch (error) {
      log.error('Cannot leave the cgroup of an agent', { home, error: messageOf(error) });
    }
  };

  try {
    const trial = join(parent, 'trial');
    mkdirSync(trial, { recursive: true });
    enter(trial);
    enter(home);
    rmdirSync(trial);
  } catch (error) {
    leave();
    log.warn('Process trees are followed without cgroups', { parent, home, why: messageOf(error) });
    return undefined;
  }
  log.info('Each agent gets a cgroup of its own', { parent });

  return {
    make(agent, incarnation) {
      const folder = join(parent, nameOf(agent, incarnation));
      try {
        mkdirSync(folder, { recursive: true });
        return folder;
      } catch (error) {
        log.warn('Cannot make a cgroup', { folder, errno: errnoOf(error) });
        return undefined;
      }
    },
    inside(folder, fork) {
      if (folder === undefined) return fork();
      try {
        enter(folder);
      } catch (error) {
        log.warn('Cannot enter a cgroup', { folder, errno: errnoOf(error) });
        return fork();
      }
      try {
        return fork();
      } finally {
        leave();
      }
    },
    occupied() {
      return subfolders(parent).flatMap((cgroup) => {
        const [, agent, generation, nonce] = /^(.+)-(\d+)-([0-9a-f]+)$/.exec(basename(cgroup)) ?? [];
        const pids = pidsInCgroup(cgroup);
        if (!isAgentName(agent) || nonce === undefined || pids.length === 0) return [];
        return [{ agent, generation: Number(generation), nonce, cgroup, pids }];
      });
    },
    tidy(held) {
      for (const folder of subfolders(parent)) {
        if (held.has(folder)) continue;
        removeCgroup(folder);
        tellOfStrangers(folder, log);
      }
    },
    close() {
      removeCgroup(parent);
    },
  };
}

/**
 * A custodian that a daemon of ours has started is in the cgroup of that daemon, and would end with it: it goes where the
 * first one was.
 */
function outside({ base, own }: { base: string; own: string }, name: string): { base: string; home: string } {
  const end = `${own}/`.indexOf(`/${name}/`);
  if (end < 0) return { base, home: own };
  const home = own.slice(0, end);
  return { base: base === own ? home : base, home };
}

const nameOf = (agent: string, { generation, nonce }: Pick<LiveRecord, 'generation' | 'nonce'>): string =>
  `${agent}-${generation}-${nonce}`;

function tellOfStrangers(folder: string, log: Logger): void {
  try {
    const pids = pidsInCgroup(folder);
    if (pids.length > 0) log.warn('Processes of an unknown incarnation run in a cgroup of ours', { folder, pids });
  } catch (error) {
    log.warn('Cannot look into a cgroup of ours', { folder, errno: errnoOf(error) });
  }
}

/** The folder as a journal has it, which anybody may have written: only one that we would make ourselves is believed. */
export function recordedCgroup(
  agent: string,
  live: Pick<LiveRecord, 'generation' | 'nonce' | 'cgroup'>,
): string | undefined {
  const { cgroup } = live;
  if (typeof cgroup !== 'string' || normalize(cgroup) !== cgroup) return undefined;
  if (basename(cgroup) !== nameOf(agent, live) || !basename(dirname(cgroup)).startsWith(PREFIX)) return undefined;
  try {
    return statfsSync(cgroup).type === CGROUP2_MAGIC ? cgroup : undefined;
  } catch {
    return undefined;
  }
}

/** All processes in it and in the cgroups below; none if it is gone. Throws if that cannot be read for now. */
export function pidsInCgroup(folder: string): number[] {
  try {
    const own = readFileSync(join(folder, 'cgroup.procs'), 'latin1').split('\n').map(Number);
    // A link for each folder in it, besides its own two.
    const below = statSync(folder).nlink > 2 ? subfolders(folder).flatMap(pidsInCgroup) : [];
    // 0 is a process of another pid namespace.
    return [...own.filter((pid) => pid > 0), ...below];
  } catch (error) {
    if (isShortage(error)) throw error;
    return [];
  }
}

/**
 * Kills all that is in it at one blow, however fast it forks. Not where `spared` would be hit, and not before Linux 5.14,
 * which has no file for it: then processes are killed one by one.
 */
export function killCgroup(folder: string, spared: ReadonlySet<number>): void {
  if (pidsInCgroup(folder).some((pid) => spared.has(pid))) return;
  try {
    // Without creating it: an older kernel would refuse that in any case.
    writeFileSync(join(folder, 'cgroup.kill'), '1', { flag: 'r+' });
  } catch {
    // one by one then
  }
}

/** With all below it; what still has processes stays. */
export function removeCgroup(folder: string): void {
  for (const path of subfolders(folder)) removeCgroup(path);
  try {
    rmdirSync(folder);
  } catch {
    // gone, or in use
  }
}

function subfolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isDirectory() ? [join(folder, entry.name)] : []));
  } catch {
    return [];
  }
}
