import { CompleteAsyncError } from '@temporalio/activity';
import type { Dependencies } from '../domain/dependencies.ts';
import type { ActivityDeps } from './index.ts';

/** Waits until all that the agent depends on is there; holds no slot of the worker meanwhile. */
export async function awaitDependencies(
  { waits }: ActivityDeps,
  request: { agent_id: string; wait: number; dependencies: Dependencies },
): Promise<void> {
  if (!waits.wait(request.agent_id, request.wait, request.dependencies)) throw new CompleteAsyncError();
}
