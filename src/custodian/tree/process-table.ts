import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { uptime } from 'node:os';
import { isShortage } from '../logger.ts';
import { MARKER } from '../protocol.ts';

/** One process as the kernel shows it. `start` never changes in a process's life; with the pid it is its identity. */
export interface ProcessStat {
  pid: number;
  /** R, S, D, T, Z … of /proc/<pid>/stat. */
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  threads: number;
  /** Clock ticks from boot to the start on Linux, seconds since the epoch elsewhere. */
  start: number;
}

/**
 * What is read of other processes. Everything about a process may change or vanish between two calls. Out of descriptors
 * or memory, reading throws: then nobody knows whether there is such a process, and to take it for gone could let it run
 * twice.
 */
export interface ProcessTable {
  /** How completely a tree can be followed with it. */
  tree: 'best-effort' | 'group-only';
  bootId: string;
  pidNamespace: string;
  stat(pid: number): ProcessStat | undefined;
  pids(): number[];
  /**
   * The newest pid of this pid namespace: unchanged means that nothing at all was started. Undefined where unknown; never
   * throws.
   */
  newestPid(): number | undefined;
  /** How many pids there are before the kernel wraps around. */
  pidLimit: number;
  /** False for a thread that only looks like a process; by pid it can be read but it does not stand in the list. */
  isProcess(pid: number): boolean;
  /** Value of the marker variable; `''` if there is none, undefined if the environment cannot be read (yet). */
  marker(pid: number): string | undefined;
  /** What the standard output is, where the kernel tells. */
  stdout(pid: number): string | undefined;
  /** Whether the standard output is the very file that has this path here. */
  isStdout(pid: number, path: string): boolean;
  /** The pid namespace that it is in; undefined if that cannot be read. */
  namespaceOf(pid: number): string | undefined;
  /** Time since the machine started, milliseconds; undefined where unknown. Never throws. */
  uptimeMs(): number | undefined;
  /** How long a process has been running, milliseconds. Never throws. */
  ageMs(stat: { start: number }): number;
}

/** A zombie is dead, unless it is only the first thread that ended and others run on. */
export function isAlive(stat: ProcessStat): boolean {
  return (stat.state !== 'Z' && stat.state !== 'X') || stat.threads > 1;
}

/**
 * Of the processes of one incarnation, the main one: it leads its session. If only children are left, the oldest stands
 * for the tree, as one that has ended.
 */
export function mainOf(stats: readonly ProcessStat[]): { pid: number; start: number } {
  const oldestFirst = stats.toSorted((a, b) => a.start - b.start || a.pid - b.pid);
  const main = oldestFirst.find((stat) => stat.session === stat.pid);
  return main ? { pid: main.pid, start: main.start } : { pid: oldestFirst[0]?.session ?? 0, start: -1 };
}

/** Parses /proc/<pid>/stat. The name in the second field may hold anything, blanks and `)` too, hence the last `)`. */
export function parseStat(text: string): ProcessStat | undefined {
  const end = text.lastIndexOf(')');
  if (end < 0) return undefined;
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(end + 2).split(' ');
  const [state, ppid, pgrp, session] = fields;
  const start = Number(fields[19]);
  if (state === undefined || !Number.isSafeInteger(pid) || !Number.isSafeInteger(start)) return undefined;
  return {
    pid,
    state,
    ppid: Number(ppid),
    pgrp: Number(pgrp),
    session: Number(session),
    threads: Number(fields[17]),
    start,
  };
}

export function parseMarker(environ: string): string {
  const name = `${MARKER}=`;
  let at = environ.startsWith(name) ? 0 : environ.indexOf(`\0${name}`);
  if (at < 0) return '';
  if (at > 0) at += 1;
  const end = environ.indexOf('\0', at);
  return environ.slice(at + name.length, end < 0 ? undefined : end);
}

/** Kernel ticks a second as user space sees them: fixed at 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const ENVIRON_LIMIT_BYTES = 4 * 1024 * 1024;

/** What an error of a read says: it is not there, or not for us to see; unless it says nothing about it at all. */
function unknownOf(error: unknown): undefined {
  if (isShortage(error)) throw error;
  return undefined;
}

function createLinuxTable(): ProcessTable {
  let buffer = Buffer.allocUnsafe(64 * 1024);

  /** `readFileSync` costs six times as much, and a pass reads one file for each process of the machine. */
  const read = (path: string, limitBytes: number): string | undefined => {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (error) {
      return unknownOf(error);
    }
    try {
      let length = 0;
      for (;;) {
        const count = readSync(fd, buffer, length, buffer.length - length, null);
        length += count;
        if (count === 0 || length >= limitBytes) return buffer.toString('latin1', 0, length);
        // A short read of a small file is the whole file.
        if (length < buffer.length && limitBytes <= 4096) return buffer.toString('latin1', 0, length);
        if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
      }
    } catch (error) {
      return unknownOf(error);
    } finally {
      closeSync(fd);
    }
  };
  const link = (path: string): string | undefined => {
    try {
      return readlinkSync(path);
    } catch (error) {
      return unknownOf(error);
    }
  };
  const readQuietly = (path: string): string | undefined => {
    try {
      return read(path, 4096);
    } catch {
      return undefined;
    }
  };
  // Without the file the system is asked, which needs no descriptor.
  const uptimeMs = () => Math.round(Number.parseFloat(readQuietly('/proc/uptime') ?? String(uptime())) * 1000);

  return {
    tree: 'best-effort',
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    pidNamespace: link('/proc/self/ns/pid') ?? 'pid:unknown',
    pidLimit: Number(read('/proc/sys/kernel/pid_max', 4096) ?? 0),
    stat(pid) {
      const text = read(`/proc/${pid}/stat`, 4096);
      return text === undefined ? undefined : parseStat(text);
    },
    pids() {
      const pids: number[] = [];
      for (const name of readdirSync('/proc')) {
        const first = name.charCodeAt(0);
        if (first >= 49 && first <= 57) pids.push(Number(name));
      }
      return pids;
    },
    newestPid() {
      const last = Number(readQuietly('/proc/loadavg')?.split(' ')[4]);
      return Number.isSafeInteger(last) && last > 0 ? last : undefined;
    },
    isProcess(pid) {
      const status = read(`/proc/${pid}/status`, 4096);
      return status !== undefined && Number(/^Tgid:\s*(\d+)/m.exec(status)?.[1]) === pid;
    },
    marker(pid) {
      const environ = read(`/proc/${pid}/environ`, ENVIRON_LIMIT_BYTES);
      // In the middle of an exec the file is empty; so it is for a process without any environment.
      return environ === undefined || environ === '' ? undefined : parseMarker(environ);
    },
    stdout: (pid) => link(`/proc/${pid}/fd/1`),
    isStdout(pid, path) {
      try {
        const [theirs, ours] = [statSync(`/proc/${pid}/fd/1`), statSync(path)];
        return theirs.dev === ours.dev && theirs.ino === ours.ino;
      } catch (error) {
        return unknownOf(error) ?? false;
      }
    },
    namespaceOf: (pid) => link(`/proc/${pid}/ns/pid`),
    uptimeMs,
    ageMs: ({ start }) => Math.max(0, uptimeMs() - (start / TICKS_PER_SECOND) * 1000),
  };
}

/** macOS: identity from `ps`, which is slow (5 ms), so it is asked for groups and at exits only. */
function createPsTable(): ProcessTable {
  const ps = (...args: string[]): ProcessStat[] => {
    const { stdout, error } = spawnSync('ps', [...args, '-o', 'pid=,ppid=,pgid=,stat=,lstart='], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    });
    if (error) unknownOf(error);
    return (stdout ?? '').split('\n').flatMap((line) => {
      const [pid, ppid, pgrp, state, ...started] = line.trim().split(/\s+/);
      const start = Date.parse(`${started.join(' ')} UTC`) / 1000;
      if (state === undefined || !Number.isFinite(start)) return [];
      return [
        {
          pid: Number(pid),
          ppid: Number(ppid),
          pgrp: Number(pgrp),
          session: 0,
          threads: 1,
          state: state[0] ?? '?',
          start,
        },
      ];
    });
  };
  const boot = spawnSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).stdout ?? '';
  return {
    tree: 'group-only',
    bootId: boot.trim() || 'boot:unknown',
    pidNamespace: 'pid:none',
    pidLimit: 0,
    stat: (pid) => ps('-p', String(pid))[0],
    pids: () => ps('-ax').map((stat) => stat.pid),
    newestPid: () => undefined,
    isProcess: () => true,
    marker: () => undefined,
    stdout: () => undefined,
    isStdout: () => false,
    namespaceOf: () => undefined,
    uptimeMs: () => undefined,
    ageMs: ({ start }) => Math.max(0, Date.now() - start * 1000),
  };
}

export function createProcessTable(): ProcessTable {
  return process.platform === 'linux' ? createLinuxTable() : createPsTable();
}
