import { WorkflowNotFoundError, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { TemporalClient } from './agent-workflows.ts';
import { askTemporal, type Asking } from './temporal-ask.ts';

type Status = WorkflowExecutionStatusName;

/** @returns undefined if Temporal knows of no such workflow (any more) @throws CodedError TEMPORAL_UNAVAILABLE */
export async function workflowStatus(
  asking: Asking & { client: Pick<TemporalClient, 'workflow' | 'withDeadline'> },
  what: string,
  workflowId: string,
): Promise<Status | undefined> {
  const handle = asking.client.workflow.getHandle(workflowId);
  try {
    return (await askTemporal(asking, what, () => handle.describe())).status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
