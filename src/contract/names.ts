/** Names that both sides of Temporal, and people with Temporal's own tools, use. */
import { cut } from '../domain/cut.ts';

export const WORKFLOW_TYPE = 'agent';
export const ORCHESTRATOR_QUEUE = 'orchestrator';

export const workflowIdOf = (agentId: string): string => `agent/${agentId}`;
export const agentIdOf = (workflowId: string): string => workflowId.replace(/^agent\//, '');
export const hostQueueOf = (host: string): string => `host/${host}`;
export const controlQueueOf = (host: string): string => `control/${host}`;

/** Worker identity shown by Temporal; contains the host id, and an id of this start of the daemon. */
const WORKERS_OF = 'openstarry@';
export const workerIdentityOf = (host: string, start: string): string => `${WORKERS_OF}${host}/${start}`;
export function daemonOfWorker(identity: string): { host: string; start: string } | undefined {
  if (!identity.startsWith(WORKERS_OF)) return undefined;
  const [host = '', start = ''] = identity.slice(WORKERS_OF.length).split('/');
  return { host, start };
}

/**
 * If a daemon dies holding a workflow task, Temporal reissues the task after this long; until then the workflow answers
 * nothing. The margin is for an overloaded machine.
 */
export const WORKFLOW_TASK_TIMEOUT = '5s';

/** Temporal refuses summaries over 400 bytes, and a character may take three. */
const SUMMARY_CHARACTERS = 130;

/** What Temporal shows of a workflow, an activity or a timer. */
export const summaryOf = (text: string): string => cut(text, SUMMARY_CHARACTERS);

/** Activity ids are `<verb>/<generation>`: the same call asked for again, by whichever run, is the same call. */
export const ADMISSION_PREFIX = 'admit/';
export const runActivityId = (generation: number): string => `run/${generation}`;
export const WAIT_PREFIX = 'await/';
export const waitActivityId = (wait: number): string => `${WAIT_PREFIX}${wait}`;
export const stopActivityId = (generation: number): string => `stop/${generation}`;

/** All of type Keyword. For people and lists; never read by code. */
export const SEARCH_ATTRIBUTES = ['AgentId', 'AgentState', 'TemplateId', 'FaultDomain', 'Host'] as const;
export type SearchAttribute = (typeof SEARCH_ATTRIBUTES)[number];

/** Updates, and signals of the same names. */
export const COMMANDS = ['start', 'stop', 'restart', 'pause', 'resume', 'delete', 'signal', 'configure'] as const;
export type CommandName = (typeof COMMANDS)[number];
export const RECONCILE_SIGNAL = 'reconcile';
/** A signal of the host: something that people should know of a running process. */
export const NOTICE_SIGNAL = 'notice';
export const STATUS_QUERY = 'status';
