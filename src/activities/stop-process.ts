import { activityInfo, CompleteAsyncError } from '@temporalio/activity';
import type { ProcessRequest, StopRequest } from '../contract/activities.ts';
import { CodedError } from '../contract/errors.ts';
import type { CustodianErrorBody } from '../custodian/protocol.ts';
import type { Custody } from '../domain/custody.ts';
import type { ActivityDeps } from './index.ts';

/**
 * Ends an incarnation for good. The custodian has the stop in its journal before this returns, and finishes it without
 * daemon or Temporal; the activity is completed when nothing of the tree lives.
 */
export async function stopProcess(deps: ActivityDeps, request: StopRequest): Promise<Custody> {
  const custody = await deps.host.stop(request, activityInfo().activityId);
  if (custody) return custody;
  throw new CompleteAsyncError();
}

export const pauseProcess = (deps: ActivityDeps, request: ProcessRequest): Promise<Custody> => deps.host.pause(request);
export const resumeProcess = (deps: ActivityDeps, request: ProcessRequest): Promise<Custody> =>
  deps.host.resume(request);

export async function signalProcess(
  deps: ActivityDeps,
  request: { agent_id: string; generation: number; signal: string },
): Promise<{ delivered: boolean }> {
  try {
    return await deps.host.signal(request.agent_id, request.generation, request.signal);
  } catch (error) {
    if ((error as Partial<CustodianErrorBody>).code === 'NOT_LIVE') return { delivered: false };
    throw new CodedError('CUSTODIAN_UNAVAILABLE', (error as Error).message, {}, error);
  }
}
