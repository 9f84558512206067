import { isGrpcServiceError, ServiceError, WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';

/** Whether Temporal answers, as somebody who asks it regularly has found. */
export interface TemporalLink {
  reachable(): boolean;
}

// Of gRPC, whose package is not ours to import.
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
/** A workflow whose task fails again and again: it answers no command until that is mended. */
const FAILED_PRECONDITION = 9;
const UNAVAILABLE = 14;
const PASSING = new Set([CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNAVAILABLE]);

/** True if a call failed because Temporal could not be asked, or did not answer in time: later it may succeed. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  if (isGrpcServiceError(error)) return PASSING.has(error.code);
  return error instanceof ServiceError && error.cause !== undefined && isUnreachable(error.cause);
}
