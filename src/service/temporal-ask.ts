import { CodedError } from '../contract/errors.ts';
import type { TemporalClient } from './agent-workflows.ts';
import { isUnreachable, type TemporalLink } from './temporal-link.ts';

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
