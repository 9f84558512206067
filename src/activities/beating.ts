import { Context } from '@temporalio/activity';

/** Well within the heartbeat time-outs of those that call. */
const BEAT_MS = 3_000;

/** Beats while it takes long, so that a call that was lost with its daemon is found soon, and not at its time-out. */
export function beating<Request, Answer>(
  activity: (request: Request) => Promise<Answer>,
): (request: Request) => Promise<Answer> {
  return async (request) => {
    const context = Context.current();
    const timer = setInterval(() => context.heartbeat(), BEAT_MS);
    try {
      return await activity(request);
    } finally {
      clearInterval(timer);
    }
  };
}
