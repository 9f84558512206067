import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../src/contract/names.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { untilTemporalAnswers } from '../../src/daemon/temporal/ready.ts';
import { temporalServerArgs } from '../../src/daemon/temporal/server-args.ts';

export interface DevServer {
  address: string;
  port: number;
  pid: number;
  connection: Connection;
  /** Ends the server. Its database stays, so that a test can start it again. */
  stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface DevServerOptions {
  cli: string;
  /** For the database. */
  folder: string;
  /** 0: any free one. */
  port?: number;
  searchAttributes?: readonly string[];
  /** Further arguments of `temporal server start-dev`. */
  extraArgs?: readonly string[];
}

/** Starts a Temporal server as the daemon would, as a child of the test. For tests that kill it, and once for all others. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { port } = await choosePorts({ 'the test server': options.port ?? 0 }).then((ports) => ({
    port: ports['the test server'],
  }));
  const args = temporalServerArgs({
    port,
    uiPort: 0,
    dbFile: path.join(options.folder, 'temporal.db'),
    searchAttributes: options.searchAttributes ?? SEARCH_ATTRIBUTES,
    logLevel: 'error',
  });
  const child = spawn(options.cli, [...args, ...(options.extraArgs ?? [])], { stdio: ['ignore', 'ignore', 'inherit'] });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.on('exit', killAtExit);
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    process.off('exit', killAtExit);
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  const address = `127.0.0.1:${port}`;
  try {
    const connection = await untilTemporalAnswers({
      address,
      namespace: 'default',
      deadlineMs: 30_000,
      hasEnded: () => hasEnded(child),
    });
    return { address, port, pid: child.pid ?? 0, connection, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
