import { accessSync, constants, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../logger.ts';

/**
 * Where cgroups of our own can be made: below the cgroup that this process is in, if it may be written (a unit of systemd
 * with `Delegate=yes`; root nearly everywhere), or below the one that `OPENSTARRY_CGROUP_ROOT` names.
 */
export type CgroupPlace =
  | {
      kind: 'found';
      /** The folder under which cgroups are made. */
      base: string;
      /** The folder of the cgroup that this process is in, seen through the same mount. */
      own: string;
    }
  | { kind: 'none'; why: string };

export const CGROUP_ROOT = 'OPENSTARRY_CGROUP_ROOT';

interface Mount {
  /** Which part of the hierarchy it shows. */
  root: string;
  path: string;
}

export function findCgroupPlace(env: NodeJS.ProcessEnv = process.env): CgroupPlace {
  const wanted = env[CGROUP_ROOT];
  if (wanted === 'none') return { kind: 'none', why: `${CGROUP_ROOT} says none` };
  if (process.platform !== 'linux') return { kind: 'none', why: 'there are none on this system' };
  try {
    const own = ownCgroup(readFileSync('/proc/self/cgroup', 'utf8'));
    if (own === undefined) return { kind: 'none', why: 'cgroup v2 is not in use' };
    const mounts = cgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
    return wanted === undefined || wanted === '' ? below(own, mounts) : named(wanted, own, mounts);
  } catch (error) {
    return { kind: 'none', why: messageOf(error) };
  }
}

function below(own: string, mounts: Mount[]): CgroupPlace {
  const places = mounts.flatMap((mount) => seenThrough(mount, own) ?? []);
  const base = places.find(isWritable);
  if (base !== undefined) return { kind: 'found', base, own: base };
  return { kind: 'none', why: places.length === 0 ? 'no cgroup2 is mounted' : 'cgroup v2 is not delegated' };
}

function named(wanted: string, own: string, mounts: Mount[]): CgroupPlace {
  const base = realpathSync(wanted);
  const mount = mounts
    .filter(({ path }) => base === path || base.startsWith(path === '/' ? path : `${path}/`))
    .toSorted((a, b) => b.path.length - a.path.length)[0];
  const ownFolder = mount && seenThrough(mount, own);
  if (mount === undefined) return { kind: 'none', why: `${wanted} of ${CGROUP_ROOT} is in no cgroup2 mount` };
  if (ownFolder === undefined)
    return { kind: 'none', why: `${mount.path} does not show the cgroup ${own} of this process` };
  if (!isWritable(base)) return { kind: 'none', why: `${wanted} of ${CGROUP_ROOT} may not be written` };
  return { kind: 'found', base, own: ownFolder };
}

/** @returns undefined without cgroup v2; its line is the one without controllers */
export function ownCgroup(text: string): string | undefined {
  return /^0::(\/.*)$/m.exec(text)?.[1];
}

/** The cgroup2 lines of /proc/self/mountinfo: `36 35 0:30 <root> <path> rw … - cgroup2 …` */
export function cgroupMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, path] = before.split(' ');
    if (!after.startsWith('cgroup2 ') || root === undefined || path === undefined) return [];
    return [{ root: unescaped(root), path: unescaped(path) }];
  });
}

/** Blanks and the like stand there as octal numbers. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The folder of a cgroup, if the mount shows it: a container may be outside of what is mounted in it. */
function seenThrough({ root, path }: Mount, cgroup: string): string | undefined {
  if (`${root}/${cgroup}/`.includes('/../')) return undefined;
  if (root === '/') return join(path, cgroup);
  return cgroup === root || cgroup.startsWith(`${root}/`) ? join(path, cgroup.slice(root.length)) : undefined;
}

function isWritable(folder: string): boolean {
  try {
    for (const path of [folder, join(folder, 'cgroup.procs')]) accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
