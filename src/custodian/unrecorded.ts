import type { Context } from './context.ts';
import { isSafePid } from './identity.ts';
import { incarnationIn, sealOf } from './incarnation.ts';
import type { Intent, LiveRecord } from './journal/custody-state.ts';
import { incarnationOfLog, logPathOf } from './logs/files.ts';
import { DEFAULT_STOP } from './spawn.ts';
import { isAlive, mainOf } from './tree/process-table.ts';
import type { ProcessStat } from './tree/process-table.ts';
import type { KillMode } from './protocol.ts';

/** What a process shows of the incarnation that it is of. */
interface Trace {
  agent: string;
  generation: number;
  /** Empty if it has cleared its environment. */
  nonce: string;
  killMode: KillMode;
  cgroup?: string;
}

interface Sighting {
  trace: Trace;
  stats: ProcessStat[];
}

/** Nothing tells any more; the same as the daemon gives each agent. */
const DEFAULT_LOG = { max_bytes: 10 * 1024 * 1024, keep: 3 };

/**
 * Writes down again what a lost or damaged journal no longer tells, so that no generation is started beside one that
 * lives. Only what is certainly of this state directory counts: a member of a cgroup that bears its name, a process with
 * a marker that bears its seal, or the leader of a session that writes to a log in it.
 */
export function recordUnrecorded(context: Context): void {
  const { table, journal, log, stateDir } = context;
  const newest = new Map<string, Sighting>();
  for (const sighting of sightings(context)) {
    const { agent, generation } = sighting.trace;
    const { live, intent, last_exit: exit, forgotten_at: forgottenAt, fence = 0 } = journal.entries.get(agent) ?? {};
    // It was deleted, after its end: what it had left behind was left on purpose.
    if (forgottenAt !== undefined && generation <= fence) continue;
    const known = Math.max(live?.generation ?? 0, intent?.generation ?? 0, exit?.generation ?? 0);
    const other = newest.get(agent)?.trace.generation ?? 0;
    if (generation > Math.max(known, other)) newest.set(agent, sighting);
  }
  for (const [agent, { trace, stats }] of newest) {
    const main = mainOf(stats);
    // What a main process leaves behind at its end, and is to be left alone.
    if (trace.killMode === 'process' && main.start < 0) continue;
    const { generation, nonce, killMode, cgroup } = trace;
    const base = {
      generation,
      nonce,
      boot: table.bootId,
      ns: table.pidNamespace,
      at: new Date(Date.now() - (main.start < 0 ? 0 : table.ageMs(main))).toISOString(),
      log: { path: logPathOf(stateDir, agent, generation), ...DEFAULT_LOG },
      stop: DEFAULT_STOP,
      ...(killMode === 'process' ? { kill_mode: killMode } : {}),
      ...(cgroup === undefined ? {} : { cgroup }),
    };
    const intent: Intent = { ...base, fence_before: journal.entries.get(agent)?.fence ?? 0 };
    const live: LiveRecord = { ...base, ...main, kin: stats.map(({ pid, start }) => [pid, start]) };
    // Both, as at a start: what an older generation has left in the entry goes.
    journal.keep([
      { kind: 'intent', agent, intent },
      { kind: 'live', agent, live },
    ]);
    const pids = stats.map(({ pid }) => pid);
    log.warn('An agent runs of which the journal does not tell', { agent, generation, pids });
  }
}

/** The living processes of each incarnation of this state directory. */
function sightings({ table, signaller, stateDir, cgroups }: Context): Iterable<Sighting> {
  const inCgroup = new Map<number, Trace>();
  for (const { pids, ...of } of cgroups?.occupied() ?? [])
    for (const pid of pids) inCgroup.set(pid, { ...of, killMode: 'tree' });
  const seals = (['tree', 'process'] as const).map((killMode) => [sealOf(stateDir, killMode), killMode] as const);

  const traceOf = (stat: ProcessStat): Trace | undefined => {
    const { pid } = stat;
    const marker = table.marker(pid);
    const marked = incarnationIn(marker ?? '');
    const isOther = (trace: Omit<Trace, 'killMode'>) =>
      marked !== undefined && (marked.agent !== trace.agent || marked.generation !== trace.generation);
    // A marker of another kind is another's.
    if (marker !== undefined && marker !== '' && !marked) return undefined;
    const caged = inCgroup.get(pid);
    if (caged) return isOther(caged) ? undefined : caged;
    const killMode = seals.find(([seal]) => marked?.nonce.startsWith(seal))?.[1];
    if (marked && killMode) return { ...marked, killMode };
    const path = stat.session === pid ? table.stdout(pid) : undefined;
    const logged = path === undefined ? undefined : incarnationOfLog(stateDir, path);
    // In another mount namespace the same path may mean another file.
    if (path === undefined || !logged || isOther({ ...logged, nonce: '' }) || !table.isStdout(pid, path))
      return undefined;
    return { ...logged, nonce: marked?.nonce ?? '', killMode: 'tree' };
  };

  const seen = new Map<string, Sighting>();
  for (const pid of table.pids()) {
    if (!isSafePid(pid, signaller.forbidden)) continue;
    const stat = table.stat(pid);
    if (!stat || !isAlive(stat)) continue;
    const trace = traceOf(stat);
    if (!trace || (table.namespaceOf(pid) ?? table.pidNamespace) !== table.pidNamespace) continue;
    const key = `${trace.agent}/${trace.generation}`;
    const known = seen.get(key);
    // One that cleared its environment may have children from before, which tell more.
    seen.set(key, {
      trace: known && known.trace.nonce !== '' ? known.trace : trace,
      stats: [...(known?.stats ?? []), stat],
    });
  }
  return seen.values();
}
