/** The daemon taken apart: agents first, then what listens to them, then what keeps and carries everything. */
import { setTimeout as delay } from 'node:timers/promises';
import { isReserved } from '../custodian/protocol.ts';
import { stopWaves } from '../domain/dependencies.ts';
import type { CustodyLink } from '../host/custody-link.ts';
import type { Fleet } from '../host/fleet.ts';
import type { Roster } from '../ports/roster.ts';
import type { MessageStores } from './assembly/message-stores.ts';
import type { Parts } from './assembly/parts.ts';
import type { OpenTemporal } from './temporal/temporal.ts';

/** How long a shutdown waits for Temporal to take note of the ends; what it misses the next start tells it. */
const SETTLE_MS = 2_000;
/** How long a shutdown waits for calls to Temporal that are under way. */
const LET_GO_MS = 1_000;
/** How long it waits for a worker: longer than those under way are given, see `SHUTDOWN_FORCE_TIME`. */
const WORKER_END_MS = 7_000;
/** How long people may take to be notified of a fail-stop. The time in which the agents end counts: it begins before. */
const TOLD_MS = 5_000;
/** How long to wait for what is being published about the agents. */
const PUBLISH_MS = 2_000;

/** What is there to be taken apart: after a start that failed, not all of it. */
export interface Standing {
  custody: CustodyLink;
  parts: Parts | undefined;
  temporal: OpenTemporal | undefined;
  roster: Roster | undefined;
  stores: MessageStores | undefined;
  trouble: (message: string, error: unknown) => void;
}

export interface Farewell {
  /** Stopped in order, left running for the next daemon, or there are none: then only what carries them ends. */
  agents: 'stop' | 'keep' | 'none';
  master: string | null;
  /** For people: how far it is. */
  say: (line: string) => void;
  /** Fail-stop only: resolves when people have been notified. */
  told: Promise<void> | undefined;
  /** Called when nobody waits for the workflows any more. */
  letGo: () => void;
}

export async function takeDown(standing: Standing, { agents, master, say, told, letGo }: Farewell): Promise<void> {
  const { custody, parts } = standing;
  const { host, waits, workers, reconciler, watch, http, messaging, otherDaemons, runs, incidents } = parts ?? {};
  // A message must not start what is to be stopped.
  messaging?.stopWaking();
  // A Temporal that neither answers nor refuses must not keep the agents from being stopped.
  const stopped = Promise.all([
    reconciler?.stop(),
    watch?.stop(),
    otherDaemons?.stop(),
    runs?.scheduleWatch.stop(),
    incidents?.upkeep.stop(),
    runs?.upkeep.stop(),
    host?.stopWatching(),
  ]);
  await atMost(LET_GO_MS, stopped);
  // From here on nothing is started; the workflows ask for it, and wait for the next daemon.
  await atMost(WORKER_END_MS, Promise.all([workers?.host.stop(), workers?.control.stop()]));
  if (agents === 'stop') {
    await stopAgents(custody, parts?.fleet, master);
    say('The agents are stopped.');
  }
  await Promise.all([host?.settle(SETTLE_MS), atMost(TOLD_MS, told)]);
  await atMost(WORKER_END_MS, workers?.workflows.stop());
  await atMost(LET_GO_MS, runs?.answers.stop());
  host?.close();
  waits?.close();
  letGo();
  await http?.close();
  await closeStores(standing);
  if (standing.stores) say('The queue is closed.');
  await closeConnections(standing);
  await endCustody(standing, agents === 'keep');
}

/** A start that failed leaves what ran before, and nothing else. */
export async function undoStart(standing: Standing, letGo: () => void): Promise<void> {
  // Nothing more is accepted by a daemon that is going away.
  await standing.parts?.http?.close();
  const { entries } = await standing.custody.call('list', {});
  const runsAgents = entries.some(({ agent, live }) => live && !isReserved(agent));
  const agents = runsAgents ? 'keep' : 'none';
  await takeDown(standing, { agents, master: null, say: () => undefined, told: undefined, letGo });
}

async function stopAgents(custody: CustodyLink, fleet: Fleet | undefined, master: string | null): Promise<void> {
  const { entries } = await custody.callUntilAnswered('list', {});
  const ending = entries.flatMap(({ agent, live }) => (live ? [{ agent_id: agent, generation: live.generation }] : []));
  const others = ending.map((each) => each.agent_id).filter((agentId) => agentId !== master);
  const needs = (agentId: string): string[] => Object.keys(fleet?.get(agentId)?.decision.dependencies ?? {});
  // Dependents first; the master last: it has started the others.
  await custody.callUntilAnswered('shutdown', {
    waves: [...stopWaves(others, needs), master === null ? [] : [master]],
  });
  // A workflow task that the workers take with them comes back only after its time-out; better there is none.
  await fleet?.untilHandled(ending, SETTLE_MS);
}

/** After the agents, which have had something to say to the end, and whatever listens to them. */
async function closeStores({ parts, stores, trouble }: Standing): Promise<void> {
  try {
    await atMost(PUBLISH_MS, parts?.messaging.close());
    await stores?.close();
  } catch (error) {
    trouble('Messages or state cannot be closed', error);
  }
}

/** The client's connection goes with the process: a call that is tried again on a closed one throws where nobody can catch it. */
async function closeConnections({ parts, roster, trouble }: Standing): Promise<void> {
  const { native, fleet } = parts ?? {};
  fleet?.close();
  try {
    await Promise.all([native?.close(), roster?.close()]);
  } catch (error) {
    trouble('A connection cannot be closed', error);
  }
}

async function endCustody({ custody, temporal }: Standing, keepAgents: boolean): Promise<void> {
  if (keepAgents) {
    await temporal?.embedded?.detach();
    return custody.close();
  }
  await temporal?.embedded?.stop();
  custody.expectEnd();
  await custody.call('end', {});
  custody.close();
}

const atMost = (ms: number, work: Promise<unknown> | undefined): Promise<unknown> =>
  Promise.race([work, delay(ms, undefined, { ref: false })]);
