import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  DaemonError,
  type AgentView,
  type AgentArgs,
  type AgentTransport,
  type ListArgs,
  type LogsArgs,
  type SignalArgs,
  type StartArgs,
  type Stopped,
  type StopArgs,
} from './types.ts';

export interface TemporalOptions {
  /** Of the namespace that the daemon works in. */
  client: Client;
  /** How long a start waits until the agent is up, and a stop until it is gone. @default 30000 */
  waitMs?: number;
}

const LOOK_AGAIN_MS = 100;

/**
 * Straight to the agents' workflows, past the daemon's API: an agent is started as a workflow execution, and commanded by
 * updates. Without a signature an input may only say what no program is made of: template, variables, labels, task.
 */
export class TemporalTransport implements AgentTransport {
  private readonly client: Client;
  private readonly waitMs: number;

  constructor({ client, waitMs = 30_000 }: TemporalOptions) {
    this.client = client;
    this.waitMs = waitMs;
  }

  async start(args: StartArgs): Promise<AgentView> {
    const { agent_id } = args;
    try {
      const handle = await this.client.workflow.start('agent', {
        workflowId: workflowIdOf(agent_id),
        taskQueue: 'orchestrator',
        workflowIdConflictPolicy: 'FAIL',
        args: [args],
      });
      return await this.untilUp(agent_id, handle);
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError)
        throw new DaemonError('AGENT_EXISTS', `An agent ${agent_id} exists already`, '', { agent_id }, error);
      throw coded(error, agent_id);
    }
  }

  async stop({ agent_id, grace }: StopArgs): Promise<Stopped> {
    const handle = this.handle(agent_id);
    try {
      await handle.executeUpdate('delete', { args: [grace === undefined ? {} : { grace }] });
      await this.client.withDeadline(Date.now() + this.waitMs, () => handle.result());
      return { agent_id, deleted: true };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError)
        throw coded(error, agent_id);
      // Not closed in time: it is under way, and comes about by itself.
      return { agent_id, deleted: false };
    }
  }

  async status({ agent_id }: AgentArgs): Promise<AgentView> {
    const handle = this.handle(agent_id);
    try {
      const { status } = await handle.describe();
      if (status.name !== 'RUNNING') throw notFound(agent_id);
      return await handle.query<AgentView>('status');
    } catch (error) {
      throw coded(error, agent_id);
    }
  }

  async list({ state, template_id }: ListArgs): Promise<{ agents: Partial<AgentView>[] }> {
    const conditions = [
      'WorkflowType = "agent"',
      'ExecutionStatus = "Running"',
      ...(state === undefined ? [] : [`AgentState = ${JSON.stringify(state)}`]),
      ...(template_id === undefined ? [] : [`TemplateId = ${JSON.stringify(template_id)}`]),
    ];
    const agents: Partial<AgentView>[] = [];
    for await (const info of this.client.workflow.list({ query: conditions.join(' AND ') })) {
      // oxlint-disable-next-line typescript/no-deprecated -- the typed ones would need the server's types of each
      const first = (name: string): string | null => (info.searchAttributes[name]?.[0] as string | undefined) ?? null;
      agents.push({
        agent_id: info.workflowId.replace(/^agent\//, ''),
        template_id: first('TemplateId'),
        state: first('AgentState') ?? 'pending',
        fault_domain: first('FaultDomain') ?? 'default',
        host: first('Host'),
        workflow_id: info.workflowId,
        run_id: info.runId,
      });
    }
    return { agents };
  }

  async restart(args: AgentArgs): Promise<AgentView> {
    await this.update(args.agent_id, 'restart', {});
    return this.status(args);
  }

  async signal({ agent_id, name }: SignalArgs): Promise<{ agent_id: string; revision: number }> {
    return { agent_id, ...(await this.update(agent_id, 'signal', { name })) };
  }

  async pause(args: AgentArgs): Promise<AgentView> {
    await this.update(args.agent_id, 'pause', {});
    return this.status(args);
  }

  async resume(args: AgentArgs): Promise<AgentView> {
    await this.update(args.agent_id, 'resume', {});
    return this.status(args);
  }

  async logs({ agent_id }: LogsArgs): Promise<never> {
    const message = `The logs of ${agent_id} are on its host, and Temporal does not carry them: use the REST transport`;
    throw new DaemonError('UNSUPPORTED_FIELD', message, 'Use RestTransport', { agent_id });
  }

  private handle(agentId: string): WorkflowHandle {
    return this.client.workflow.getHandle(workflowIdOf(agentId));
  }

  private async update(agentId: string, name: string, args: object): Promise<{ revision: number }> {
    try {
      return await this.handle(agentId).executeUpdate<{ revision: number }, [object]>(name, { args: [args] });
    } catch (error) {
      throw coded(error, agentId);
    }
  }

  /** Until the workflow has decided: its process is asked for, or it has failed. */
  private async untilUp(agentId: string, handle: WorkflowHandle): Promise<AgentView> {
    const failed = handle.result().then(() => Promise.reject(notFound(agentId)));
    failed.catch(() => undefined);
    const deadline = Date.now() + this.waitMs;
    for (;;) {
      const status = await Promise.race([handle.query<AgentView>('status'), failed]);
      if (status.state === 'stopped') await failed; // it closes
      if (status.state !== 'pending' || Date.now() > deadline) return status;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS)), failed]);
    }
  }
}

const workflowIdOf = (agentId: string): string => `agent/${agentId}`;

const notFound = (agentId: string): DaemonError =>
  new DaemonError('AGENT_NOT_FOUND', `There is no agent ${agentId}`, '', { agent_id: agentId });

/** Workflow and updates fail with the daemon's codes as their type. */
function coded(error: unknown, agentId: string): unknown {
  if (error instanceof DaemonError) return error;
  if (error instanceof WorkflowNotFoundError) return notFound(agentId);
  if (!(error instanceof WorkflowFailedError) && !(error instanceof WorkflowUpdateFailedError)) return error;
  const { type, message } = (error.cause ?? error) as { type?: string; message: string };
  return new DaemonError(type ?? 'INTERNAL', message, '', { agent_id: agentId }, error);
}
