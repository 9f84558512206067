import type { PublicState } from '../domain/public-state.ts';

export type { PublicState };

/** An agent as the API, the CLI and the workflow's `status` query show it. */
export interface AgentView {
  agent_id: string;
  template_id: string | null;
  state: PublicState;
  reason: string;
  pid: number | null;
  generation: number;
  restarts: number;
  started_at: string | null;
  /** `starting` until its readiness check has first succeeded; null without a process. */
  health: 'starting' | 'healthy' | 'unhealthy' | null;
  /** Of its whole process tree; 100 percent is one processor. */
  resources: { cpu_percent: number; memory_bytes: number } | null;
  /** What it has last said about itself, if it has. */
  heartbeat?: { at: string; progress?: string | number; usage?: Record<string, number> };
  /** What its tree may take, where that is limited. */
  limits?: {
    memory_bytes: number | null;
    cpu_percent: number | null;
    for_ms: number;
    action: 'notify' | 'restart' | 'stop' | 'kill';
  };
  fault_domain: string;
  last_exit: { code: number | null; signal: string | null; reason: string; at: string; log_tail: string } | null;
  workflow_id: string;
  run_id: string;
  host: string | null;
  labels: Record<string, string>;
  /** True while Temporal cannot be reached: what is shown may have been overtaken. */
  stale: boolean;
  /** Where it comes from: `file <path>`, `api` or `temporal`. */
  origin: string;
  desired: 'running' | 'paused' | 'stopped' | 'deleted';
  revision: number;
  template_version: string | null;
}
