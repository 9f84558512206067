import { Connection } from '@temporalio/client';
import { hostOfWorker, ORCHESTRATOR_QUEUE } from '../../contract/names.ts';
import { Periodic } from '../../host/periodic.ts';
import type { OpenTemporal } from './temporal.ts';

const PERIOD_MS = 60_000;
const DEADLINE_MS = 2_000;
/** A live worker polls at least once a minute; the server remembers the pollers of the last five. */
const LATELY_MS = 65_000;
/** temporal.api.enums.v1.TaskQueueType */
const WORKFLOWS = 1;

export interface OtherDaemonsOptions {
  connection: Connection;
  namespace: string;
  hostId: string;
  /** Told once of each. */
  onFound: (host: string) => void;
}

/**
 * Looks for daemons of other hosts that take work from the same namespace. Each of them admits agents for its own machine,
 * so an agent of one could be started on the other, where nobody knows that it runs already.
 */
export class OtherDaemons {
  private readonly options: OtherDaemonsOptions;
  private readonly periodic = new Periodic(PERIOD_MS, () => this.look());
  private readonly told = new Set<string>();
  hosts: string[] = [];

  constructor(options: OtherDaemonsOptions) {
    this.options = options;
  }

  async look(): Promise<void> {
    const { connection, namespace, hostId, onFound } = this.options;
    try {
      this.hosts = await otherHosts(connection, namespace, hostId);
    } catch {
      return; // the parts that need Temporal report that it is away
    }
    for (const host of this.hosts) {
      if (!this.told.has(host)) onFound(host);
      this.told.add(host);
    }
  }

  start(): void {
    this.periodic.start('later');
  }

  stop(): Promise<void> {
    return this.periodic.stop();
  }
}

/** The ids of the hosts, without `hostId`, whose daemons have lately asked for work. */
async function otherHosts(connection: Connection, namespace: string, hostId: string | undefined): Promise<string[]> {
  const request = { namespace, taskQueue: { name: ORCHESTRATOR_QUEUE }, taskQueueType: WORKFLOWS };
  const { pollers } = await connection.withDeadline(Date.now() + DEADLINE_MS, () =>
    connection.workflowService.describeTaskQueue(request),
  );
  const hosts = (pollers ?? []).flatMap(({ identity, lastAccessTime }) => {
    const host = hostOfWorker(identity ?? '');
    const isLately = Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < LATELY_MS;
    return host !== undefined && host !== hostId && isLately ? [host] : [];
  });
  return [...new Set(hosts)].toSorted();
}

/** The same for somebody who has no connection; nothing if Temporal cannot be asked. */
export async function findOtherHosts(
  { connection: options, namespace }: Pick<OpenTemporal, 'connection' | 'namespace'>,
  hostId: string | undefined,
): Promise<string[]> {
  try {
    const connection = await Connection.connect({ ...options, connectTimeout: DEADLINE_MS });
    try {
      return await otherHosts(connection, namespace, hostId);
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
