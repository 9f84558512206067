/** What the API answers with, as schemas: the source of the OpenAPI document, and what its tests hold the answers to. */
import { z } from 'zod';
import type { AgentView, PublicState } from '../contract/agent-view.ts';
import type { DaemonPhase, DaemonView, HostView, PortName } from '../contract/daemon-view.ts';
import type { TransitionState } from '../domain/public-state.ts';
import type { ReloadView } from '../contract/reload-view.ts';
import { ERRORS, type ErrorBody, type ErrorCode } from '../contract/errors.ts';
import { stale } from './stale.ts';

/** Fails to compile when a name is missing or too much. */
const names = <Name extends string>(all: Record<Name, true>) => z.enum(Object.keys(all) as [Name, ...Name[]]);

export const publicState = names<PublicState>({
  pending: true,
  starting: true,
  running: true,
  unready: true,
  stopping: true,
  stopped: true,
  backoff: true,
  completed: true,
  paused: true,
  disabled: true,
}).meta({ id: 'AgentState', description: 'Where an agent is in its life' });

const instant = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);
const workflowRunId = z.string().meta({
  description: "Temporal's id of the present run of the agent's workflow; not a run of /runs",
});

const AGENT_EXAMPLE: AgentView = {
  agent_id: 'data_worker_007',
  template_id: 'DataAnalystAgent_v1',
  state: 'running',
  reason: 'created',
  pid: 4711,
  generation: 1,
  restarts: 0,
  started_at: '2026-01-01T09:00:00.000Z',
  health: 'healthy',
  resources: null,
  fault_domain: 'default',
  last_exit: null,
  workflow_id: 'agent/data_worker_007',
  run_id: '019b7f3e-1111-7000-8000-000000000001',
  host: '6f1c7a52-3d0e-4a52-9f5e-6d3a0c1b2d3e',
  labels: { team: 'research' },
  stale: false,
  origin: 'api',
  desired: 'running',
  revision: 0,
  template_version: 'sha256:5d41402abc4b2a76',
};

const agentFields = {
  agent_id: z.string(),
  template_id: z.string().nullable(),
  state: publicState,
  reason: z.string().meta({ description: 'Why it is in this state: a sentence for people' }),
  pid: z.int().nullable(),
  generation: count.meta({ description: 'Grows with every process that is started; 0 before the first' }),
  restarts: count,
  started_at: instant.nullable(),
  health: z.enum(['starting', 'healthy', 'unhealthy']).nullable(),
  resources: z
    .object({ cpu_percent: z.number(), memory_bytes: z.number() })
    .nullable()
    .meta({ description: 'What its whole process tree takes; 100 percent is one processor' }),
  heartbeat: z
    .object({
      at: instant,
      progress: z.union([z.string(), z.number()]).exactOptional(),
      usage: z.record(z.string(), z.number()).exactOptional(),
    })
    .exactOptional()
    .meta({ description: 'What it has last said about itself' }),
  limits: z
    .object({
      memory_bytes: z.number().nullable(),
      cpu_percent: z.number().nullable(),
      for_ms: z.number(),
      action: z.enum(['notify', 'restart', 'stop', 'kill']),
    })
    .exactOptional()
    .meta({ description: 'What its process tree may take, and what follows if it takes more for so long' }),
  fault_domain: z.string(),
  last_exit: z
    .object({
      code: z.int().nullable(),
      signal: z.string().nullable(),
      reason: z.string(),
      at: instant,
      log_tail: z.string(),
    })
    .nullable(),
  workflow_id: z.string(),
  run_id: workflowRunId,
  host: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  stale,
  origin: z.string().meta({ description: 'Where it comes from: `file <path>`, `api` or `temporal`' }),
  desired: z.enum(['running', 'paused', 'stopped', 'deleted']),
  revision: count.meta({ description: 'The last command that has been dealt with' }),
  template_version: z.string().nullable(),
};

export const agentView = z.object(agentFields).meta({
  id: 'Agent',
  description: 'An agent as it is now',
  examples: [AGENT_EXAMPLE],
}) satisfies z.ZodType<AgentView>;

export const heartbeatAnswer = z
  .object({
    agent_id: z.string(),
    generation: count,
    period_ms: z.number().nullable().meta({ description: 'The next has to come within this time; null if none is owed' }),
  })
  .meta({ id: 'HeartbeatAnswer', examples: [{ agent_id: 'data_worker_007', generation: 1, period_ms: 30_000 }] });

/** After a command. */
export const settledAgent = z
  .object({
    ...agentFields,
    settled: z.boolean().meta({ description: 'True once what was asked for has come about' }),
    note: z.string().optional().meta({ description: 'Why it is not settled, where `reason` does not tell' }),
  })
  .meta({ id: 'SettledAgent', examples: [{ ...AGENT_EXAMPLE, settled: true }] });

export const deletedAgent = z
  .object({ agent_id: z.string(), settled: z.boolean(), deleted: z.boolean(), note: z.string().optional() })
  .meta({ id: 'DeletedAgent', examples: [{ agent_id: 'data_worker_007', settled: true, deleted: true }] });

const cursor = z.string().nullable().meta({ description: 'For `cursor` of the next call; null at the end' });

export const agentPage = z.object({ agents: z.array(agentView), next_cursor: cursor }).meta({ id: 'AgentPage' });

const transitionState = z.enum([...publicState.options, 'deleted', 'incident']) satisfies z.ZodType<TransitionState>;

const historyFields = {
  id: z.int().meta({ description: 'Position in the history of all agents; grows' }),
  run_id: workflowRunId,
  sequence: count,
  at_ms: z.number().meta({ description: 'Milliseconds since 1970' }),
  state: transitionState,
  generation: count,
  reason: z.string(),
};

export const historyPage = z
  .object({
    entries: z.array(z.object(historyFields).meta({ id: 'HistoryEntry' })),
    next_cursor: cursor,
    next_before: z.int().nullable().meta({ description: 'The same as `next_cursor`, as the number for `before`' }),
  })
  .meta({ id: 'HistoryPage' });

/** What `event: transition` of `GET /events` carries. */
export const transitionEvent = z
  .object({ agent_id: z.string(), ...historyFields })
  .meta({ id: 'TransitionEvent', description: 'Data of `event: transition`' });

const errorCode = names<ErrorCode>(
  Object.fromEntries(Object.keys(ERRORS).map((code) => [code, true])) as Record<ErrorCode, true>,
).meta({ id: 'ErrorCode', description: 'See docs/errors.md' });

export const errorBody = z
  .object({
    error: z.object({
      code: errorCode,
      message: z.string().meta({ description: 'Names the thing, the value seen, the limit and the way out' }),
      remedy: z.string(),
      details: z.record(z.string(), z.unknown()).meta({ description: 'For programs; empty if there is nothing to add' }),
      request_id: z.string().exactOptional(),
    }),
  })
  .meta({
    id: 'Error',
    examples: [
      {
        error: {
          code: 'AGENT_NOT_FOUND',
          message: 'There is no agent risk',
          remedy: ERRORS.AGENT_NOT_FOUND.remedy,
          details: { agent_id: 'risk' },
          request_id: '1f0e2c9a-0d53-4b0e-9a77-0c5a4d0b7a10',
        },
      },
    ],
  }) satisfies z.ZodType<ErrorBody>;

export const bulkResults = z
  .object({
    results: z.array(
      z.object({
        agent_id: z.string(),
        settled: z.boolean(),
        state: publicState.optional(),
        note: z.string().optional(),
        error: errorBody.shape.error.optional(),
      }),
    ),
    total: count,
    settled: count,
    failed: count,
  })
  .meta({
    id: 'BulkResults',
    description: 'One result an agent, in the order of their ids',
    examples: [
      { results: [{ agent_id: 'data_worker_007', settled: true, state: 'stopped' }], total: 1, settled: 1, failed: 0 },
    ],
  });

const phase = names<DaemonPhase>({ init: true, start: true, run: true, shutdown: true });
const ports = z.partialRecord(
  names<PortName>({ api: true, health: true, metrics: true, temporal: true, ui: true }),
  z.int(),
);
const tree = z.enum(['cgroup', 'best-effort', 'group-only']);
const criticalDown = z.array(z.object({ agent_id: z.string(), reason: z.string() }));

const pluginView = z
  .object({
    use: z.string(),
    durability: z.string().meta({ description: 'What becomes of an answered write when something fails' }),
    survives_power_loss: z.boolean(),
  })
  .meta({ id: 'Plugin', description: 'What keeps messages, or state' });

export const daemonView = z
  .object({
    version: z.string(),
    pid: z.int(),
    phase,
    phases: z.array(z.object({ phase: z.enum([...phase.options, 'supervise']), at: instant })),
    started_at: instant,
    host: z.string(),
    home: z.string(),
    config_file: z.string().nullable(),
    ports,
    temporal: z.object({
      address: z.string(),
      namespace: z.string(),
      embedded: z.boolean(),
      other_hosts: z.array(z.string()).meta({
        description: 'Hosts whose daemons take work from the same namespace, as seen within the last minute; there should be none. The id of this host stands for a copy of its state directory',
      }),
      reachable: z.boolean(),
    }),
    plugins: z.object({ bus: pluginView, state: pluginView }).nullable(),
    tree: tree.meta({ description: 'How completely a process tree can be followed here' }),
    uptime_s: count,
    agents: z.object({ total: count, by_state: z.partialRecord(publicState, count) }),
    critical_down: criticalDown,
  })
  .meta({ id: 'Daemon' }) satisfies z.ZodType<DaemonView>;

export const hostList = z
  .object({
    hosts: z.array(
      z.object({
        host: z.string().meta({ description: 'Made once, never the host name' }),
        name: z.string().meta({ description: 'The host name, for people' }),
        platform: z.string(),
        arch: z.string(),
        cpus: count,
        memory_bytes: count,
        tree,
        agents: count,
        live: count,
        this: z.boolean().meta({ description: 'True for the host that answers' }),
      }) satisfies z.ZodType<HostView>,
    ),
  })
  .meta({ id: 'HostList' });

export const shutdownAnswer = z
  .object({ pid: z.int(), keep_agents: z.boolean(), live_agents: z.array(z.string()) })
  .meta({ id: 'Shutdown' });

export const healthAnswer = z.union([
  z.object({ status: z.literal('ok') }),
  z.object({ status: z.literal('down'), critical_down: criticalDown }),
]);

export const reloadView = z
  .object({
    dry_run: z.boolean(),
    config_file: z.string(),
    added: z.array(z.string()),
    changed: z.array(
      z.object({
        agent_id: z.string(),
        fields: z.array(z.string()).meta({ description: 'What is other now, or the setting it follows from' }),
        restarts: z.boolean().nullable().meta({ description: 'Whether its process is replaced; null if not known yet' }),
        starts: z.boolean().meta({ description: 'Whether it is started again, as it had been given up' }),
      }),
    ),
    removed: z.array(z.string()),
    unchanged: z.array(z.string()),
    skipped: z.array(z.object({ agent_id: z.string(), reason: z.string() })),
    schedules: z.object({
      added: z.array(z.string()),
      changed: z.array(z.object({ schedule_id: z.string(), fields: z.array(z.string()) })),
      removed: z.array(z.string()),
      skipped: z.array(z.object({ schedule_id: z.string(), reason: z.string() })),
    }),
    settings: z.array(z.object({ setting: z.string(), takes_effect: z.enum(['now', 'at the next start']) })),
  })
  .meta({ id: 'Reload' }) satisfies z.ZodType<ReloadView>;

export const signalAnswer = z.object({ agent_id: z.string(), revision: count }).meta({ id: 'Accepted' });
