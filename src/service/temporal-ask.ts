import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { CodedError, isErrorCode } from '../contract/errors.ts';
import type { TemporalClient } from './agent-workflows.ts';
import { isUnreachable, type TemporalLink } from './temporal-link.ts';

/** The server's word for an update that was accepted by a run which then continued as a new one. */
const CUT_OFF_BY_NEW_RUN = 'AcceptedUpdateCompletedWorkflow';

export interface Asking {
  client: Pick<TemporalClient, 'withDeadline'>;
  link: TemporalLink;
  timeoutMs: number;
}

/**
 * One call to Temporal, with a deadline; none is made while Temporal is known to be away.
 * @param what completes "Cannot …"
 * @throws CodedError TEMPORAL_UNAVAILABLE, or what the call itself throws
 */
export async function askTemporal<T>(
  { client, link, timeoutMs }: Asking,
  what: string,
  call: () => Promise<T>,
): Promise<T> {
  checkReachable(link, what);
  try {
    return await client.withDeadline(Date.now() + timeoutMs, call);
  } catch (error) {
    if (isUnreachable(error)) throw unavailable(what, error, timeoutMs);
    throw error;
  }
}

/**
 * One update; one that was cut off by a new run is given to that run.
 * @throws CodedError what the workflow refused it with, or what the call itself throws
 */
export async function askUpdate<T>(update: () => Promise<T>): Promise<T> {
  try {
    return await update();
  } catch (error) {
    if (refusalOf(error)?.type !== CUT_OFF_BY_NEW_RUN) throw coded(error);
  }
  return update().catch((error: unknown) => {
    throw coded(error);
  });
}

/** @throws CodedError TEMPORAL_UNAVAILABLE */
export function checkReachable(link: TemporalLink, what: string): void {
  if (!link.reachable()) throw unavailable(what);
}

function unavailable(what: string, cause?: unknown, timeoutMs?: number): CodedError {
  const why =
    timeoutMs === undefined
      ? 'Temporal cannot be reached'
      : `Temporal did not answer within ${timeoutMs} ms; the call may yet take effect`;
  return new CodedError('TEMPORAL_UNAVAILABLE', `Cannot ${what}: ${why}`, {}, cause);
}

function refusalOf(error: unknown): ApplicationFailure | undefined {
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  return cause instanceof ApplicationFailure ? cause : undefined;
}

function coded(error: unknown): unknown {
  const refusal = refusalOf(error);
  if (refusal === undefined || !isErrorCode(refusal.type)) return error;
  const [details] = refusal.details ?? [];
  return new CodedError(refusal.type, refusal.message, (details as Record<string, unknown> | undefined) ?? {}, error);
}
