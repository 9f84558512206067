/** What the host finds out about a living process: it is unhealthy, or takes more than it may. */
import type { AgentEvent, AgentState, Step, StopOrder } from '../agent-state.ts';
import { limitTrouble } from '../incidents/agent-trouble.ts';
import { describeOverrun } from '../limits.ts';
import { stay, stopPolicy, stopProcess } from './steps.ts';

type Verdict = Extract<AgentEvent, { kind: 'unhealthy' | 'over-limit' }>;

/** Such an end is a failure like a crash; only `stop` is for good. */
export function verdict(state: AgentState, event: Verdict): Step {
  const { generation } = event;
  if (generation !== state.generation || generation <= state.handled) return stay(state);
  // The process was paused right before, so the verdict is not its fault. But the verdict has ended the watch, which has to
  // be asked for again.
  if (state.phase.kind === 'paused') return { state, effects: [{ kind: 'run', generation }] };
  if (state.phase.kind !== 'live') return stay(state);
  if (event.kind === 'unhealthy') {
    const why = `the ${event.probe} check failed: ${event.why}`;
    return end(state, { stop: stopPolicy(state), cause: 'unhealthy', why });
  }
  const why = describeOverrun(event.overrun);
  switch (event.action) {
    case 'restart':
      return end(state, { stop: stopPolicy(state), cause: 'limit', why });
    case 'kill':
      return end(state, { stop: { signal: 'SIGKILL', graceMs: 0 }, cause: 'limit', why });
    case 'stop': {
      const next: AgentState = { ...state, desired: 'stopped', overLimit: 'stopped' };
      const stopped = end(next, { stop: stopPolicy(state), cause: 'limit', why });
      const summary = `stopped for good: ${why}`;
      const notice = { kind: 'notice', summary, trouble: limitTrouble(summary, true) } as const;
      return { ...stopped, effects: [...stopped.effects, notice] };
    }
  }
}

const end = (state: AgentState, order: StopOrder): Step =>
  stopProcess(state, `stopping generation ${state.generation}: ${order.why}`, order);

export function noticed(state: AgentState, event: Extract<AgentEvent, { kind: 'noticed' }>): Step {
  const isMeant = event.generation === state.generation && state.phase.kind === 'live';
  if (!isMeant) return stay(state);
  const { summary } = event;
  return {
    state: { ...state, overLimit: 'running' },
    effects: [{ kind: 'notice', summary, trouble: limitTrouble(summary, false) }],
  };
}
