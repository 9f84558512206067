import { describeExit } from '../../domain/reasons.ts';
import type { Life } from './life.ts';
import { publicState } from '../../domain/public-state.ts';
import type { AgentView } from '../../contract/agent-view.ts';
import { workflowIdOf } from '../../contract/names.ts';
import { workflowInfo } from '@temporalio/workflow';

/** The API's representation, as far as the workflow knows it: pid, readiness and resources are facts of the host. */
export function statusOf(life: Life): AgentView {
  const { state, input, definition } = life;
  const exit = state.lastExit;
  return {
    agent_id: input.agent_id,
    template_id: input.template_id ?? null,
    state: state.phase.kind === 'live' ? 'running' : publicState(state.phase, state.generation, null),
    reason: reasonOf(life),
    pid: null,
    generation: state.generation,
    restarts: state.restarts,
    started_at: null,
    health: null,
    resources: null,
    fault_domain: definition?.fault_domain ?? input.fault_domain ?? 'default',
    last_exit: exit && { code: exit.code, signal: exit.signal, reason: describeExit(exit), at: exit.at, log_tail: '' },
    workflow_id: workflowIdOf(input.agent_id),
    run_id: workflowInfo().runId,
    host: life.host,
    labels: input.labels ?? {},
    stale: false,
    origin: input.origin ?? 'temporal',
    desired: state.desired,
    revision: life.revision,
    template_version: definition?.template_version ?? null,
  };
}

/** Why the agent is in this state; and that this incarnation was admitted with an earlier copy of its template. */
export function reasonOf({ state, definition, admittedFor = state.generation }: Life): string {
  const stale = admittedFor === state.generation ? definition?.template_stale : undefined;
  return stale === undefined ? state.reason : `${state.reason}; ${stale}`;
}

/** The same for the history: with the version of the template that an incarnation was started from. */
export function storyOf(life: Life): string {
  const { template_id: id, template_version: version } = life.definition ?? {};
  if (life.state.phase.kind !== 'live' || !id || !version) return reasonOf(life);
  return `${reasonOf(life)} (template ${id}, version ${version.slice(0, 12)})`;
}

/** What the Web UI shows under "Current details", in Markdown. */
export function detailsOf(life: Life): string {
  const { state } = life;
  const lines = [
    `**${state.phase.kind}**: ${reasonOf(life)}`,
    '',
    `generation ${state.generation} · ${state.restarts} restarts · wanted ${state.desired}`,
    '',
    ...life.transitions
      .slice(-10)
      .toReversed()
      .map((t) => `- ${new Date(t.at_ms).toISOString()} **${t.state}** (generation ${t.generation}) ${t.reason}`),
  ];
  return lines.join('\n');
}
