import { randomBytes } from 'node:crypto';
import { WORKFLOW_TASK_TIMEOUT } from '../../contract/names.ts';

/** Of the namespace that the embedded server makes by itself. */
export const EMBEDDED_NAMESPACE = 'default';

export interface TemporalServerOptions {
  port: number;
  /** 0: without the Web UI. */
  uiPort: number;
  dbFile: string;
  searchAttributes: readonly string[];
  logLevel?: 'error' | 'warn' | 'info' | 'debug';
}

/**
 * Limits of a server that many share are in the way of one that belongs to one daemon: the defaults (in brackets) are walls
 * for a mass start or a mass restart of some hundred agents.
 */
const LIMITS: Readonly<Record<string, number>> = {
  'frontend.rps': 100_000, // [2400]
  'frontend.namespaceRPS': 100_000, // [2400]
  'frontend.namespaceRPS.visibility': 1_000, // [100]
  'frontend.namespaceCount': 20_000, // concurrent long polls of a kind [1200]
  'frontend.persistenceMaxQPS': 100_000, // [10000]
  'history.rps': 100_000, // [3000]
  'history.persistenceMaxQPS': 100_000, // [45000]
  'history.maxInFlightUpdates': 1_000, // a workflow's; 100 concurrent ones took 21 s at the default [10]
  'matching.rps': 100_000, // the first wall in a mass start [1200]
  'matching.persistenceMaxQPS': 100_000, // [3000]
  'worker.schedulerNamespaceStartWorkflowRPS': 1_000, // [30]
  // One server process: partitions only spread a queue over pollers that then wait for each other's tasks. [4]
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
};

/**
 * The command line of the embedded server, without the binary itself.
 *
 * SQLite runs in WAL mode with synchronous=FULL: no commit is lost by a power failure. The server always opens an HTTP API
 * that takes cross-origin posts; a host that nobody can name closes it.
 */
export function temporalServerArgs(options: TemporalServerOptions): string[] {
  const nobody = `${randomBytes(16).toString('hex')}.invalid`;
  const dynamicConfig = {
    ...LIMITS,
    // An admission runs on the worker that asked for it: one trip to the server less.
    'system.enableActivityEagerExecution': true,
    // Timers may fire late by this much, to save a shared database some trips. By default [1s] every back-off, however
    // short, takes a second longer than it says.
    'history.timerProcessorMaxTimeShift': '10ms',
    // For lives that are started with Temporal's own tools, as well.
    'history.defaultWorkflowTaskTimeout': WORKFLOW_TASK_TIMEOUT,
    'frontend.httpAllowedHosts': [nobody],
  };
  const flags: Array<[string, string | number]> = [
    ['--ip', '127.0.0.1'],
    ['--port', options.port],
    ['--db-filename', options.dbFile],
    ['--namespace', EMBEDDED_NAMESPACE],
    ['--sqlite-pragma', 'journal_mode=WAL'],
    ['--sqlite-pragma', 'synchronous=FULL'],
    ['--log-level', options.logLevel ?? 'warn'],
    ['--log-format', 'json'],
  ];
  if (options.uiPort !== 0) flags.push(['--ui-ip', '127.0.0.1'], ['--ui-port', options.uiPort]);
  for (const [key, value] of Object.entries(dynamicConfig))
    flags.push(['--dynamic-config-value', `${key}=${JSON.stringify(value)}`]);
  // Counts only while the database is new; afterwards the daemon adds what is missing.
  for (const name of options.searchAttributes) flags.push(['--search-attribute', `${name}=Keyword`]);
  return ['server', 'start-dev', ...(options.uiPort === 0 ? ['--headless'] : []), ...flags.flat().map(String)];
}
