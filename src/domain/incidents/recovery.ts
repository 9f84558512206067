/** An agent that fails and is restarted may recover by itself: then its incident is over. */
import { DAEMON_ID } from '../ids.ts';
import { resolve } from './endings.ts';
import type { IncidentEvent, IncidentState, IncidentStep } from './incident-state.ts';
import { stay, withEffects } from './steps.ts';

export function recoveryDue(state: IncidentState, nowMs: number): IncidentStep {
  const { status, recovery, agentId } = state;
  if (status === 'resolved' || recovery === null || agentId === null || recovery.nextMs > nowMs) return stay(state);
  const { stableMs } = recovery;
  // An answer that gets lost is asked for again.
  const waiting = { ...state, recovery: { stableMs, nextMs: nowMs + 2 * stableMs + 60_000 } };
  return withEffects(stay(waiting), { kind: 'check-recovery', agentId, stableMs });
}

export function recoveryChecked(
  state: IncidentState,
  { recovered, says, againMs }: Extract<IncidentEvent, { kind: 'recovery-checked' }>,
  nowMs: number,
): IncidentStep {
  const { status, recovery } = state;
  if (status === 'resolved' || recovery === null) return stay(state);
  if (recovered) return resolve(state, DAEMON_ID, says, nowMs);
  return stay({ ...state, recovery: { ...recovery, nextMs: nowMs + againMs } });
}
