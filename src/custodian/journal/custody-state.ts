import type { Custody, ExitRecord, StopCause } from '../../domain/custody.ts';
import type { KillMode, Order } from '../protocol.ts';

/** A process that was started, as the journal keeps it. */
export interface LiveRecord {
  generation: number;
  nonce: string;
  pid: number;
  /** Start time in the unit of the process table; pid and start are the identity. */
  start: number;
  boot: string;
  ns: string;
  at: string;
  log: { path: string; max_bytes: number; keep: number };
  /** How it is stopped when nobody says otherwise. */
  stop: { signal: string; grace_ms: number };
  /** Absent: the whole tree. */
  kill_mode?: KillMode;
  /** The folder of its cgroup, if it has one of its own. */
  cgroup?: string;
  /** Descendants that could not be found again by session, group or marker: `[pid, start]`. */
  kin?: [number, number][];
  /** Its tree stands still, and is kept so. */
  paused?: true;
}

/** A spawn that was begun; between it and its `live` record the process may or may not exist. */
export interface Intent {
  generation: number;
  nonce: string;
  boot: string;
  ns: string;
  at: string;
  log: LiveRecord['log'];
  stop: LiveRecord['stop'];
  kill_mode?: KillMode;
  cgroup?: string;
  /** The fence before it, restored if nothing was forked. */
  fence_before: number;
}

/** A stop under way. It is written before the first signal. */
export interface Tombstone {
  generation: number;
  cause: StopCause;
  /** Of `unhealthy` and `limit`: what was seen. */
  why?: string;
  signal: string;
  grace_ms: number;
  at: string;
  /** Milliseconds since boot, to go on with the same grace under another custodian. */
  uptime_ms?: number;
  /** Set once the signal went out, so that each process hears it once. */
  signalled?: true;
}

/** All that the journal says about one agent. */
export interface AgentEntry {
  fence: number;
  intent?: Intent;
  live?: LiveRecord;
  stop?: Tombstone;
  last_exit?: ExitRecord;
  last_log?: string;
  order?: { verb: Order['verb']; at: string };
  /** When it was deleted; the fence goes 30 days later. */
  forgotten_at?: string;
}

export type JournalRecord =
  | { kind: 'opened'; at: string; pid: number; boot: string; ns: string }
  | { kind: 'intent'; agent: string; intent: Intent }
  | { kind: 'void'; agent: string; generation: number }
  | { kind: 'live'; agent: string; live: LiveRecord }
  | { kind: 'kin'; agent: string; generation: number; kin: [number, number][] }
  | { kind: 'stop'; agent: string; stop: Tombstone }
  | { kind: 'paused'; agent: string; generation: number; paused: boolean }
  | { kind: 'signalled'; agent: string; generation: number }
  | { kind: 'exit'; agent: string; exit: ExitRecord }
  | { kind: 'never'; agent: string; generation: number }
  | { kind: 'fence'; agent: string; fence: number }
  | { kind: 'forget'; agent: string; at: string }
  | { kind: 'order'; agent: string; verb: Order['verb']; at: string }
  | { kind: 'order_done'; agent: string }
  /** A whole entry, as a compaction writes it. */
  | { kind: 'entry'; agent: string; entry: AgentEntry };

export type AgentRecord = Exclude<JournalRecord, { kind: 'opened' }>;

export const FENCE_KEPT_MS = 30 * 24 * 3600 * 1000;
const KIN_LIMIT = 256;

const without = <T extends object, K extends keyof T>(value: T, ...keys: K[]): Omit<T, K> => {
  const copy = { ...value };
  for (const key of keys) delete copy[key];
  return copy;
};

/**
 * What an agent's entry is after one more record; undefined when nothing is left to remember. Pure, and total: records
 * of other generations than the live one change nothing but the fence, which only a `void` ever takes back.
 */
export function evolve(entry: AgentEntry | undefined, record: AgentRecord): AgentEntry | undefined {
  const now: AgentEntry = entry ?? { fence: 0 };
  switch (record.kind) {
    case 'intent': {
      const fence = Math.max(now.fence, record.intent.generation);
      return { ...without(now, 'forgotten_at', 'stop'), fence, intent: record.intent };
    }
    case 'void': {
      if (now.intent?.generation !== record.generation) return entry;
      const rest = { ...without(now, 'intent'), fence: now.intent.fence_before };
      return rest.fence === 0 && Object.keys(rest).length === 1 ? undefined : rest;
    }
    case 'never':
      return now.intent?.generation === record.generation ? without(now, 'intent', 'stop') : entry;
    case 'live': {
      const { live } = record;
      const fence = Math.max(now.fence, live.generation);
      return { ...without(now, 'intent', 'forgotten_at'), fence, live, last_log: live.log.path };
    }
    case 'kin': {
      if (now.live?.generation !== record.generation) return entry;
      const kin = [...(now.live.kin ?? []), ...record.kin].slice(-KIN_LIMIT);
      return { ...now, live: { ...now.live, kin } };
    }
    case 'stop': {
      const fence = Math.max(now.fence, record.stop.generation);
      const applies = (now.live ?? now.intent) !== undefined;
      if (!applies) return { ...now, fence };
      // A stop lets it go on, so that it can leave.
      return { ...now, fence, ...(now.live ? { live: without(now.live, 'paused') } : {}), stop: record.stop };
    }
    case 'paused': {
      if (now.live?.generation !== record.generation || now.stop) return entry;
      const live = without(now.live, 'paused');
      return { ...now, live: record.paused ? { ...live, paused: true } : live };
    }
    case 'signalled':
      if (now.stop === undefined || now.live?.generation !== record.generation) return entry;
      return { ...now, stop: { ...now.stop, signalled: true } };
    case 'exit': {
      const { exit } = record;
      const fence = Math.max(now.fence, exit.generation);
      if (exit.generation < (now.last_exit?.generation ?? 0)) return { ...now, fence };
      const ends = (now.live ?? now.intent)?.generation === exit.generation;
      return { ...(ends ? without(now, 'live', 'intent', 'stop') : now), fence, last_exit: exit };
    }
    case 'fence':
      return { ...now, fence: Math.max(now.fence, record.fence) };
    case 'forget':
      // An order was for the life that is over: the next of that name must not be ended by it.
      return { ...without(now, 'last_exit', 'last_log', 'order'), forgotten_at: record.at };
    case 'order':
      // A delete is final, whatever is ordered after it.
      return { ...now, order: { verb: now.order?.verb === 'delete' ? 'delete' : record.verb, at: record.at } };
    case 'order_done': {
      const rest = without(now, 'order');
      return rest.fence === 0 && Object.keys(rest).length === 1 ? undefined : rest;
    }
    case 'entry':
      return { ...record.entry, fence: Math.max(now.fence, record.entry.fence) };
  }
}

/** True for a deleted agent of which even the fence may go. */
export function isExpired(entry: AgentEntry, nowMs: number): boolean {
  if (entry.forgotten_at === undefined || entry.live || entry.intent || entry.order) return false;
  return nowMs - Date.parse(entry.forgotten_at) > FENCE_KEPT_MS;
}

export function custodyOf(entry: AgentEntry | undefined): Custody {
  if (entry === undefined) return { fence: 0 };
  const { fence, live, last_exit } = entry;
  return {
    fence,
    ...(live ? { live: { generation: live.generation, pid: live.pid, ...(live.paused ? { paused: true } : {}) } } : {}),
    ...(last_exit ? { last_exit } : {}),
  };
}
