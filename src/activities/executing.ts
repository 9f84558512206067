import { activityInfo } from '@temporalio/activity';
import { workflowIdOf } from '../contract/names.ts';

/** Which calls this daemon is carrying out. What Temporal believes to be here and is not, got lost. */
export class Executing {
  private readonly calls = new Map<string, number>();

  has(agentId: string, activityId: string): boolean {
    return this.calls.has(keyOf(workflowIdOf(agentId), activityId));
  }

  track<Request, Answer>(activity: (request: Request) => Promise<Answer>): (request: Request) => Promise<Answer> {
    return async (request) => {
      const { workflowExecution, activityId } = activityInfo();
      const key = keyOf(workflowExecution?.workflowId ?? '', activityId);
      // Two attempts may overlap.
      this.calls.set(key, (this.calls.get(key) ?? 0) + 1);
      try {
        return await activity(request);
      } finally {
        const left = (this.calls.get(key) ?? 1) - 1;
        if (left > 0) this.calls.set(key, left);
        else this.calls.delete(key);
      }
    };
  }
}

const keyOf = (workflowId: string, activityId: string): string => `${workflowId}#${activityId}`;
