import type { Rest, RunAnswer, RunOutcome, RunProgress } from './run-state.ts';

/** How a run has ended whose agent came to rest. */
export function outcomeOfRest({ how, exit, reason }: Rest): RunOutcome {
  switch (how) {
    case 'completed':
      return { state: 'succeeded', reason };
    case 'stopped':
      // Stopped for good over a limit is the agent's failure; anything else somebody has asked for.
      return exit?.cause === 'limit' ? { state: 'failed', reason } : { state: 'cancelled', reason };
    case 'deleted':
      return { state: 'cancelled', reason: 'its agent was deleted' };
    case 'disabled':
    case 'failed':
      return { state: 'failed', reason };
  }
}

/**
 * The outcome of a run whose time was up, if its process had exited by itself in time and nobody was there to see it.
 * Undefined if it had not.
 */
export function outcomeInTime(told: Rest, deadlineMs: number | null): RunOutcome | undefined {
  const { ran, exit, how, own } = told;
  if (!ran || exit?.cause !== 'self' || exit.at === undefined || deadlineMs === null) return undefined;
  if (!(Date.parse(exit.at) <= deadlineMs)) return undefined;
  const ended = how === 'stopped' ? own : how;
  return ended === 'completed' || ended === 'disabled' ? outcomeOfRest({ ...told, how: ended }) : undefined;
}

export function outcomeOfAnswer({ ok, reason }: RunAnswer): RunOutcome {
  if (ok) return { state: 'succeeded', reason: 'its agent has answered' };
  return { state: 'failed', reason: `its agent answered that it failed${reason === null ? '' : `: ${reason}`}` };
}

export const outcomeOfUndelivered = (reason: string): RunOutcome => ({
  state: 'failed',
  reason: `its task was not delivered: ${reason}`,
});

/** The state of a run, as people see it. */
export function stateOfRun({ phase }: RunProgress): 'starting' | 'running' | RunOutcome['state'] {
  switch (phase.kind) {
    case 'starting':
    case 'waiting':
      return 'starting';
    case 'done':
      return phase.outcome.state;
    default:
      return 'running';
  }
}
