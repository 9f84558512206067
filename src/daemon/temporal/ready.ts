import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection, isGrpcServiceError, type ConnectionOptions } from '@temporalio/client';
import { CodedError } from '../../contract/errors.ts';

const POLL_MS = 25;

export interface ReadinessOptions {
  /** `host:port` */
  address: string;
  /** Credentials, where the server wants some. */
  credentials?: Pick<ConnectionOptions, 'tls' | 'apiKey'>;
  namespace: string;
  deadlineMs: number;
  /** Asked between two tries: a server that has ended will not answer any more. */
  hasEnded?: () => boolean | Promise<boolean>;
  signal?: AbortSignal;
}

/**
 * Waits until a Temporal server serves the namespace.
 *
 * @returns an open connection, which the caller closes
 * @throws CodedError TEMPORAL_UNAVAILABLE with the last thing that went wrong
 */
export async function untilTemporalAnswers(options: ReadinessOptions): Promise<Connection> {
  const { address, deadlineMs } = options;
  const end = performance.now() + deadlineMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const { connection, reason } = await tryOnce(options, end);
    if (connection !== undefined) return connection;
    if ((await options.hasEnded?.()) === true)
      throw new CodedError('TEMPORAL_UNAVAILABLE', 'Temporal ended before it answered', { address });
    if (performance.now() > end) {
      const message = `Temporal at ${address} does not answer within ${deadlineMs / 1000} s: ${reason}`;
      throw new CodedError('TEMPORAL_UNAVAILABLE', message, { address });
    }
    await delay(POLL_MS);
  }
}

async function tryOnce(options: ReadinessOptions, end: number): Promise<{ connection?: Connection; reason: string }> {
  // Tried first because it fails at once: a gRPC connection backs off for a second between its own tries.
  const refused = await connectionRefused(options.address, Math.max(100, end - performance.now()));
  if (refused !== undefined) return { reason: refused };
  let connection: Connection | undefined;
  try {
    connection = Connection.lazy({ address: options.address, ...options.credentials });
    const { workflowService } = connection;
    const deadline = Date.now() + Math.max(100, Math.min(2_000, end - performance.now()));
    await connection.withDeadline(deadline, () => workflowService.describeNamespace({ namespace: options.namespace }));
    return { connection, reason: '' };
  } catch (error) {
    await connection?.close();
    return { reason: isGrpcServiceError(error) ? error.details || error.message : (error as Error).message };
  }
}

/** @returns why no TCP connection can be made, or undefined */
function connectionRefused(address: string, timeoutMs: number): Promise<string | undefined> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const finish = (reason?: string): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(Math.min(timeoutMs, 2_000), () => finish('no answer to a connection attempt'));
    socket.once('connect', () => finish());
    socket.once('error', (error) => finish(error.message));
  });
}
