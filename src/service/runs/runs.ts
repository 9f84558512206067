import { randomUUID } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { AgentInput } from '../../contract/agent-input.ts';
import { CodedError } from '../../contract/errors.ts';
import { ORCHESTRATOR_QUEUE } from '../../contract/names.ts';
import { runWorkflowIdOf, type RunRequest, type RunState, type RunView } from '../../contract/run-view.ts';
import { CANCEL_SIGNAL, RUN_WORKFLOW_TYPE, type RunInput } from '../../contract/run-workflow.ts';
import { isAtRest } from '../../domain/agent-state.ts';
import type { RecordRow, Records } from '../../ports/records.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import { canonicalJson } from '../../trust/canonical-json.ts';
import { agentNotFound, type TemporalClient } from '../agent-workflows.ts';
import {
  admitCaller,
  checkMayControl,
  checkMayCreate,
  describeCaller,
  type Call,
  type LiveGeneration,
} from '../caller.ts';
import { watchRecord } from '../record-watch.ts';
import { askTemporal, type Asking } from '../temporal-ask.ts';

export interface RunsDeps extends Asking {
  client: Pick<TemporalClient, 'workflow' | 'withDeadline'>;
  roster: Pick<Roster, 'get'>;
  records: Records;
  liveGeneration: LiveGeneration;
  sign: (input: AgentInput) => AgentInput;
  /** @throws CodedError TEMPLATE_NOT_FOUND, … */
  admit: (input: AgentInput) => unknown;
}

export interface RunFilter {
  agent_id?: string;
  state?: RunState;
  /** At most so many, the latest first. */
  limit: number;
  /** Only those older than this position. */
  before?: number;
}

export interface RunPage {
  runs: RunView[];
  /** For `before`; null at the end. */
  next: number | null;
}

/** How long an accepted run may take to appear in the lists. */
const APPEARS_WITHIN_MS = 2_000;

/** Finite executions of agents. What has become of them stands in the records. */
export class Runs {
  readonly #deps: RunsDeps;

  constructor(deps: RunsDeps) {
    this.#deps = deps;
  }

  /**
   * Begins a run; the same `run_id` again is the same run.
   * @param waitMs how long its end is waited for
   * @throws CodedError AGENT_NOT_FOUND, AGENT_EXISTS, AGENT_BUSY, FORBIDDEN, and what an agent could not be made for
   */
  async create(call: Call, request: RunRequest, { waitMs = 0 }: { waitMs?: number } = {}): Promise<RunView> {
    await this.#admitCaller(call);
    const { run_id: runId = newRunId(call), cleanup, timeout, ...given } = request;
    const known = await this.#deps.records.getRecord('run', runId);
    if (known === undefined) await this.#start(call, runId, given, { cleanup, timeout });
    else if (known.agent_id !== given.agent_id) {
      const message = `The run ${runId} is one of ${known.agent_id}; choose another run_id`;
      throw new CodedError('INVALID_REQUEST', message, { field: 'run_id' });
    }
    const row = await this.#until(
      runId,
      call,
      Math.max(waitMs, APPEARS_WITHIN_MS),
      (seen) => waitMs === 0 || seen.done,
    );
    if (row !== undefined) return viewOf(row);
    return unseenView(runId, request);
  }

  async list(call: Call, { limit, ...filter }: RunFilter): Promise<RunPage> {
    await this.#admitCaller(call);
    const rows = await this.#deps.records.listRecords({ kind: 'run', limit, ...filter });
    return { runs: rows.map(viewOf), next: rows.length === limit ? (rows.at(-1)?.position ?? null) : null };
  }

  /** @throws CodedError RUN_NOT_FOUND */
  async get(call: Call, runId: string): Promise<RunView> {
    await this.#admitCaller(call);
    return viewOf(await this.#row(runId));
  }

  /**
   * Ends it: its process is stopped, or the agent that has its task is notified. One that has ended stays as it is.
   * @throws CodedError RUN_NOT_FOUND, FORBIDDEN
   */
  async cancel(call: Call, runId: string, { waitMs }: { waitMs: number }): Promise<RunView> {
    await this.#admitCaller(call);
    const row = await this.#row(runId);
    if (row.done) return viewOf(row);
    const agent = row.agent_id === null ? undefined : await this.#deps.roster.get(row.agent_id);
    if (agent !== undefined) checkMayControl(call.caller, 'stop', agent);
    else if (call.caller.kind !== 'admin') throw agentNotFound(row.agent_id ?? runId);
    const by = describeCaller(call.caller);
    try {
      await this.#ask(`cancel the run ${runId}`, () =>
        this.#deps.client.workflow.getHandle(runWorkflowIdOf(runId)).signal(CANCEL_SIGNAL, { by }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
    return viewOf((await this.#until(runId, call, waitMs, ({ done }) => done)) ?? (await this.#row(runId)));
  }

  async #start(
    call: Call,
    runId: string,
    given: AgentInput,
    { cleanup, timeout }: { cleanup: RunRequest['cleanup'] | undefined; timeout: string | undefined },
  ): Promise<void> {
    const { sign, roster, admit } = this.#deps;
    const { agent_id } = given;
    const row = await roster.get(agent_id);
    if (row === undefined) {
      checkMayCreate(call.caller, given);
      if (given.template_id === undefined && given.command === undefined) {
        const message = `There is no agent ${agent_id}; to make one for the run, give a template_id`;
        throw new CodedError('AGENT_NOT_FOUND', message, { agent_id });
      }
      // What cannot be created at all is refused at once.
      await admit({ ...given, run: { run_id: runId, attempt: 1 } });
    } else {
      checkMayUse(call, row, given);
      await admit({
        ...row.decision.input,
        run: { run_id: runId, attempt: 1, ...(given.task === undefined ? {} : { task: given.task }) },
      });
    }
    const creator = call.caller.kind === 'agent' ? { created_by: call.caller.agent_id } : {};
    const agent = row === undefined ? { ...given, ...creator } : taskOnly(given);
    const input: RunInput = {
      ...sign({ ...agent, request_id: call.request_id }),
      run_id: runId,
      busy: 'fail',
      ...(cleanup === undefined ? {} : { cleanup }),
      ...(timeout === undefined ? {} : { timeout }),
    };
    try {
      await this.#ask(`begin a run of ${agent_id}`, () =>
        this.#deps.client.workflow.start(RUN_WORKFLOW_TYPE, {
          workflowId: runWorkflowIdOf(runId),
          taskQueue: ORCHESTRATOR_QUEUE,
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          workflowIdConflictPolicy: 'FAIL',
          staticSummary: `run of ${agent_id}`,
          args: [input],
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  async #row(runId: string): Promise<RecordRow> {
    const row = await this.#deps.records.getRecord('run', runId);
    if (row === undefined) throw new CodedError('RUN_NOT_FOUND', `There is no run ${runId}`, { run_id: runId });
    return row;
  }

  /** The record once it is as wanted, or as it is when the time is up; undefined if there is none. */
  async #until(
    runId: string,
    call: Call,
    timeoutMs: number,
    isWanted: (row: RecordRow) => boolean,
  ): Promise<RecordRow | undefined> {
    const watch = await watchRecord(this.#deps.records, 'run', runId);
    try {
      await watch.until((row) => (row !== undefined && isWanted(row) ? row : undefined), timeoutMs, call.signal);
      return watch.seen;
    } finally {
      watch.close();
    }
  }

  #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    return askTemporal(this.#deps, what, work);
  }

  #admitCaller(call: Call): Promise<void> {
    return admitCaller(call, this.#deps.liveGeneration);
  }
}

/** An agent that is there runs as it is described; what else is said of it would be ignored, and is refused instead. */
function checkMayUse(call: Call, row: RosterRow, given: AgentInput): void {
  const { agent_id, decision } = row;
  const { phase, desired, input } = decision;
  const rests = isAtRest(phase);
  // To a running agent anybody may send; what is at rest is started.
  if (rests) checkMayControl(call.caller, 'start', row);
  const known = input as unknown as Record<string, unknown>;
  const other = Object.entries(given).find(
    ([name, value]) => name !== 'agent_id' && name !== 'task' && !isEqual(known[name], value),
  );
  if (other !== undefined) {
    const message = `The agent ${agent_id} exists, and its ${other[0]} is another one; leave ${other[0]} out, or choose another agent_id`;
    throw new CodedError('AGENT_EXISTS', message, { agent_id, field: other[0] });
  }
  if (desired === 'deleted') throw busy(agent_id, 'it is being deleted');
  if (rests) return;
  if (input.run !== undefined) throw busy(agent_id, `it is in the run ${input.run.run_id}`);
  if (given.task === undefined) throw busy(agent_id, 'it runs already, and there is no task to give it');
}

const busy = (agentId: string, why: string): CodedError =>
  new CodedError('AGENT_BUSY', `Cannot run ${agentId}: ${why}`, { agent_id: agentId });

const isEqual = (known: unknown, given: unknown): boolean =>
  known !== undefined && canonicalJson(known) === canonicalJson(given);

const taskOnly = ({ agent_id, task }: AgentInput): AgentInput => ({
  agent_id,
  ...(task === undefined ? {} : { task }),
});

/** The same for each attempt at the same request. */
const newRunId = ({ once }: Call): string => `run-${once?.id.slice(0, 32) ?? randomUUID()}`;

const viewOf = ({ data }: RecordRow): RunView => data as RunView;

/** Accepted by Temporal, but no worker has taken it up yet. */
function unseenView(runId: string, { agent_id, task, cleanup }: RunRequest): RunView {
  return {
    run_id: runId,
    agent_id,
    state: 'starting',
    reason: 'its workflow has not begun yet',
    via: 'process',
    task: task ?? null,
    schedule_id: null,
    started_at: new Date().toISOString(),
    ended_at: null,
    generation: null,
    exit: null,
    result: null,
    output: '',
    cleanup: cleanup ?? 'keep',
    workflow_id: runWorkflowIdOf(runId),
  };
}
