import { join } from 'node:path';
import type { ExitCause } from '../domain/custody.ts';
import type { Cgroups } from './tree/cgroups.ts';
import type { Context, EmitEvent } from './context.ts';
import { custodyOf } from './journal/custody-state.ts';
import type { Tombstone } from './journal/custody-state.ts';
import { createExits } from './exits.ts';
import { createFreezer, signalTree } from './tree/freeze.ts';
import { markerOf } from './incarnation.ts';
import type { Incarnation } from './incarnation.ts';
import type { Journal } from './journal/journal.ts';
import { pruneLogs } from './logs/files.ts';
import { createLogRotation } from './logs/rotation.ts';
import type { LogFile } from './logs/rotation.ts';
import { createLogSpace } from './logs/space.ts';
import { errnoOf, messageOf } from './logger.ts';
import type { Logger } from './logger.ts';
import type { ProcessTable } from './tree/process-table.ts';
import { isReserved } from './protocol.ts';
import type { CustodyEntry, Methods, ProcessParams, SettingsParams, SpawnParams, StopParams } from './protocol.ts';
import { recover } from './recovery.ts';
import { Refusal } from './refusal.ts';
import { createShutdown } from './shutdown.ts';
import type { Shutdown } from './shutdown.ts';
import { createSignaller } from './signals.ts';
import type { Signaller } from './signals.ts';
import { spawnAgent } from './spawn.ts';
import { createStopLadder } from './stop.ts';
import { createStuck } from './tree/stuck.ts';
import { createTree } from './tree/tree.ts';
import { createWatch } from './watch.ts';

export interface CustodianOptions {
  stateDir: string;
  table: ProcessTable;
  journal: Journal;
  log: Logger;
  emit: EmitEvent;
  /** The file that our own log goes to, if it goes to one. */
  ownLog?: LogFile;
  cgroups?: Cgroups;
}

type Answer<M extends keyof Methods> = Methods[M][1] | Promise<Methods[M][1]>;

/** The custodian without its socket: what can be asked of it, by method of the protocol. */
export interface Custodian {
  spawn(params: SpawnParams): Answer<'spawn'>;
  stop(params: StopParams): Answer<'stop'>;
  signal(agent: string, generation: number, signal: NodeJS.Signals): Answer<'signal'>;
  /** Lets a tree stand still, or forbids the start of what has not started. */
  pause(params: ProcessParams): Answer<'pause'>;
  resume(params: ProcessParams): Answer<'resume'>;
  trees(agents?: string[]): Answer<'trees'>;
  list(): CustodyEntry[];
  custody(agent: string): Answer<'custody'>;
  settings(params: SettingsParams): Answer<'settings'>;
  forget(agent: string): Answer<'forget'>;
  order(agent: string, verb: 'stop' | 'delete', at?: string): Answer<'order'>;
  orders(): Answer<'orders'>;
  orderDone(agent: string, at?: string): Answer<'order_done'>;
  shutdown: Shutdown;
  /** Stops everything, reserved children last. */
  stopAll(graceMs?: number): Promise<void>;
  incarnations: ReadonlyMap<string, Incarnation>;
  /** Takes up what ran under the last custodian. */
  recover(): void;
  /** The daemon has this pid: a record that names it as an agent cannot be true. */
  disown(pid: number): void;
  signaller: Signaller;
  close(): void;
}

export function createCustodian({ stateDir, table, journal, log, emit, ownLog, cgroups }: CustodianOptions): Custodian {
  const incarnations = new Map<string, Incarnation>();
  const signaller = createSignaller(table, log);
  const tree = createTree({
    table,
    log,
    onKin(key, kin) {
      const incarnation = [...incarnations.values()].find((one) => one.key === key);
      if (!incarnation) return;
      const { agent, record } = incarnation;
      journal.keep([
        { kind: 'kin', agent, generation: record.generation, kin: kin.map(({ pid, start }) => [pid, start]) },
      ]);
    },
  });
  const stuck = createStuck(tree, emit, log);
  const parts = { stateDir, log, table, journal, tree, signaller, stuck, emit, incarnations };
  const context: Context = cgroups ? { ...parts, cgroups } : parts;
  const logSpace = createLogSpace(join(stateDir, 'logs'), log);
  const rotation = createLogRotation(log, logSpace);
  if (ownLog) rotation.watch(ownLog);
  const exits = createExits(context);
  const stops = createStopLadder(context);
  const freezer = createFreezer(context);

  const end = (incarnation: Incarnation, code: number | null, signal: string | null, cause: ExitCause) => {
    if (incarnation.ended) return;
    const { record } = incarnation;
    clearTimeout(incarnation.stopping?.timer);
    // For an unseen end this is the longest it can have been.
    const isUnseen = cause === 'custodian_lost' || record.start < 0;
    const ranMs = cause === 'reboot' ? 0 : isUnseen ? Date.now() - Date.parse(record.at) : table.ageMs(record);
    incarnation.ended = { code, signal, cause, at: new Date().toISOString(), ranMs };
    rotation.unwatch(record.log.path);
    exits.ended(incarnation);
  };
  const watch = createWatch(context, {
    gone: (incarnation) => end(incarnation, null, null, 'self'),
    scanned: () => freezer.enforce(),
  });

  const tombstone = (
    incarnation: Incarnation,
    generation: number,
    stop: Omit<Tombstone, 'generation' | 'at' | 'uptime_ms'>,
  ) => {
    const uptimeMs = table.uptimeMs();
    const at = new Date().toISOString();
    const running = incarnation.stopping;
    const record: Tombstone = { generation, at, ...(uptimeMs === undefined ? {} : { uptime_ms: uptimeMs }), ...stop };
    // The first stop names the cause and has sent its signal; a later one can only shorten the grace.
    if (running) {
      record.cause = running.cause;
      if (running.why === undefined) delete record.why;
      else record.why = running.why;
      record.grace_ms = Math.max(0, Math.min(stop.grace_ms, running.killAtMs - performance.now()));
      record.signalled = true;
    }
    journal.keep([{ kind: 'stop', agent: incarnation.agent, stop: record }]);
    return at;
  };
  const shutdown = createShutdown(context, (incarnation, graceMs) => stopOne(incarnation, graceMs));
  const stopOne = (incarnation: Incarnation, graceMs: number) => {
    const { generation, stop } = incarnation.record;
    const request = { cause: 'shutdown', signal: stop.signal, grace_ms: Math.round(graceMs) } as const;
    const since = tombstone(incarnation, generation, request);
    stops.begin(incarnation, { cause: 'shutdown', signal: stop.signal as NodeJS.Signals, graceMs, since });
  };
  const custodyFor = (agent: string) => custodyOf(journal.entries.get(agent));

  return {
    shutdown,
    incarnations,
    signaller,

    spawn(params) {
      if (shutdown.refuses(params.agent)) {
        throw new Refusal('SHUTTING_DOWN', `The host shuts down: ${params.agent} is not started`, {
          custody: custodyFor(params.agent),
        });
      }
      return spawnAgent(context, params, {
        started(incarnation) {
          const { agent, key, pid, start, record } = incarnation;
          const marker = markerOf(agent, record.generation, record.nonce);
          const { cgroup } = record;
          tree.add({ key, pid, start, marker, isNew: true, kin: [], ...(cgroup === undefined ? {} : { cgroup }) });
          rotation.watch(record.log);
          watch.wake();
          log.info('Started an agent', { agent, generation: record.generation, pid });
          setImmediate(() => {
            pruneLogs(stateDir, agent).catch((error: unknown) =>
              log.warn('Cannot remove old logs', { agent, error: messageOf(error) }),
            );
          });
        },
        exited: (incarnation, code, signal) => end(incarnation, code, signal, 'self'),
      });
    },

    async stop({ agent, generation, cause, why, signal, grace_ms: graceMs }) {
      const incarnation = incarnations.get(agent);
      const entry = journal.entries.get(agent);
      if (incarnation === undefined || incarnation.record.generation > generation) {
        if (generation > (entry?.fence ?? 0)) {
          // Nothing lives; a spawn of it that is still on its way is refused from now on.
          journal.keep([{ kind: 'fence', agent, fence: generation }]);
          await journal.sync();
        }
        return { done: true, custody: custodyFor(agent) };
      }
      const because = why === undefined ? {} : { why };
      const since = tombstone(incarnation, generation, { cause, ...because, signal, grace_ms: graceMs });
      // Taken before the signal: its answer must not be overtaken by the exit that it causes.
      const written = journal.sync();
      stops.begin(incarnation, { cause, ...because, signal: signal as NodeJS.Signals, graceMs, since });
      await written;
      return { done: incarnations.get(agent) !== incarnation, custody: custodyFor(agent) };
    },

    signal(agent, generation, signal) {
      const incarnation = incarnations.get(agent);
      if (!incarnation || incarnation.ended || incarnation.record.generation !== generation) {
        throw new Refusal('NOT_LIVE', `Generation ${generation} of ${agent} does not live`, {
          custody: custodyFor(agent),
        });
      }
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT' && signal !== 'SIGKILL') {
        return { delivered: signaller.send(incarnation, signal) === 'sent' };
      }
      tree.scan('quick');
      return { delivered: signalTree(context, incarnation, signal, tree.members(incarnation.key)) };
    },

    async pause({ agent, generation }) {
      const incarnation = incarnations.get(agent);
      if (incarnation?.record.generation === generation) await freezer.pause(incarnation);
      // Nothing of it lives yet; a spawn that is still on its way is refused from now on.
      else if (!incarnation && generation > custodyFor(agent).fence) {
        journal.keep([{ kind: 'fence', agent, fence: generation }]);
      }
      await journal.sync();
      return custodyFor(agent);
    },
    async resume({ agent, generation }) {
      const incarnation = incarnations.get(agent);
      if (incarnation?.record.generation === generation) freezer.resume(incarnation);
      await journal.sync();
      return custodyFor(agent);
    },

    trees(agents) {
      const asked =
        agents === undefined ? [...incarnations.values()] : agents.flatMap((id) => incarnations.get(id) ?? []);
      const pids = asked.map((one) => [one.agent, tree.members(one.key).map(({ pid }) => pid)] as const);
      return { trees: Object.fromEntries(pids) };
    },

    list() {
      return [...journal.entries].map(([agent, entry]) => {
        const running = incarnations.get(agent);
        const lastLog = entry.last_log === undefined ? {} : { last_log_path: entry.last_log };
        if (!running) return { agent, custody: custodyOf(entry), ...lastLog };
        const { record, pid, stopping } = running;
        const live = {
          generation: record.generation,
          pid,
          started_at: record.at,
          parent: running.child !== undefined,
          log_path: record.log.path,
          ...(stopping ? { stopping: { cause: stopping.cause, since: stopping.since } } : {}),
        };
        return { agent, custody: custodyOf(entry), live, ...lastLog };
      });
    },
    custody: custodyFor,

    settings({ logs }) {
      logSpace.setMinFree(logs.min_free_bytes);
      return {};
    },

    async forget(agent) {
      if (incarnations.has(agent))
        throw new Refusal('STILL_LIVE', `${agent} still lives: stop it first`, { custody: custodyFor(agent) });
      if (!journal.entries.has(agent)) return {};
      journal.keep([{ kind: 'forget', agent, at: new Date().toISOString() }]);
      await journal.sync();
      return {};
    },

    async order(agent, verb, at = new Date().toISOString()) {
      // Who gave the order relies on it: it must not be only in memory. One that is refused must not be carried out
      // either: it would come after orders that were given since.
      const before = journal.entries.get(agent)?.order;
      const refusal = (why: string, errno = 'EIO') =>
        new Refusal('RESOURCE_EXHAUSTED', `The order for ${agent} cannot be kept in ${stateDir}: ${why}`, { errno });
      try {
        journal.append({ kind: 'order', agent, verb, at });
      } catch (error) {
        throw refusal(messageOf(error), errnoOf(error));
      }
      if (await journal.sync()) return {};
      if (journal.entries.get(agent)?.order?.at === at) {
        journal.keep([
          { kind: 'order_done', agent },
          ...(before ? [{ kind: 'order' as const, agent, ...before }] : []),
        ]);
      }
      throw refusal('the disk does not take what is written');
    },
    orders() {
      const orders = [...journal.entries].flatMap(([agent, { order }]) => (order ? [{ agent, ...order }] : []));
      return { orders: orders.toSorted((a, b) => a.at.localeCompare(b.at)) };
    },
    async orderDone(agent, at) {
      const order = journal.entries.get(agent)?.order;
      if (order === undefined || (at !== undefined && order.at !== at)) return {};
      journal.keep([{ kind: 'order_done', agent }]);
      await journal.sync();
      return {};
    },

    async stopAll(graceMs) {
      const grace = graceMs === undefined ? {} : { grace_ms: graceMs };
      await shutdown.runLast({ waves: [], ...grace });
      const reserved = [...incarnations.values()];
      for (const incarnation of reserved) stopOne(incarnation, graceMs ?? incarnation.record.stop.grace_ms);
      await Promise.all(reserved.map((incarnation) => incarnation.gone));
    },

    recover() {
      recover(context, stops, {
        adopted(incarnation) {
          rotation.watch(incarnation.record.log);
          if (incarnation.record.paused) void freezer.pause(incarnation);
        },
        lost: (incarnation, cause) => end(incarnation, null, null, cause),
      });
      watch.wake();
      cgroups?.tidy(new Set([...incarnations.values()].flatMap(({ record }) => record.cgroup ?? [])));
    },

    disown(pid) {
      for (const incarnation of incarnations.values()) {
        const { agent, key, record } = incarnation;
        if (incarnation.pid !== pid || incarnation.child || incarnation.ended || isReserved(agent)) continue;
        log.warn('An agent is gone', { agent, pid, cause: 'custodian_lost', why: `pid ${pid} is the daemon's` });
        // Nothing that hangs on that pid is of it: only what carries the marker of this very spawn.
        tree.remove(key);
        Object.assign(incarnation, { pid: -1, start: -1 });
        const marker = markerOf(agent, record.generation, record.nonce);
        tree.add({ key, pid: -1, start: -1, marker, isNew: false, kin: [] });
        end(incarnation, null, null, 'custodian_lost');
      }
    },

    close() {
      cgroups?.close();
      rotation.close();
      journal.close();
    },
  };
}
