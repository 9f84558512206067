import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';

/** How long closed workflows can be read; the server's own default for its namespace is one day. */
export const RETENTION_DAYS = 30;

/** Sets the retention of a namespace of ours. A cluster's namespace is its operator's. */
export async function ensureRetention(connection: Connection, namespace: string): Promise<void> {
  const seconds = RETENTION_DAYS * 24 * 60 * 60;
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) === seconds) return;
  const workflowExecutionRetentionTtl = msToTs(seconds * 1000);
  await connection.workflowService.updateNamespace({ namespace, config: { workflowExecutionRetentionTtl } });
}
