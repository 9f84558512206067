import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { DaemonFacts } from '../../contract/daemon-view.ts';
import type { DoctorCheck } from '../../contract/doctor-view.ts';
import { findCgroupPlace } from '../../custodian/tree/cgroup-place.ts';

/** The state directory itself, and what in it holds secrets. */
export function checkStateFiles(stateDir: string): DoctorCheck[] {
  const name = 'state directory';
  if (!existsSync(stateDir)) {
    const parent = existingParent(stateDir);
    if (isWritable(parent)) return [{ name, status: 'ok', says: `${stateDir} will be made` }];
    const way_out = 'Give the daemon a directory of its own with OPENSTARRY_HOME';
    return [{ name, status: 'fail', says: `${stateDir} cannot be made: ${parent} is not writable`, way_out }];
  }
  const { uid, mode } = statSync(stateDir);
  if (uid !== os.userInfo().uid) {
    const way_out = 'Give the daemon a directory of its own with OPENSTARRY_HOME';
    return [{ name, status: 'fail', says: `${stateDir} belongs to uid ${uid}`, way_out }];
  }
  if ((mode & 0o077) !== 0) {
    const says = `others may enter ${stateDir} (mode ${modeText(mode)})`;
    return [{ name, status: 'fail', says, way_out: `chmod 700 ${stateDir}` }];
  }
  const open = openFiles(stateDir);
  const files: DoctorCheck =
    open.length === 0
      ? { name: 'file modes', status: 'ok', says: 'secrets can be read by their owner only' }
      : {
          name: 'file modes',
          status: 'warn',
          says: `others may read ${open.slice(0, 3).join(', ')}${open.length > 3 ? ` and ${open.length - 3} more` : ''}`,
          way_out: `chmod go-rwx ${stateDir}/*`,
        };
  return [{ name, status: 'ok', says: `${stateDir} (mode ${modeText(mode)})` }, files];
}

/** How completely a process tree can be followed here: as the custodian says, or as one that is started would find it. */
export function checkTree(known: DaemonFacts['tree'] | undefined, env: NodeJS.ProcessEnv): DoctorCheck {
  const name = 'tree';
  const place = findCgroupPlace(env);
  const expected = place.kind === 'found' ? 'cgroup' : process.platform === 'linux' ? 'best-effort' : 'group-only';
  const tree = known ?? expected;
  if (tree === 'cgroup') return { name, status: 'ok', says: 'cgroup: nothing that an agent starts can escape a stop' };
  const why = place.kind === 'none' ? place.why : 'the custodian could not use cgroups, see custodian.log';
  const says =
    tree === 'best-effort'
      ? `best-effort (${why}): sessions, groups, descendants and markers are followed`
      : 'group-only: process groups are followed';
  const way_out =
    'A program that leaves session, group, parent and environment within a second can outlive a stop: run the custodian where cgroup v2 is delegated, as `openstarry-daemon install-service` does, or such programs in a container of their own';
  return { name, status: 'warn', says, way_out };
}

export function checkTrust(): DoctorCheck {
  const { username, uid } = os.userInfo();
  const name = 'trust';
  const says = `agents run as ${username} (uid ${uid}), as the daemon does: they can read what it can, its token included`;
  const way_out = 'Run only programs that you trust with this account, or give the daemon an account of its own';
  if (uid === 0) {
    const worse = `agents run as root: each of them may do anything to this machine`;
    return { name, status: 'warn', says: worse, way_out: 'Give the daemon an account of its own' };
  }
  return { name, status: 'warn', says, way_out };
}

/** The folder itself, or the nearest one above it that is there. */
export function existingParent(folder: string): string {
  return existsSync(folder) ? folder : existingParent(path.dirname(folder));
}

function openFiles(stateDir: string): string[] {
  return readdirSync(stateDir, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .filter((name) => {
      try {
        return (statSync(path.join(stateDir, name)).mode & 0o077) !== 0;
      } catch {
        return false; // it was there only for a moment
      }
    })
    .toSorted();
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const modeText = (mode: number): string => (mode & 0o777).toString(8);
