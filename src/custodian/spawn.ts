import { closeSync } from 'node:fs';
import { removeCgroup } from './tree/cgroups.ts';
import type { Context } from './context.ts';
import { custodyOf } from './journal/custody-state.ts';
import type { Intent, LiveRecord } from './journal/custody-state.ts';
import { resolveExecutable } from './executable.ts';
import { failpoint } from './failpoint.ts';
import { createIncarnation, markerOf, newNonce } from './incarnation.ts';
import type { Incarnation } from './incarnation.ts';
import { launch, openStdin } from './launch.ts';
import { closeQuietly, logPathOf, openLog } from './logs/files.ts';
import { errnoOf, messageOf } from './logger.ts';
import type { SpawnParams, SpawnResult } from './protocol.ts';
import type { ProcessTable } from './tree/process-table.ts';
import { Refusal, spawnRefusal } from './refusal.ts';

/** What happens to a process that was started here. */
export interface SpawnHooks {
  started(incarnation: Incarnation): void;
  exited(incarnation: Incarnation, code: number | null, signal: string | null): void;
}

const START_READS = 10;
export const DEFAULT_STOP = { signal: 'SIGTERM', grace_ms: 10_000 };

/**
 * Starts a generation, unless it runs already. Everything up to the answer happens in one go, so no two requests can
 * interleave: intent in the journal, fork, record in the journal.
 */
export async function spawnAgent(context: Context, params: SpawnParams, hooks: SpawnHooks): Promise<SpawnResult> {
  const { cgroups, journal, incarnations, stateDir, table } = context;
  const { agent, generation } = params;
  const entry = journal.entries.get(agent);
  const running = incarnations.get(agent);
  if (running?.record.generation === generation) return resultOf(context, running, true);
  const custody = custodyOf(entry);
  if (running) {
    throw new Refusal('SUPERSEDED', `Generation ${running.record.generation} of ${agent} lives (pid ${running.pid})`, {
      custody,
    });
  }
  if (generation <= custody.fence) {
    throw new Refusal('SUPERSEDED', `Generation ${generation} of ${agent} is not above the fence ${custody.fence}`, {
      custody,
    });
  }
  if (entry?.order) {
    const message = `An operator's ${entry.order.verb} of ${agent} has not been handed over to its workflow yet`;
    throw new Refusal('ORDERED', message, { custody });
  }
  const executable = resolveExecutable(params.command[0] ?? '', params.env, params.cwd);

  const nonce = newNonce(stateDir, params.kill_mode);
  const at = new Date().toISOString();
  // What a main process may leave behind must not stand in a cgroup that goes with it.
  const isWholeTree = params.kill_mode !== 'process';
  const cgroup = isWholeTree ? cgroups?.make(agent, { generation, nonce }) : undefined;
  const base = {
    generation,
    nonce,
    boot: table.bootId,
    ns: table.pidNamespace,
    at,
    log: { path: logPathOf(stateDir, agent, generation), ...params.log },
    stop: params.stop ?? DEFAULT_STOP,
    ...(isWholeTree ? {} : { kill_mode: 'process' as const }),
    ...(cgroup === undefined ? {} : { cgroup }),
  };
  const intent: Intent = { ...base, fence_before: custody.fence };
  let logFd: number | undefined;
  let stdinFd: number | undefined;
  try {
    logFd = openLog(stateDir, agent, generation);
    if (params.stdin !== undefined) stdinFd = openStdin(stateDir, nonce, params.stdin);
    journal.append({ kind: 'intent', agent, intent });
  } catch (error) {
    closeQuietly(logFd);
    closeQuietly(stdinFd);
    if (cgroup !== undefined) removeCgroup(cgroup);
    const errno = errnoOf(error) ?? 'EIO';
    throw spawnRefusal(errno, `Cannot prepare the start of ${agent} in ${stateDir} (${errno}): ${messageOf(error)}`);
  }
  failpoint('custodian.after-intent', agent);
  const order = { params, executable, marker: markerOf(agent, generation, nonce), stdinFd, logFd };
  const launched = cgroups ? cgroups.inside(cgroup, () => launch(order)) : launch(order);
  if (launched.kind === 'started') failpoint('custodian.after-fork', agent);
  closeSync(logFd);
  closeQuietly(stdinFd);
  if (launched.kind === 'failed') {
    journal.keep([{ kind: 'void', agent, generation }]);
    if (cgroup !== undefined) removeCgroup(cgroup);
    throw await launched.refusal;
  }

  const { child } = launched;
  // Its pid cannot be given away before we reap it, and that is never in the middle of this function.
  const start = startOf(child.pid, table);
  if (start === undefined) {
    // Without its start time it could not be told from a later process with its pid, so nobody could ever stop it.
    context.log.error('Killed an agent that could not be read right after its start', { agent, pid: child.pid });
    child.kill('SIGKILL');
  }
  const live: LiveRecord = { ...base, pid: child.pid, start: start ?? 0 };
  const incarnation = createIncarnation(agent, live, child);
  incarnations.set(agent, incarnation);
  child.once('exit', (code, signal) => hooks.exited(incarnation, code, signal));
  // Kept, not appended: it runs, whatever the disk says.
  journal.keep([{ kind: 'live', agent, live }]);
  failpoint('custodian.after-record', agent);
  hooks.started(incarnation);
  return resultOf(context, incarnation, false);
}

function startOf(pid: number, table: ProcessTable): number | undefined {
  for (let attempt = 0; attempt < START_READS; attempt += 1) {
    try {
      return table.stat(pid)?.start;
    } catch {
      // short of descriptors or memory: it may be over in the next moment
    }
  }
  return undefined;
}

function resultOf({ journal }: Context, { agent, pid, record }: Incarnation, adopted: boolean): SpawnResult {
  const custody = custodyOf(journal.entries.get(agent));
  return { adopted, pid, started_at: record.at, log_path: record.log.path, custody };
}
