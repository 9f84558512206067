import type { Decision } from '../../src/contract/decision.ts';
import type { ProcessFacts, RosterRow } from '../../src/ports/roster.ts';

/** A row of the roster, of which a test says only what it is about. */
export function rowOf(decided: Partial<Decision>, seen: Partial<ProcessFacts> | null = null): RosterRow {
  const agent_id = decided.agent_id ?? 'a';
  const decision: Decision = {
    agent_id,
    workflow_id: `agent/${agent_id}`,
    run_id: 'run-1',
    sequence: 1,
    at_ms: 0,
    phase: { kind: 'live' },
    desired: 'running',
    revision: 0,
    reason: 'created',
    generation: 1,
    restarts: 0,
    template_id: null,
    template_version: null,
    fault_domain: 'default',
    critical: false,
    host: 'h1',
    input: { agent_id },
    snapshot: {
      desired: 'running',
      generation: 1,
      handled: 0,
      failures: { consecutive: 0, timesMs: [] },
      episode: { number: 0, incident: false },
      restarts: 0,
      lastExit: null,
      phase: 'other',
      reason: 'created',
    },
    transitions: [],
    ...decided,
  };
  const nothing: ProcessFacts = {
    generation: 1,
    pid: null,
    started_at: null,
    ready: false,
    log_path: null,
    last_exit: null,
  };
  return { agent_id, decision, process: seen === null ? null : { ...nothing, ...seen } };
}
