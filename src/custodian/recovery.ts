import type { ExitCause } from '../domain/custody.ts';
import { pidsInCgroup, recordedCgroup } from './tree/cgroups.ts';
import type { Context } from './context.ts';
import type { AgentEntry, Intent, LiveRecord } from './journal/custody-state.ts';
import { identify } from './identity.ts';
import type { ProcessIdentity } from './identity.ts';
import { createIncarnation, markerOf } from './incarnation.ts';
import type { Incarnation } from './incarnation.ts';
import { isAlive, mainOf } from './tree/process-table.ts';
import type { ProcessStat, ProcessTable } from './tree/process-table.ts';
import { isSignalName } from './signals.ts';
import type { StopLadder } from './stop.ts';
import { recordUnrecorded } from './unrecorded.ts';

export interface RecoveryHooks {
  /** A process that runs on; its exit code cannot be known any more. */
  adopted(incarnation: Incarnation): void;
  /** A process that ended unseen; what is left of its tree has to go before the record. */
  lost(incarnation: Incarnation, cause: ExitCause): void;
}

/** Takes up what the journal says was alive when the last custodian died. */
export function recover(context: Context, stops: StopLadder, hooks: RecoveryHooks): void {
  if (!context.journal.isWhole) recordUnrecorded(context);
  const open = [...context.journal.entries].filter(([, entry]) => entry.live || entry.intent);
  if (open.length === 0) return;
  const found = findIntended(context, open);
  const inheritorsOf = createInheritors(context.table);
  for (const [agent, entry] of open) {
    const live = entry.live ?? found.get(agent);
    if (live === undefined) abandonIntent(context, agent, entry);
    else takeUp(context, stops, hooks, agent, live, inheritorsOf);
  }
}

function takeUp(
  context: Context,
  stops: StopLadder,
  hooks: RecoveryHooks,
  agent: string,
  live: LiveRecord,
  inheritorsOf: Inheritors,
): void {
  const { table, tree, log, signaller, incarnations, journal } = context;
  const marker = markerOf(agent, live.generation, live.nonce);
  const verdict = identify({ ...live, marker }, table, signaller.forbidden);
  const kin = (live.kin ?? []).map(([pid, start]) => ({ pid, start }));
  const isForeign =
    verdict.kind === 'tampered' ||
    verdict.kind === 'replaced' ||
    (verdict.kind === 'gone' && !isHeldByKin(inheritorsOf(live.pid), { marker, kin, log: live.log.path }, table));
  const { cgroup: _, ...record } = live;
  const cgroup = verdict.kind === 'reboot' ? undefined : recordedCgroup(agent, live);
  const held = cgroup === undefined ? record : { ...record, cgroup };
  const incarnation = createIncarnation(agent, isForeign ? { ...held, pid: -1, start: -1 } : held);
  incarnations.set(agent, incarnation);
  const stop = journal.entries.get(agent)?.stop;
  if (verdict.kind !== 'reboot') {
    // A pid that is another's must not become the root of a tree that is going to be killed. Only what carries the
    // marker of this very spawn, or was seen in its tree, is of it then.
    const { key, pid, start } = incarnation;
    tree.add({ key, pid, start, marker, isNew: false, kin, ...(cgroup === undefined ? {} : { cgroup }) });
  }
  if (verdict.kind === 'ours') {
    log.info('Adopted an agent', { agent, generation: live.generation, pid: live.pid });
    hooks.adopted(incarnation);
    if (stop === undefined || !isSignalName(stop.signal)) return;
    const upMs = table.uptimeMs();
    const passedMs = upMs === undefined || stop.uptime_ms === undefined ? 0 : Math.max(0, upMs - stop.uptime_ms);
    const graceMs = Math.max(0, stop.grace_ms - passedMs);
    const { cause, why, signal, at: since, signalled: isSignalled = false } = stop;
    stops.begin(incarnation, { cause, ...(why === undefined ? {} : { why }), signal, since, graceMs, isSignalled });
    return;
  }
  const cause = stop?.cause ?? (verdict.kind === 'reboot' ? 'reboot' : 'custodian_lost');
  const why = 'why' in verdict ? verdict.why : 'the machine was started again';
  log.warn('An agent is gone', { agent, generation: live.generation, pid: live.pid, cause, why });
  hooks.lost(incarnation, cause);
}

/** The members of the session and group that have this number. */
type Inheritors = (pid: number) => readonly ProcessStat[];

/** Reads the processes once, and only if somebody asks. */
function createInheritors(table: ProcessTable): Inheritors {
  let known: Map<number, ProcessStat[]> | undefined;
  const read = (): Map<number, ProcessStat[]> => {
    const byLeader = new Map<number, ProcessStat[]>();
    for (const pid of table.pids()) {
      const stat = table.stat(pid);
      if (stat === undefined || !isAlive(stat)) continue;
      for (const leader of new Set([stat.session, stat.pgrp]))
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), stat]);
    }
    return byLeader;
  };
  return (pid) => (known ??= read()).get(pid) ?? [];
}

/**
 * Whether the number of a process that has ended is still its tree's. The kernel gives it to nobody else while session or
 * group have a member, but those that are there now may be of a later process that had it and ended as well: hence one of
 * them has to be known. Where no marker can be read nothing could ever be known; there the number is believed.
 */
function isHeldByKin(
  inheritors: readonly ProcessStat[],
  { marker, kin, log }: { marker: string; kin: readonly ProcessIdentity[]; log: string },
  table: ProcessTable,
): boolean {
  if (table.tree === 'group-only') return true;
  return inheritors.some(
    ({ pid, start }) =>
      kin.some((one) => one.pid === pid && one.start === start) ||
      table.marker(pid) === marker ||
      table.isStdout(pid, log),
  );
}

/**
 * Spawns of which only the intent was written: the process may run all the same. It is looked for in its cgroup, by the
 * marker with the nonce of the intent, or by its standard output, which is the log file that only this incarnation has.
 */
function findIntended(context: Context, open: [string, AgentEntry][]): Map<string, LiveRecord> {
  const { table, journal } = context;
  const found = new Map<string, LiveRecord>();
  const intended = open.flatMap(([agent, { live, intent }]) =>
    !live && intent && intent.boot === table.bootId && intent.ns === table.pidNamespace ? [{ agent, intent }] : [],
  );
  if (intended.length === 0) return found;
  const byMarker = new Map(intended.map((one) => [markerOf(one.agent, one.intent.generation, one.intent.nonce), one]));
  const byLog = new Map(intended.map((one) => [one.intent.log.path, one]));
  const byPid = new Map(
    intended.flatMap((one) => {
      const cgroup = recordedCgroup(one.agent, one.intent);
      return cgroup === undefined ? [] : pidsInCgroup(cgroup).map((pid) => [pid, one] as const);
    }),
  );
  const candidates = new Map<string, { intent: Intent; stats: ProcessStat[] }>();
  for (const pid of table.pids()) {
    const match = byPid.get(pid) ?? byMarker.get(table.marker(pid) ?? '') ?? byLog.get(table.stdout(pid) ?? '');
    const stat = match && pid !== process.pid ? table.stat(pid) : undefined;
    if (!match || !stat || !isAlive(stat)) continue;
    const { agent, intent } = match;
    candidates.set(agent, { intent, stats: [...(candidates.get(agent)?.stats ?? []), stat] });
  }
  for (const [agent, { intent, stats }] of candidates) {
    const { fence_before: _, ...base } = intent;
    const live: LiveRecord = { ...base, ...mainOf(stats), kin: stats.map((stat) => [stat.pid, stat.start]) };
    journal.keep([{ kind: 'live', agent, live }]);
    found.set(agent, live);
  }
  return found;
}

/** No process of it exists. Its generation stays used up, so that it cannot come to life in two places. */
function abandonIntent({ journal, log }: Context, agent: string, { intent }: AgentEntry): void {
  if (!intent) return;
  log.warn('A start was cut off before the fork', { agent, generation: intent.generation });
  journal.keep([{ kind: 'never', agent, generation: intent.generation }]);
}
