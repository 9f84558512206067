import { randomUUID } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { AgentInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import type { Accepted, CommandArgs } from '../contract/messages.ts';
import {
  ORCHESTRATOR_QUEUE,
  summaryOf,
  WORKFLOW_TASK_TIMEOUT,
  WORKFLOW_TYPE,
  workflowIdOf,
  type CommandName,
} from '../contract/names.ts';
import { askTemporal, askUpdate, checkReachable } from './temporal-ask.ts';
import { isUnreachable, type TemporalLink } from './temporal-link.ts';

export type TemporalClient = Pick<Client, 'workflow' | 'schedule' | 'withDeadline'>;

/** The lives of agents in Temporal, in words of this code: short deadlines, and errors from the table. */
export class AgentWorkflows {
  readonly #client: TemporalClient;
  readonly #link: TemporalLink;
  readonly #timeoutMs: number;

  constructor(client: TemporalClient, link: TemporalLink, timeoutMs: number) {
    this.#client = client;
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Starts a life.
   * @throws CodedError AGENT_EXISTS, TEMPORAL_UNAVAILABLE
   */
  async start(input: AgentInput): Promise<{ run_id: string }> {
    const what = `create ${input.agent_id}`;
    try {
      const handle = await this.#ask(what, () =>
        this.#client.workflow.start(WORKFLOW_TYPE, {
          workflowId: workflowIdOf(input.agent_id),
          taskQueue: ORCHESTRATOR_QUEUE,
          workflowIdConflictPolicy: 'FAIL',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
          staticSummary: summaryOf(describe(input)),
          args: [input],
        }),
      );
      return { run_id: handle.firstExecutionRunId };
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw agentExists(input.agent_id);
      throw error;
    }
  }

  /**
   * Has a command accepted into the desired state.
   * @param onceId commands of one agent with the same one are one command
   * @throws CodedError AGENT_NOT_FOUND if there is no such life, TEMPORAL_UNAVAILABLE, or what the workflow refused it with
   */
  async command<Name extends CommandName>(
    agentId: string,
    name: Name,
    args: CommandArgs[Name],
    onceId?: string,
  ): Promise<Accepted> {
    const updateId = onceId ?? randomUUID();
    // By its id an update is known to one run only; by this, to all of a life.
    const asked = onceId === undefined ? args : { ...args, once_id: onceId };
    const handle = this.#client.workflow.getHandle(workflowIdOf(agentId));
    try {
      return await askUpdate(() =>
        this.#ask(`${name} ${agentId}`, () =>
          handle.executeUpdate<Accepted, [CommandArgs[Name]]>(name, { args: [asked], updateId }),
        ),
      );
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? agentNotFound(agentId) : error;
    }
  }

  /** Waits for the end of a run, so that its workflow id is free. @returns false if it did not end in time */
  async closed(agentId: string, runId: string, timeoutMs: number): Promise<boolean> {
    const handle = this.#client.workflow.getHandle(workflowIdOf(agentId), runId, { followRuns: false });
    try {
      await this.#client.withDeadline(Date.now() + timeoutMs, () => handle.result());
    } catch (error) {
      return !isUnreachable(error); // any other error tells how it ended, or that it is gone
    }
    return true;
  }

  /** @throws CodedError TEMPORAL_UNAVAILABLE without a call while Temporal is known to be away */
  checkReachable(what: string): void {
    checkReachable(this.#link, what);
  }

  #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    return askTemporal({ client: this.#client, link: this.#link, timeoutMs: this.#timeoutMs }, what, call);
  }
}

export function agentExists(agentId: string): CodedError {
  return new CodedError('AGENT_EXISTS', `An agent ${agentId} exists already`, { agent_id: agentId });
}

export function agentNotFound(agentId: string): CodedError {
  return new CodedError('AGENT_NOT_FOUND', `There is no agent ${agentId}`, { agent_id: agentId });
}

function describe({ template_id, command, created_by }: AgentInput): string {
  const what = template_id ?? command?.join(' ') ?? 'agent';
  return created_by === undefined ? what : `${what}, created by ${created_by}`;
}
