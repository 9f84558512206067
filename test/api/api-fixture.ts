import { pino, type Logger } from 'pino';
import { buildApi } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import { createMetrics } from '../../src/api/metrics.ts';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { readReport } from '../../src/contract/incident-messages.ts';
import { incidentViewOf } from '../../src/contract/incident-record.ts';
import type { IncidentReport, IncidentView } from '../../src/contract/incident-view.ts';
import { birth } from '../../src/domain/incidents/incident-reducer.ts';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { DaemonFacts } from '../../src/contract/daemon-view.ts';
import type { RunRequest, RunView } from '../../src/contract/run-view.ts';
import type { ScheduleInput, ScheduleView } from '../../src/contract/schedule-view.ts';
import { CodedError } from '../../src/contract/errors.ts';
import { parseAgentRequest } from '../../src/schema/agent-input.ts';
import type { Call } from '../../src/service/caller.ts';
import type { FleetEvent } from '../../src/service/fleet-events.ts';
import { IncarnationEnds } from '../../src/service/incarnation-ends.ts';
import { viewOf } from '../../src/service/view.ts';
import { rowOf } from '../service/rows.ts';
import { memoryAnswers } from './memory-answers.ts';

export const TOKEN = 'ost_admin-token';
export const AGENT_TOKEN = 'osa_agent-token';

/** An API over a service that answers at once: what is tested is HTTP. What the service was asked stands in `asked`. */
export interface ApiFixture {
  deps: ApiDeps;
  app: ReturnType<typeof buildApi>;
  ends: IncarnationEnds;
  asked: { method: string; call: Call; args: unknown[] }[];
  /** The log, line by line. */
  lines: Record<string, unknown>[];
  state: {
    criticalDown: { agent_id: string; reason: string }[];
    up: { agent_id: string; up: boolean }[];
    reachable: boolean;
    facts: DaemonFacts;
    shutdowns: { keepAgents: boolean }[];
    /** What the next call of the service answers, or throws if it is an error. */
    answer: unknown;
  };
}

export function agentView(agent_id: string, more: Partial<AgentView> = {}): AgentView {
  const process = { pid: 42, ready: true, started_at: '2026-01-01T00:00:00.000Z' };
  return { ...viewOf(rowOf({ agent_id, template_id: 'T' }, process), false), ...more };
}

export function apiFixture(more: Partial<ApiDeps> = {}): ApiFixture {
  const asked: ApiFixture['asked'] = [];
  const ends = new IncarnationEnds();
  const lines: ApiFixture['lines'] = [];
  const state: ApiFixture['state'] = {
    criticalDown: [],
    up: [],
    reachable: true,
    shutdowns: [],
    answer: undefined,
    facts: {
      version: '0.1.0',
      pid: process.pid,
      phase: 'run',
      phases: [{ phase: 'run', at: '2026-01-01T00:00:00.000Z' }],
      started_at: new Date(Date.now() - 5000).toISOString(),
      host: 'h1',
      home: '/home/x/.openstarry/orchestrator',
      config_file: null,
      ports: { api: 5050 },
      temporal: { address: '127.0.0.1:7233', namespace: 'default', embedded: true, other_hosts: [] },
      plugins: null,
      tree: 'best-effort',
    },
  };
  const answering =
    <T>(method: string, usual: (...args: never[]) => T) =>
    async (call: Call, ...args: unknown[]): Promise<T> => {
      asked.push({ method, call, args });
      const { answer } = state;
      if (answer instanceof Error) throw answer;
      if (typeof answer === 'function') return await (answer as (call: Call) => Promise<T>)(call);
      return (answer as T | undefined) ?? usual(...(args as never[]));
    };
  const command = (agent_id: string) => ({ agent_id, revision: 1, settled: true, agent: agentView(agent_id) });
  const fleet = { criticalDown: () => state.criticalDown, states: () => state.up };
  const deps: ApiDeps = {
    orchestrator: {
      create: answering('create', (input: AgentInput) => ({ settled: true, agent: agentView(input.agent_id) })),
      list: answering('list', () => [agentView('a'), agentView('b', { pid: null, state: 'stopped' })]),
      get: answering('get', (agentId: string) => agentView(agentId)),
      command: (call, verb, ...args) => answering(verb, command)(call, ...args),
      heartbeat: answering('heartbeat', (agent_id: string) => ({ agent_id, generation: 1, period_ms: null })),
      remove: answering('remove', (agent_id: string) => ({ agent_id, revision: 1, settled: true, agent: null })),
      commandMany: answering('commandMany', () => [{ agent_id: 'a', settled: true, state: 'stopped' as const }]),
      events: answering('events', () => happened()),
      signal: answering('signal', () => ({ revision: 7 })),
      logs: answering('logs', () => ['one', 'two']),
      followLogs: answering('followLogs', () => followed(['one'])),
      history: answering('history', (_id: string, page: { limit: number }) => entries(page.limit)),
    },
    ends,
    auth: {
      adminToken: TOKEN,
      tokenFile: '/home/x/.openstarry/orchestrator/token',
      verifyAgentToken: (token) =>
        token === AGENT_TOKEN ? { agent_id: 'master', generation: 3, may: { start: ['T'] } } : undefined,
    },
    daemon: {
      facts: () => state.facts,
      shutdown: (options) => void state.shutdowns.push(options),
      reload: async ({ dryRun }) => ({
        dry_run: dryRun,
        config_file: '/etc/openstarry.yaml',
        added: ['new'],
        changed: [],
        removed: [],
        unchanged: [],
        skipped: [],
        schedules: { added: [], changed: [], removed: [], skipped: [] },
        settings: [],
      }),
    },
    fleet,
    temporal: { reachable: () => state.reachable },
    answers: memoryAnswers(),
    metrics: createMetrics(fleet),
    templates: { source: noTemplates, location: '/etc/templates' },
    // A test about messages brings its own.
    messaging: {} as ApiDeps['messaging'],
    schedules: {
      list: answering('schedules.list', () => [scheduleOf('s')]),
      get: answering('schedules.get', scheduleOf),
      create: answering('schedules.create', ({ schedule_id, agent_id }: ScheduleInput) =>
        scheduleOf(schedule_id ?? agent_id),
      ),
      replace: answering('schedules.replace', scheduleOf),
      remove: answering('schedules.remove', () => undefined),
      pause: answering('schedules.pause', scheduleOf),
      resume: answering('schedules.resume', scheduleOf),
      trigger: answering('schedules.trigger', scheduleOf),
      backfill: answering('schedules.backfill', scheduleOf),
    },
    runs: {
      create: answering('runs.create', ({ run_id = 'r' }: RunRequest) => runOf(run_id)),
      list: answering('runs.list', () => ({ runs: [runOf('r')], next: 7 })),
      get: answering('runs.get', runOf),
      cancel: answering('runs.cancel', (id: string) => ({ ...runOf(id), ended_at: '2026-01-01T09:00:01.000Z' })),
    },
    incidents: {
      report: answering('incidents.report', (report: IncidentReport) => ({
        created: true,
        settled: true,
        incident: incidentOf(report.incident_id ?? 'i-new'),
      })),
      list: answering('incidents.list', () => ({ incidents: [incidentOf('i')], next: 7 })),
      get: answering('incidents.get', incidentOf),
      act: answering('incidents.act', (_verb: string, id: string) => incidentOf(id)),
      testNotice: answering('incidents.testNotice', () => [{ channel: 'ops', ok: false, reason: 'it is down' }]),
    },
    parseAgentInput: parseAgentRequest,
    log: logInto(lines),
    ...more,
  };
  return { deps, app: buildApi(deps), ends, asked, lines, state };
}

async function* happened(): AsyncGenerator<FleetEvent> {
  yield { kind: 'agent', agent: agentView('a') };
}

const scheduleOf = (schedule_id: string): ScheduleView => ({
  schedule_id,
  agent_id: 'a',
  when: '0 9 * * *',
  timezone: 'UTC',
  mode: 'message',
  overlap: 'skip',
  catch_up: '1m',
  jitter: null,
  task: null,
  timeout: null,
  cleanup: 'keep',
  payload: null,
  template_id: null,
  paused: false,
  note: null,
  origin: 'api',
  next: ['2026-01-01T09:00:00.000Z'],
  recent: [],
  counts: { made: 0, skipped_overlap: 0, missed: 0, buffered: 0, dropped: 0, running: 0 },
  warnings: [],
});

const runOf = (run_id: string): RunView => ({
  run_id,
  agent_id: 'a',
  state: 'running',
  reason: 'generation 1 runs for it',
  via: 'process',
  task: 'work',
  schedule_id: null,
  started_at: '2026-01-01T09:00:00.000Z',
  ended_at: null,
  generation: 1,
  exit: null,
  result: null,
  output: '',
  cleanup: 'keep',
  workflow_id: `run/${run_id}`,
});

const noTemplates: ApiDeps['templates']['source'] = {
  load: async (id) => {
    if (id !== 'T') throw new CodedError('TEMPLATE_NOT_FOUND', `There is no template ${id}`);
    const variables = { depth: { type: 'number', default: 3 }, deep: { type: 'boolean', default: true } };
    return {
      id,
      location: '/etc/templates/T.yaml',
      version: 'abc',
      data: { command: ['x'], env: { K: 'v' }, variables },
    };
  },
  list: async () => ({ ids: ['Broken', 'T'] }),
};

async function* followed(lines: string[]): AsyncGenerator<string> {
  yield* lines;
}

function entries(limit: number) {
  return Array.from({ length: Math.min(limit, 3) }, (_, n) => ({
    id: 30 - n,
    run_id: 'r',
    sequence: 1,
    at_ms: 0,
    state: 'live' as const,
    generation: 1,
    reason: 'created',
  }));
}

export function logInto(lines: Record<string, unknown>[]): Logger {
  return pino(
    { level: 'info' },
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
}

export const refusal = (
  code: 'TEMPORAL_UNAVAILABLE' | 'SPAWN_FAILED' | 'AGENT_EXISTS' | 'RATE_LIMITED' | 'INTERNAL',
): CodedError => new CodedError(code, `${code} it is`);

export function incidentOf(id: string): IncidentView {
  const action = { command: 'restart', agent_id: 'w1' } as const;
  const report = readReport({ summary: 'it leaks', proposal: { action, reason: 'so', risk: 'low', expires: '1h' } });
  return incidentViewOf(birth(id, 'life', { kind: 'report', id: 'r', by: 'w1', report }, 0).state);
}
