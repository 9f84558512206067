import type { AgentInput } from '../../contract/agent-input.ts';
import { CodedError, codeOf } from '../../contract/errors.ts';
import type { IncidentReport } from '../../contract/incident-view.ts';
import {
  requestIdOfRun,
  type OwnRun,
  type RunActivities,
  type RunTarget,
  type StartRunRequest,
} from '../../contract/run-workflow.ts';
import { isAtRest } from '../../domain/agent-state.ts';
import type { RunStart } from '../../domain/runs/run-state.ts';
import type { LogSource } from '../../ports/log-source.ts';
import type { RosterRow } from '../../ports/roster.ts';
import { watchAgent } from '../agent-watch.ts';
import type { Call } from '../caller.ts';
import { commandAgent, type CommandParts } from '../commands.ts';
import { createAgent } from '../creation.ts';
import { isRunning } from '../settlement.ts';
import type { RunAnswers } from './run-answers.ts';
import type { RunTasks } from './run-tasks.ts';

export interface RunActivityDeps {
  agents: CommandParts;
  tasks: RunTasks;
  answers: Pick<RunAnswers, 'flush' | 'find'>;
  logs: Pick<LogSource, 'tail'>;
  /** What came through Temporal, checked: shape and signature. @throws CodedError UNSIGNED_FIELD, BAD_SIGNATURE, … */
  trust: (input: AgentInput) => AgentInput;
  /** Waits until nothing is left of an agent of that name that was deleted before. */
  cleared: (agentId: string) => Promise<boolean>;
  /** Those with the same id are one report. */
  report: (report: IncidentReport, reportId: string) => Promise<void>;
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** For a process that is slow to start: the run goes on without it. */
const STARTS_WITHIN_MS = 15_000;
const DELETED_WITHIN_MS = 60_000;
const OUTPUT_LINES = 50;
const OUTPUT_CHARACTERS = 8_000;

/** What the workflow `run` asks for. Each may be tried again after it has taken effect: it is named by the run. */
export function runActivities(deps: RunActivityDeps): RunActivities {
  const { agents, tasks, answers, logs, report, log } = deps;
  return {
    startRun: (request) => startRun(deps, request),

    async stopRun({ run_id, agent_id, reason }) {
      const row = await agents.roster.get(agent_id);
      if (row?.decision.input.run?.run_id !== run_id) return;
      log('a run ends its agent', { run_id, agent_id, reason });
      try {
        await agents.workflows.command(agent_id, 'stop', { request_id: requestIdOfRun(run_id, 'stop') });
      } catch (error) {
        if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
      }
    },

    withdrawTask: (request) => tasks.withdraw(request),

    async collectRun({ run_id, agent_id, via, since_ms }) {
      await answers.flush();
      const answer = await answers.find(run_id, agent_id);
      if (via === 'mailbox') {
        const row = await agents.roster.get(agent_id);
        return { output: '', answer, task: await tasks.lookAt(run_id, agent_id, row) };
      }
      const lines = await logs.tail(agent_id, { lines: OUTPUT_LINES, sinceMs: since_ms }).catch(() => []);
      return { output: lines.join('\n').slice(-OUTPUT_CHARACTERS), answer, task: 'acknowledged' };
    },

    async cleanUpRun({ run_id, agent_id, via }) {
      const row = await agents.roster.get(agent_id);
      const own = row?.decision.input.run?.run_id;
      // It has gone, or belongs to another run by now, or to nobody's.
      if (row === undefined || (own !== run_id && (own !== undefined || via === 'process'))) return;
      const call = callFor(run_id, 'delete');
      try {
        const { settled } = await commandAgent(withoutOrders(agents), call, 'delete', agent_id, {
          waitMs: DELETED_WITHIN_MS,
        });
        if (!settled) throw new Error(`${agent_id} is not deleted yet`);
      } catch (error) {
        if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
      }
    },

    async reportRun(told) {
      log(told.summary, { incident_id: told.incident_id ?? null, agent_id: told.agent_id ?? null });
      // A run has one thing to report, however often it is tried.
      const { run_id } = told.details as { run_id: string };
      await report(told, `run/${run_id}`);
    },
  };
}

/** An order that the custodian keeps would not say whose it is, and the run asks again anyway. */
function withoutOrders(agents: CommandParts): CommandParts {
  const order = async (agentId: string): Promise<never> => {
    throw new CodedError(
      'TEMPORAL_UNAVAILABLE',
      `Cannot delete ${agentId} after its run yet: Temporal does not answer`,
    );
  };
  return { ...agents, host: { ...agents.host, order } };
}

async function startRun(deps: RunActivityDeps, request: StartRunRequest): Promise<RunStart> {
  const { run_id, agent_id, attempt } = request;
  const agent = deps.trust(request.agent);
  if (agent.agent_id !== agent_id)
    throw new CodedError('INVALID_REQUEST', `The run ${run_id} is for ${agent_id}, and its agent is ${agent.agent_id}`);
  const own: OwnRun = { run_id, attempt };
  const row = await deps.agents.roster.get(agent_id);
  try {
    if (row === undefined) return await make(deps, request, agent, own);
    const { phase, desired, input } = row.decision;
    if (desired === 'deleted') return { kind: 'busy', reason: `${agent_id} is being deleted` };
    const rests = isAtRest(phase);
    const isOwn = input.run?.run_id === run_id && input.run.attempt === attempt;
    // The workflow knows whether this very start has been asked for before.
    if (rests || isOwn) return await startAtRest(deps, row, withTask(own, agent.task));
    if (input.run !== undefined) return { kind: 'busy', reason: `${agent_id} is in the run ${input.run.run_id}` };
    if (phase.kind === 'stopping' && desired === 'stopped') return { kind: 'busy', reason: `${agent_id} is stopping` };
    return await hand(deps, request, row, agent.task);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'AGENT_BUSY' || code === 'AGENT_EXISTS') return { kind: 'busy', reason: (error as Error).message };
    if (code === 'AGENT_NOT_FOUND' && row !== undefined)
      return { kind: 'busy', reason: `the life of ${agent_id} is being made anew` };
    if (code === 'SPAWN_FAILED') return { kind: 'failed', code, message: (error as Error).message, again: true };
    throw error;
  }
}

/** There is no such agent: it is made, for this run. */
async function make(
  { agents, trust, cleared }: RunActivityDeps,
  { run_id, attempt, definition }: StartRunRequest,
  given: AgentInput,
  own: OwnRun,
): Promise<RunStart> {
  const { agent_id } = given;
  const whole = definition === undefined ? given : trust(definition);
  if (whole.agent_id !== agent_id)
    throw new CodedError('INVALID_REQUEST', `The run ${run_id} is for ${agent_id}, and describes ${whole.agent_id}`);
  if (whole.template_id === undefined && whole.command === undefined) {
    const message = `There is no agent ${agent_id}, and nothing to make it from: give a template_id`;
    throw new CodedError('AGENT_NOT_FOUND', message, { agent_id });
  }
  if (!(await cleared(agent_id))) return { kind: 'busy', reason: `what was left of ${agent_id} is being cleared` };
  const { autostart: _autostart, ...described } = whole;
  // With a definition of its own, the task of the run is not the agent's.
  const run = definition === undefined ? own : withTask(own, given.task);
  const call = callFor(run_id, `start/${attempt}`);
  const options = { waitMs: STARTS_WITHIN_MS, keepsOrigin: true };
  const { agent } = await createAgent(agents, call, { ...described, run }, options);
  return { kind: 'process', generation: agent.generation };
}

async function startAtRest({ agents }: RunActivityDeps, row: RosterRow, run: OwnRun): Promise<RunStart> {
  const { agent_id, decision } = row;
  const { restore: _restore, run: _before, signature: _signature, ...input } = decision.input;
  const spec = agents.sign({ ...input, run });
  const watch = await watchAgent(agents.roster, agent_id);
  try {
    const onceId = `run/${run.run_id}/${run.attempt}`;
    const args = { spec, request_id: requestIdOfRun(run.run_id, `start/${run.attempt}`) };
    agents.workflows.checkReachable(`start ${agent_id} for a run`);
    await agents.host.handOver(agent_id);
    const { revision } = await agents.workflows.command(agent_id, 'start', args, onceId);
    const seen = await watch.until(({ row: now }) => {
      if (now === undefined) return { generation: decision.generation };
      const { phase, generation, revision: done } = now.decision;
      if (done < revision) return undefined;
      return isRunning(now) || isAtRest(phase) ? { generation } : undefined;
    }, STARTS_WITHIN_MS);
    return { kind: 'process', generation: seen?.generation ?? watch.seen.row?.decision.generation ?? 0 };
  } finally {
    watch.close();
  }
}

/** The agent runs, and not for a run: it finds the task in its mailbox. */
async function hand(
  { tasks }: RunActivityDeps,
  { run_id, deadline_ms }: StartRunRequest,
  row: RosterRow,
  task: string | undefined,
): Promise<RunStart> {
  const { agent_id, decision } = row;
  if (task === undefined) {
    const message = `${agent_id} runs already, and there is no task to give it`;
    throw new CodedError('INVALID_REQUEST', message, { field: 'task', agent_id });
  }
  await tasks.delegate(run_id, agent_id, task, deadline_ms);
  return { kind: 'mailbox', generation: decision.generation };
}

const withTask = (own: OwnRun, task: string | undefined): OwnRun => (task === undefined ? own : { ...own, task });

/** The same call however often it is tried. */
function callFor(runId: string, what: string): Call {
  const request_id = requestIdOfRun(runId, what);
  return { caller: { kind: 'admin' }, request_id, once: { id: request_id, again: true } };
}

export type { RunTarget };
