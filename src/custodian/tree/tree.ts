import { pidsInCgroup } from './cgroups.ts';
import { statOf } from '../identity.ts';
import type { ProcessIdentity } from '../identity.ts';
import type { Logger } from '../logger.ts';
import { isAlive } from './process-table.ts';
import type { ProcessStat, ProcessTable } from './process-table.ts';

/**
 * Which processes belong to which agent. A process does if it is in the session or group of a known member, is the child
 * of one, or carries the incarnation's marker; once seen it is followed by pid and start time, whatever it does later.
 *
 * Membership can only be inherited, so only processes that are new since the last look have to be looked at. Pids are
 * given out in a circle and the kernel tells the newest (`/proc/loadavg`), hence a quick scan reads only the pids in
 * between: nothing at all on an idle machine. A full scan goes through /proc; it is the safety net (every 30 s, when the
 * circle closed, when quick ones cannot be trusted) and what a stop asks for.
 *
 * What escapes: a child that left session, group, parentage and marker between two looks; unless the incarnation has a
 * cgroup of its own, which nothing leaves by forking.
 */
export interface Tree {
  add(root: TreeRoot): void;
  remove(key: string): void;
  /** Throws if processes cannot be read for now; the next one looks at all that this one has missed. */
  scan(how: 'quick' | 'full'): void;
  /** The living members of an incarnation, its main process included, read afresh. Throws like `scan`. */
  members(key: string): ProcessStat[];
}

export interface TreeRoot extends ProcessIdentity {
  /** The incarnation. */
  key: string;
  marker: string;
  cgroup?: string;
  /** Started by us since the last scan, so its pid must lie in the next quick scan's range. */
  isNew: boolean;
  /** Members known from before. */
  kin: readonly ProcessIdentity[];
}

export interface TreeOptions {
  table: ProcessTable;
  log: Logger;
  /** Told of members that another custodian could not find again by session, group or marker. */
  onKin: (key: string, kin: ProcessIdentity[]) => void;
  nowMs?: () => number;
}

/** Above this many new pids a full scan is the cheaper one. */
const QUICK_LIMIT = 2000;
const FULL_EVERY_MS = 30_000;
/** No machine starts processes and threads faster: after the time for a whole circle of pids a quick scan is blind. */
const PIDS_PER_MS = 20;
const STRIKES = 5;
/** Many stops of one moment share a full scan; what started since is found by a quick one. */
const FULL_SHARED_MS = 100;

interface Member extends ProcessIdentity {
  key: string;
}

export function createTree({ table, log, onKin, nowMs = () => performance.now() }: TreeOptions): Tree {
  const roots = new Map<string, TreeRoot & { members: Set<number> }>();
  const keyByMarker = new Map<string, string>();
  const members = new Map<number, Member>();
  /** Processes without a marker, by start time: their environment is not read again. */
  let strangers = new Map<number, number>();
  let cursor: { last: number; before: number } | undefined;
  let expected: number[] = [];
  const quickWithinMs = table.pidLimit / PIDS_PER_MS;
  let strikes = 0;
  let fullAtMs = -Infinity;
  let scannedAtMs = -Infinity;
  let kinFound = new Map<string, ProcessIdentity[]>();

  const join = (stat: ProcessIdentity, key: string) => {
    const root = roots.get(key);
    // A record may have been tampered with: 0 is the session of kernel threads, 1 is init.
    if (root === undefined || stat.pid <= 1 || stat.pid === process.pid) return;
    members.set(stat.pid, { pid: stat.pid, start: stat.start, key });
    root.members.add(stat.pid);
  };
  const leave = (member: Member) => {
    members.delete(member.pid);
    roots.get(member.key)?.members.delete(member.pid);
  };

  const markerKey = (stat: ProcessStat): string | undefined => {
    if (strangers.get(stat.pid) === stat.start) return undefined;
    const marker = table.marker(stat.pid);
    // unreadable may mean "in the middle of an exec": asked again at the next look
    if (marker === undefined) return undefined;
    const key = keyByMarker.get(marker);
    if (key === undefined) strangers.set(stat.pid, stat.start);
    return key;
  };

  /**
   * The key of a member that is `stat`'s leader or parent. Its number may be another's by now, and then it draws nobody
   * in: hence its start is read again before anybody joins through it.
   */
  const keyOfRelative = (stat: ProcessStat, pid: number): string | undefined => {
    const relative = members.get(pid);
    if (relative === undefined || relative.start > stat.start) return undefined;
    const holder = pid === stat.pid ? stat : table.stat(pid);
    if (holder === undefined || holder.start === relative.start) return relative.key;
    leave(relative);
    return undefined;
  };

  const classify = (stat: ProcessStat, how: 'quick' | 'full'): boolean => {
    const known = members.get(stat.pid);
    if (known?.start === stat.start) return true;
    if (known) leave(known);
    if (stat.pid === process.pid) return true;
    const bySession = keyOfRelative(stat, stat.session) ?? keyOfRelative(stat, stat.pgrp);
    const key = bySession ?? keyOfRelative(stat, stat.ppid) ?? markerKey(stat);
    if (key === undefined) return false;
    // By its number a thread can be read like a process; it goes where its process goes.
    if (how === 'quick' && !table.isProcess(stat.pid)) return true;
    join(stat, key);
    noteKin(stat, key);
    return true;
  };

  /** Whatever else it has left: a process stays in the cgroup that it was born in. */
  const joinFromCgroup = ({ key, cgroup }: TreeRoot) => {
    for (const pid of cgroup === undefined ? [] : pidsInCgroup(cgroup)) {
      const stat = table.stat(pid);
      const known = members.get(pid);
      if (stat === undefined || !isAlive(stat) || (known?.start === stat.start && known.key === key)) continue;
      if (known) leave(known);
      join(stat, key);
    }
  };

  const noteKin = (stat: ProcessStat, key: string) => {
    const root = roots.get(key);
    if (root === undefined || stat.session === root.pid || stat.pgrp === root.pid) return;
    if (root.kin.some((kin) => kin.pid === stat.pid && kin.start === stat.start)) return;
    if (table.marker(stat.pid) === root.marker) return;
    const kin = { pid: stat.pid, start: stat.start };
    root.kin = [...root.kin, kin];
    kinFound.set(key, [...(kinFound.get(key) ?? []), kin]);
  };

  const look = (stats: ProcessStat[], how: 'quick' | 'full') => {
    // Parents first; the loop is for the rare ones that started in the same tick.
    let open = stats.toSorted((a, b) => a.start - b.start || a.pid - b.pid);
    for (let before = -1; open.length > 0 && open.length !== before;) {
      before = open.length;
      open = open.filter((stat) => !classify(stat, how));
      if (members.size === 0) break;
    }
    const found = kinFound;
    kinFound = new Map();
    for (const [key, kin] of found) onKin(key, kin);
  };

  const fullScan = () => {
    const atMs = nowMs();
    const stats: ProcessStat[] = [];
    const seen = new Set<number>();
    const leaders = new Set<number>();
    for (const pid of table.pids()) {
      const stat = table.stat(pid);
      if (stat === undefined || !isAlive(stat)) continue;
      stats.push(stat);
      seen.add(pid);
      leaders.add(stat.session).add(stat.pgrp);
    }
    look(stats, 'full');
    for (const stat of stats) {
      const member = members.get(stat.pid);
      // The process may have left session and environment since it was first seen.
      if (member) noteKin(stat, member.key);
    }
    for (const member of members.values()) {
      const isRoot = roots.get(member.key)?.pid === member.pid;
      if (!isRoot && !seen.has(member.pid) && !leaders.has(member.pid)) leave(member);
    }
    strangers = new Map([...strangers].filter(([pid]) => seen.has(pid)));
    for (const [key, kin] of kinFound) onKin(key, kin);
    kinFound = new Map();
    // Only now: one that failed in the middle counts for nobody.
    fullAtMs = atMs;
  };

  /** False if only a full scan can tell. */
  const quickScan = (newest: number | undefined): boolean => {
    if (strikes >= STRIKES || newest === undefined || cursor === undefined) return false;
    if (nowMs() - scannedAtMs > quickWithinMs) return false;
    // Below the last cursor: the circle closed, and the range between is not what was numbered since.
    if (newest < cursor.last || newest - cursor.before > QUICK_LIMIT) return false;
    const { last, before } = cursor;
    if (expected.some((pid) => pid <= before || pid > newest)) {
      strikes += 1;
      if (strikes === STRIKES)
        log.warn('The kernel does not number processes in a circle; reading all of /proc at each scan');
      return false;
    }
    if (newest === last && before === last) return true;
    const stats: ProcessStat[] = [];
    // From the scan before the last one: a process may have been numbered but not yet listed, or in the middle of an exec.
    for (let pid = before + 1; pid <= newest; pid += 1) {
      const stat = table.stat(pid);
      if (stat !== undefined && isAlive(stat)) stats.push(stat);
    }
    look(stats, 'quick');
    return true;
  };

  return {
    add(root) {
      roots.set(root.key, { ...root, members: new Set() });
      keyByMarker.set(root.marker, root.key);
      // the marker is new to the table of strangers: without this a survivor seen earlier would stay one
      if (!root.isNew) strangers.clear();
      join(root, root.key);
      for (const kin of root.kin) if (statOf(kin, table)) join(kin, root.key);
      if (root.isNew) expected.push(root.pid);
    },
    remove(key) {
      const root = roots.get(key);
      if (root === undefined) return;
      roots.delete(key);
      keyByMarker.delete(root.marker);
      for (const pid of root.members) if (members.get(pid)?.key === key) members.delete(pid);
    },
    scan(how) {
      // read before looking: what starts meanwhile is for the next scan
      const newest = table.newestPid();
      const sinceFullMs = nowMs() - fullAtMs;
      const wantsFull = sinceFullMs > FULL_EVERY_MS || (how === 'full' && sinceFullMs > FULL_SHARED_MS);
      if (wantsFull || !quickScan(newest)) fullScan();
      cursor =
        newest === undefined
          ? undefined
          : { last: newest, before: cursor && cursor.last <= newest ? cursor.last : newest };
      expected = [];
      scannedAtMs = nowMs();
    },
    members(key) {
      const alive: ProcessStat[] = [];
      const root = roots.get(key);
      if (root) joinFromCgroup(root);
      for (const pid of root?.members ?? []) {
        const member = members.get(pid);
        const stat = member && statOf(member, table);
        if (stat) alive.push(stat);
      }
      return alive;
    },
  };
}
