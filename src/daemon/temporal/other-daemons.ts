import { Connection } from '@temporalio/client';
import { daemonOfWorker, ORCHESTRATOR_QUEUE } from '../../contract/names.ts';
import { Periodic } from '../../host/periodic.ts';
import type { OpenTemporal } from './temporal.ts';

const PERIOD_MS = 60_000;
const DEADLINE_MS = 2_000;
/** A live worker polls at least once a minute; the server remembers the pollers of the last five. */
const LATELY_MS = 65_000;
/** The server notes a poller at the beginning and at the end of a poll, and may hold the poll of a machine that lost power for this long. */
const LONGEST_POLL_MS = 70_000;
/** temporal.api.enums.v1.TaskQueueType */
const WORKFLOWS = 1;

export interface OtherDaemonsOptions {
  connection: Connection;
  namespace: string;
  hostId: string;
  startId: string;
  /** Told once of each: what is wrong, and what to do. */
  onFound: (warning: string) => void;
}

/**
 * Looks for other daemons that take work from the same namespace. Each of them admits agents for its own machine, so an
 * agent of one could be started on the other, where nobody knows that it runs already. One that has even the id of this
 * host has a copy of this state directory, as on a cloned machine: it takes the very orders that are meant for this one.
 */
export class OtherDaemons {
  private readonly options: OtherDaemonsOptions;
  private readonly periodic = new Periodic(PERIOD_MS, () => this.look());
  private readonly told = new Set<string>();
  /** By start: when a daemon with our id, but not of our start, had last asked for work at our first look. */
  private heard: Map<string, number> | undefined;
  /** Those that have asked since. One that has not is what Temporal remembers of an earlier start of ours. */
  private readonly copies = new Set<string>();
  hosts: string[] = [];

  constructor(options: OtherDaemonsOptions) {
    this.options = options;
  }

  async look(): Promise<void> {
    const { connection, namespace, hostId, onFound } = this.options;
    let pollers: Poller[];
    try {
      pollers = await pollersOf(connection, namespace);
    } catch {
      return; // the parts that need Temporal report that it is away
    }
    this.noteCopies(pollers);
    const isOther = ({ host, start, isLate }: Poller): boolean =>
      !isLate && (host !== hostId || this.copies.has(start));
    this.hosts = hostsOf(pollers.filter(isOther));
    for (const host of this.hosts) {
      if (!this.told.has(host)) onFound(host === hostId ? copyWarning(host, namespace) : otherWarning(host, namespace));
      this.told.add(host);
    }
  }

  /** The server's times are compared with each other only: its clock need not be ours. */
  private noteCopies(pollers: readonly Poller[]): void {
    const { hostId, startId } = this.options;
    const namesakes = pollers.filter(({ host, start }) => host === hostId && start !== startId);
    const before = this.heard;
    this.heard ??= new Map(namesakes.map(({ start, atMs }) => [start, atMs]));
    if (before === undefined) return;
    const isDead = ({ start, atMs }: Poller): boolean => {
      const heardMs = before.get(start);
      return heardMs !== undefined && atMs <= heardMs + LONGEST_POLL_MS;
    };
    for (const namesake of namesakes) if (!isDead(namesake)) this.copies.add(namesake.start);
  }

  start(): void {
    this.periodic.start('later');
  }

  stop(): Promise<void> {
    return this.periodic.stop();
  }
}

interface Poller {
  host: string;
  start: string;
  atMs: number;
  /** So long ago that it may have ended. */
  isLate: boolean;
}

/** The daemons that have asked for work, as far as the server remembers. */
async function pollersOf(connection: Connection, namespace: string): Promise<Poller[]> {
  const request = { namespace, taskQueue: { name: ORCHESTRATOR_QUEUE }, taskQueueType: WORKFLOWS };
  const { pollers } = await connection.withDeadline(Date.now() + DEADLINE_MS, () =>
    connection.workflowService.describeTaskQueue(request),
  );
  return (pollers ?? []).flatMap(({ identity, lastAccessTime }) => {
    const daemon = daemonOfWorker(identity ?? '');
    const atMs = Number(lastAccessTime?.seconds ?? 0) * 1000 + Number(lastAccessTime?.nanos ?? 0) / 1e6;
    return daemon === undefined ? [] : [{ ...daemon, atMs, isLate: Date.now() - atMs >= LATELY_MS }];
  });
}

const hostsOf = (pollers: readonly Poller[]): string[] => [...new Set(pollers.map(({ host }) => host))].toSorted();

/** The hosts, without `hostId`, for somebody who has no connection; nothing if Temporal cannot be asked. */
export async function findOtherHosts(
  { connection: options, namespace }: Pick<OpenTemporal, 'connection' | 'namespace'>,
  hostId: string | undefined,
): Promise<string[]> {
  try {
    const connection = await Connection.connect({ ...options, connectTimeout: DEADLINE_MS });
    try {
      const pollers = await pollersOf(connection, namespace);
      return hostsOf(pollers.filter(({ host, isLate }) => host !== hostId && !isLate));
    } finally {
      await connection.close();
    }
  } catch {
    return [];
  }
}

/** What is wrong with it, and what to do. */
export const OTHER_DAEMON_WAY_OUT =
  'Give each daemon a namespace of its own (`temporal.namespace`, TEMPORAL_NAMESPACE), or stop one: an agent of one may be started on both';

export const describeOtherDaemon = (host: string, namespace: string): string =>
  `A daemon of another host, ${host}, takes work from the namespace ${namespace} as well`;

const otherWarning = (host: string, namespace: string): string =>
  `${describeOtherDaemon(host, namespace)}. ${OTHER_DAEMON_WAY_OUT}`;

const copyWarning = (host: string, namespace: string): string =>
  `Another daemon with the id of this host, ${host}, takes work from the namespace ${namespace}: its state directory was copied. ` +
  'Stop the copy, and give it an OPENSTARRY_HOME and a namespace of its own: until then each agent may be started on both';
