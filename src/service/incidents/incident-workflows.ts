import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { DeferRequest } from '../../contract/incident-activities.ts';
import {
  DEFER_SIGNAL,
  DELIVERED_SIGNAL,
  DIGEST_WORKFLOW,
  digestWorkflowIdOf,
  INCIDENT_WORKFLOW,
  RECONSIDER_SIGNAL,
  RECORD_QUERY,
  REFRESH_SIGNAL,
  type IncidentMessages,
  type IncidentStart,
  type IncidentVerb,
  type ReportMessage,
} from '../../contract/incident-messages.ts';
import { incidentWorkflowIdOf, type IncidentView } from '../../contract/incident-view.ts';
import { ORCHESTRATOR_QUEUE, summaryOf } from '../../contract/names.ts';
import type { RecordUpdate } from '../../contract/record.ts';
import type { IncidentState } from '../../domain/incidents/incident-state.ts';
import { cut } from '../../domain/cut.ts';
import type { TemporalClient } from '../agent-workflows.ts';
import { askTemporal, askUpdate, type Asking } from '../temporal-ask.ts';
import { workflowStatus } from '../workflow-status.ts';

type Delivered = { id: string; channel: string; state: 'sent' | 'failed'; reason: string | null };

/** Incidents and digests in Temporal, in words of this code: short deadlines, and errors from the table. */
export class IncidentWorkflows {
  readonly #client: TemporalClient;
  readonly #asking: Asking & { client: TemporalClient };

  constructor(asking: Omit<Asking, 'client'> & { client: TemporalClient }) {
    this.#client = asking.client;
    this.#asking = asking;
  }

  /** Reports to an incident; one that is not open begins, with what is known of it. @throws CodedError TEMPORAL_UNAVAILABLE */
  report(incidentId: string, message: ReportMessage, restore: IncidentState | undefined): Promise<void> {
    return this.#signalWithStart(incidentId, 'report', message, restore);
  }

  /** Opens again what is over. @throws CodedError TEMPORAL_UNAVAILABLE */
  reopen(incidentId: string, message: IncidentMessages['reopen'], restore: IncidentState): Promise<void> {
    return this.#signalWithStart(incidentId, 'reopen', message, restore);
  }

  /** Goes on with an incident whose workflow was lost. One that runs is left alone. @throws CodedError TEMPORAL_UNAVAILABLE */
  async restore(incidentId: string, restore: IncidentState): Promise<void> {
    await this.#ask(`restore the incident ${incidentId}`, () =>
      this.#client.workflow.start(INCIDENT_WORKFLOW, {
        ...optionsOf(incidentId, restore.summary, { restore }),
        workflowIdConflictPolicy: 'USE_EXISTING',
      }),
    );
  }

  /**
   * @returns what has come of it; undefined if its workflow is not running
   * @throws CodedError what the incident refuses it with, TEMPORAL_UNAVAILABLE
   */
  async update<Verb extends IncidentVerb>(
    incidentId: string,
    verb: Verb,
    message: IncidentMessages[Verb],
    onceId?: string,
  ): Promise<IncidentView | undefined> {
    const updateId = onceId ?? randomUUID();
    const ask = (): Promise<IncidentView> => {
      const handle = this.#client.workflow.getHandle(incidentWorkflowIdOf(incidentId));
      return this.#ask(`${verb} the incident ${incidentId}`, () =>
        handle.executeUpdate<IncidentView, [IncidentMessages[Verb]]>(verb, { args: [message], updateId }),
      );
    };
    try {
      return await askUpdate(ask);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  /** @returns false if its workflow is not running */
  resolve(incidentId: string, message: IncidentMessages['resolve']): Promise<boolean> {
    return this.#signal(incidentWorkflowIdOf(incidentId), 'resolve', message);
  }

  delivered(incidentId: string, told: Delivered): Promise<boolean> {
    return this.#signal(incidentWorkflowIdOf(incidentId), DELIVERED_SIGNAL, told);
  }

  /** Its record is published again. */
  refresh(incidentId: string): Promise<boolean> {
    return this.#signal(incidentWorkflowIdOf(incidentId), REFRESH_SIGNAL, null);
  }

  async defer({ channel, ...request }: DeferRequest): Promise<void> {
    await this.#ask(`defer a notice on ${channel}`, () =>
      this.#client.workflow.signalWithStart(DIGEST_WORKFLOW, {
        workflowId: digestWorkflowIdOf(channel),
        taskQueue: ORCHESTRATOR_QUEUE,
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: `what quiet hours hold back on ${cut(channel, 64)}`,
        args: [],
        signal: DEFER_SIGNAL,
        signalArgs: [request],
      }),
    );
  }

  /** Quiet hours may be others now. */
  reconsider(channel: string): Promise<boolean> {
    return this.#signal(digestWorkflowIdOf(channel), RECONSIDER_SIGNAL, null);
  }

  /** @returns undefined if Temporal knows of no such incident any more */
  async standing(incidentId: string): Promise<'running' | 'completed' | 'broken-off' | undefined> {
    const status = await workflowStatus(
      this.#asking,
      `look at the incident ${incidentId}`,
      incidentWorkflowIdOf(incidentId),
    );
    if (status === 'RUNNING') return 'running';
    return status === undefined ? undefined : status === 'COMPLETED' ? 'completed' : 'broken-off';
  }

  /** What it has published last, also of one that has ended; undefined if it has never had anything to publish. */
  async lastRecord(incidentId: string): Promise<RecordUpdate | undefined> {
    const handle = this.#client.workflow.getHandle(incidentWorkflowIdOf(incidentId));
    const record = await this.#ask(`ask the incident ${incidentId}`, () =>
      handle.query<RecordUpdate | null>(RECORD_QUERY),
    );
    return record ?? undefined;
  }

  /** Ids of those that run. @throws CodedError TEMPORAL_UNAVAILABLE */
  async running(limit: number): Promise<string[]> {
    const query = `WorkflowType="${INCIDENT_WORKFLOW}" AND ExecutionStatus="Running"`;
    return this.#ask('list the incidents', async () => {
      const ids: string[] = [];
      for await (const { workflowId } of this.#client.workflow.list({ query })) {
        ids.push(workflowId.replace(/^incident\//, ''));
        if (ids.length >= limit) break;
      }
      return ids;
    });
  }

  async #signalWithStart<Verb extends 'report' | 'reopen'>(
    incidentId: string,
    verb: Verb,
    message: IncidentMessages[Verb],
    restore: IncidentState | undefined,
  ): Promise<void> {
    const summary = 'summary' in message ? message.summary : (restore?.summary ?? '');
    await this.#ask(`${verb} the incident ${incidentId}`, () =>
      this.#client.workflow.signalWithStart(INCIDENT_WORKFLOW, {
        ...optionsOf(incidentId, summary, restore === undefined ? {} : { restore }),
        signal: verb,
        signalArgs: [message],
      }),
    );
  }

  async #signal(workflowId: string, name: string, argument: unknown): Promise<boolean> {
    const handle = this.#client.workflow.getHandle(workflowId);
    try {
      await this.#ask(`signal ${workflowId}`, () => handle.signal(name, argument));
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    return askTemporal(this.#asking, what, call);
  }
}

const optionsOf = (incidentId: string, summary: string, start: IncidentStart) => ({
  workflowId: incidentWorkflowIdOf(incidentId),
  taskQueue: ORCHESTRATOR_QUEUE,
  workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
  staticSummary: summaryOf(summary),
  args: [start] as [IncidentStart],
});
