import type { AgentView } from '../contract/agent-view.ts';
import type { Decision } from '../contract/decision.ts';
import type { LimitPolicy } from '../domain/limits.ts';
import { publicState } from '../domain/public-state.ts';
import { describeExit } from '../domain/reasons.ts';
import type { ProcessFacts, RosterRow } from '../ports/roster.ts';

/** An agent as the API shows it, put together from what was decided and what its host sees. */
export function viewOf({ agent_id, decision, process }: RosterRow, stale: boolean): AgentView {
  const live = process !== null && process.generation === decision.generation && process.pid !== null ? process : null;
  const state = publicState(decision.phase, decision.generation, process);
  const { limits = null } = decision.checks ?? {};
  return {
    agent_id,
    template_id: decision.template_id,
    ...((stale ? undecidedEnd(decision, process) : undefined) ?? {
      state,
      // Why it runs, or is to end, is of no interest then.
      reason:
        (state === 'unready' && live?.health?.reason) ||
        (state === 'stopping' && live?.stuck && describeStuck(live.stuck)) ||
        decision.reason,
    }),
    pid: live?.pid ?? null,
    generation: decision.generation,
    restarts: decision.restarts,
    started_at: live?.started_at ?? null,
    health: live === null ? null : (live.health?.state ?? (live.ready ? 'healthy' : 'unhealthy')),
    resources: live?.resources ?? null,
    ...(live?.heartbeat ? { heartbeat: live.heartbeat } : {}),
    ...(limits ? { limits: limitsView(limits) } : {}),
    fault_domain: decision.fault_domain,
    last_exit: lastExitOf(decision, process),
    workflow_id: decision.workflow_id,
    run_id: decision.run_id,
    host: decision.host,
    labels: decision.input.labels ?? {},
    stale,
    origin: decision.input.origin ?? 'temporal',
    desired: decision.desired,
    revision: decision.revision,
    template_version: decision.template_version,
  };
}

/** While Temporal is away nobody decides what follows an end: shown is what the host has seen, and what is waited for. */
function undecidedEnd(
  decision: Decision,
  process: ProcessFacts | null,
): Pick<AgentView, 'state' | 'reason'> | undefined {
  const end = process?.pid === null ? process.last_exit : null;
  if (decision.phase.kind !== 'live' || end?.generation !== decision.generation) return undefined;
  const state = end.cause === 'operator' ? 'stopped' : 'backoff';
  return { state, reason: `${end.reason}; what follows is decided when Temporal is back` };
}

const describeStuck = ({ pid, kernel_state: state }: NonNullable<ProcessFacts['stuck']>): string =>
  `pid ${pid} cannot be killed: it survives SIGKILL in kernel state ${state}`;

const limitsView = ({ memoryBytes, cpuPercent, forMs, action }: LimitPolicy): NonNullable<AgentView['limits']> => ({
  memory_bytes: memoryBytes,
  cpu_percent: cpuPercent,
  for_ms: forMs,
  action,
});

/** Host and workflow both know of the last exit; the host has the log with it, the workflow has it also after a move. */
function lastExitOf(decision: Decision, process: ProcessFacts | null): AgentView['last_exit'] {
  const seen = process?.last_exit ?? null;
  const decided = decision.snapshot.lastExit;
  if (seen !== null && (decided === null || seen.generation >= decided.generation)) {
    return { code: seen.code, signal: seen.signal, reason: seen.reason, at: seen.at, log_tail: seen.log_tail };
  }
  if (decided === null) return null;
  return { code: decided.code, signal: decided.signal, reason: describeExit(decided), at: decided.at, log_tail: '' };
}
