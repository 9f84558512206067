import type { NativeConnection } from '@temporalio/worker';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import type { createActivities } from '../activities/index.ts';
import { controlQueueOf, hostQueueOf, ORCHESTRATOR_QUEUE, workerIdentityOf } from '../contract/names.ts';
import type { Records } from '../ports/records.ts';
import type { Roster } from '../ports/roster.ts';
import { recordSinks } from './record-sinks.ts';
import { rosterSinks } from './roster-sinks.ts';
import { RunningWorker } from './running-worker.ts';

export interface WorkersOptions {
  connection: NativeConnection;
  namespace: string;
  hostId: string;
  /** Tells this start of the daemon from any other, also of a copy of it. */
  startId: string;
  /** File made by the build, from exactly this version of the SDK. */
  workflowBundlePath: string;
  activities: ReturnType<typeof createActivities>;
  /** Filled, by agent, with the last decision that has not reached the roster. */
  unpublished: Map<string, number>;
  roster: Roster;
  records: Pick<Records, 'publishRecord'>;
  onTrouble: (message: string, error: unknown) => void;
}

const POLLERS = { type: 'simple-maximum', maximum: 10 } as const;
/** Memory for a replay of a short history: a cached workflow costs about 330 KB. */
const MAX_CACHED_WORKFLOWS = 1_000;
/** They run in one thread: more of them only wait here, where their time runs, instead of in the server's queue. */
const WORKFLOW_TASKS = 20;
/** How long after a daemon's death its sticky queues hold back workflow tasks. */
const STICKY_TIMEOUT = '3s';
/**
 * How long a workflow may take for one activation. Not the SDK's 5 s: a flood of ten thousand signals takes that on a busy
 * machine, and what is cut off in the middle of a promise ends the whole daemon ("async hook stack has become corrupted").
 * The types of the SDK do not name this option; a test sees that it is honoured.
 */
export const UNHURRIED = { isolateExecutionTimeout: '1 minute' };
/** Nothing runs long inside a worker (processes are watched without a slot), so nothing is lost by not waiting. */
const SHUTDOWN_FORCE_TIME = '5s';

export interface Workers {
  workflows: RunningWorker;
  host: RunningWorker;
  control: RunningWorker;
}

/**
 * The Temporal workers of a daemon:
 * - `orchestrator`: workflows of all agents, and their admission
 * - `host/<id>`: starts of processes on this host
 * - `control/<id>`: stops and signals, never behind slow starts
 */
export async function createWorkers(options: WorkersOptions): Promise<Workers> {
  const { activities, hostId, startId } = options;
  const common = {
    connection: options.connection,
    namespace: options.namespace,
    identity: workerIdentityOf(hostId, startId),
    activityTaskPollerBehavior: POLLERS,
    shutdownForceTime: SHUTDOWN_FORCE_TIME,
  } satisfies Partial<WorkerOptions>;
  const keep = async (own: Pick<WorkerOptions, 'taskQueue'> & Partial<WorkerOptions>): Promise<RunningWorker> => {
    const create = (): Promise<Worker> => Worker.create({ ...common, ...own });
    return new RunningWorker(await create(), create, options.onTrouble);
  };
  const [workflows, host, control] = await Promise.all([
    keep({
      taskQueue: ORCHESTRATOR_QUEUE,
      workflowBundle: { codePath: options.workflowBundlePath },
      activities: { ...activities.admission, ...activities.service },
      sinks: {
        ...rosterSinks(options.roster, options.unpublished, options.onTrouble),
        ...recordSinks(options.records, options.onTrouble),
      },
      workflowTaskPollerBehavior: POLLERS,
      maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
      ...UNHURRIED,
      maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS,
      stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    }),
    keep({ taskQueue: hostQueueOf(hostId), activities: { ...activities.host } }),
    keep({ taskQueue: controlQueueOf(hostId), activities: { ...activities.control } }),
  ]);
  return { workflows, host, control };
}
