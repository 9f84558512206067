import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInput } from '../contract/agent-input.ts';
import {
  ADMISSION_PREFIX,
  agentIdOf,
  ORCHESTRATOR_QUEUE,
  RECONCILE_SIGNAL,
  runActivityId,
  stopActivityId,
  summaryOf,
  WAIT_PREFIX,
  waitActivityId,
  WORKFLOW_TASK_TIMEOUT,
  WORKFLOW_TYPE,
  workflowIdOf,
} from '../contract/names.ts';
import type { Reconcile } from '../contract/messages.ts';
import { isReserved, type CustodyEntry } from '../custodian/protocol.ts';
import type { Custody } from '../domain/custody.ts';
import { compare, type Action, type WorkflowFinding } from '../domain/reconciliation.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import type { OrderHandover } from './order-handover.ts';
import { Periodic } from './periodic.ts';

const PERIOD_MS = 30_000;
/** Something that is under way looks like a mismatch; only what still differs after this is one. */
const SECOND_LOOK_MS = 2_000;
const NUDGE_MS = 500;
const NOTHING: Custody = { fence: 0 };
/** temporal.api.enums.v1.PendingActivityState */
const ACTIVITY_STARTED = 2;

export interface ReconcilerOptions {
  client: Client;
  roster: Roster;
  custodian: {
    list(): Promise<CustodyEntry[]>;
    forget(agentId: string): Promise<void>;
  };
  orders: Pick<OrderHandover, 'all' | 'of' | 'orderOf' | 'done'>;
  /** Agents whose last decision has not reached the roster: it shows an older one. */
  unpublished: ReadonlyMap<string, number>;
  /** Whether this daemon is carrying out that activity of the agent right now. */
  isExecuting: (agentId: string, activityId: string) => boolean;
  /** Checks that an input is one that this host would admit, and signs what is added to it. Throws if it is not. */
  resign: (input: AgentInput, restore: AgentInput['restore']) => AgentInput;
  log: (message: string, details: Record<string, unknown>) => void;
  onTrouble: (message: string, error: unknown) => void;
}

/** Compares roster, custody and workflows, at the daemon's start and every 30 s; see `src/domain/reconciliation.ts`. */
export class Reconciler {
  private readonly options: ReconcilerOptions;
  private readonly periodic = new Periodic(PERIOD_MS, () => this.tick());

  constructor(options: ReconcilerOptions) {
    this.options = options;
  }

  start(): void {
    this.periodic.start('now');
  }

  stop(): Promise<void> {
    return this.periodic.stop();
  }

  /**
   * One comparison.
   * @returns what was done, by agent
   */
  async pass(): Promise<Map<string, Action>> {
    await this.options.orders.all();
    const found = await this.findings();
    if (found.size === 0) return new Map();
    await delay(SECOND_LOOK_MS, undefined, { signal: this.periodic.signal });
    const again = await this.findings();
    return this.act(new Map([...again].filter(([agentId, { action }]) => found.get(agentId)?.action === action)));
  }

  /**
   * An end was told, and the workflow did not wait for it: it may have been between two runs. Looks soon whether it has
   * dealt with it, and tells it otherwise.
   */
  async nudge(agentId: string, generation: number): Promise<void> {
    await delay(NUDGE_MS, undefined, { signal: this.periodic.signal });
    const row = await this.options.roster.get(agentId);
    if (!row || row.decision.snapshot.handled >= generation) return;
    const entry = (await this.options.custodian.list()).find(({ agent }) => agent === agentId);
    await this.actOn(agentId, { action: 'tell', row, custody: entry?.custody ?? NOTHING });
  }

  private async tick(): Promise<void> {
    try {
      await this.pass();
    } catch (error) {
      if (!this.periodic.signal.aborted) this.options.onTrouble('Cannot reconcile; trying again', error);
    }
  }

  private async findings(): Promise<Map<string, Finding>> {
    const [rows, entries, open] = await Promise.all([
      this.options.roster.list(),
      this.options.custodian.list(),
      this.openWorkflows(),
    ]);
    const rowOf = new Map(rows.map((row) => [row.agent_id, row]));
    const entryOf = new Map(entries.map((entry) => [entry.agent, entry]));
    const all = new Set([...rowOf.keys(), ...entryOf.keys(), ...open].filter((agentId) => !isReserved(agentId)));
    const found = new Map<string, Finding>();
    for (const agentId of all) {
      const row = rowOf.get(agentId);
      const entry = entryOf.get(agentId);
      const custody = entry?.custody;
      // Only the fence is left of an agent that was deleted long ago: there is nothing to compare.
      if (!row && !custody?.live && !custody?.last_exit && !open.has(agentId)) continue;
      const workflow = open.has(agentId) ? 'open' : await this.workflowOf(agentId);
      const isPublished = !this.options.unpublished.has(agentId);
      const known = compare(workflow, row && rowFinding(row), custody, entry?.live?.stopping !== undefined);
      const action = known === 'none' && workflow === 'open' && !isPublished ? 'tell' : known;
      if (action === 'redispatch-wait' && row && this.isWaiting(row)) continue;
      if (action !== 'none') found.set(agentId, { action, row, custody: custody ?? NOTHING });
    }
    return found;
  }

  private isWaiting({ agent_id: agentId, decision: { phase } }: RosterRow): boolean {
    return phase.kind === 'waiting' && this.options.isExecuting(agentId, waitActivityId(phase.wait));
  }

  /** The list is a hint (it lags); a workflow that is not in it is looked up by its id. */
  private async openWorkflows(): Promise<Set<string>> {
    const open = new Set<string>();
    const query = `WorkflowType = '${WORKFLOW_TYPE}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of this.options.client.workflow.list({ query })) open.add(agentIdOf(workflowId));
    return open;
  }

  private async workflowOf(agentId: string): Promise<WorkflowFinding> {
    try {
      const { status } = await this.options.client.workflow.getHandle(workflowIdOf(agentId)).describe();
      if (status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW') return 'open';
      return status.name === 'COMPLETED' || status.name === 'FAILED' ? 'ended' : 'gone';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'gone';
      throw error;
    }
  }

  private async act(found: Map<string, Finding>): Promise<Map<string, Action>> {
    const done = new Map<string, Action>();
    for (const [agentId, finding] of found) {
      try {
        await this.actOn(agentId, finding);
        done.set(agentId, finding.action);
        this.options.log('reconciled', { agent_id: agentId, action: finding.action, custody: finding.custody });
      } catch (error) {
        this.options.onTrouble(`Cannot reconcile ${agentId} (${finding.action})`, error);
      }
    }
    return done;
  }

  private async actOn(agentId: string, { action, row, custody }: Finding): Promise<void> {
    switch (action) {
      case 'redispatch-run':
        return row && this.redispatch(row, custody, (id) => id === runActivityId(row.decision.generation));
      case 'redispatch-stop':
        // With its second calls, for a shorter grace.
        return (
          row &&
          this.redispatch(row, custody, (id) => `${id}/`.startsWith(`${stopActivityId(row.decision.generation)}/`))
        );
      case 'redispatch-admission':
        return row && this.redispatch(row, custody, (id) => id.startsWith(ADMISSION_PREFIX));
      case 'redispatch-wait':
        return row && this.redispatch(row, custody, (id) => id.startsWith(WAIT_PREFIX));
      case 'tell':
        return this.tell(agentId, row, custody);
      case 'remove-row':
        return this.options.roster.remove(agentId);
      case 're-create':
        return row && this.recreate(row);
      case 'report-orphan':
        return this.options.onTrouble(
          `Process ${custody.live?.pid} of ${agentId} runs, but nothing describes that agent`,
          undefined,
        );
      case 'forget':
        return this.options.custodian.forget(agentId);
      case 'none':
        return undefined;
    }
  }

  /**
   * A call that Temporal believes to be with a daemon, and that this daemon is not carrying out, got lost on its way or
   * with the daemon before. It would be missed only at its heartbeat time-out; failed here, it is dispatched again.
   */
  private async redispatch(row: RosterRow, custody: Custody, isWanted: (id: string) => boolean): Promise<void> {
    const { client, isExecuting } = this.options;
    const agentId = row.agent_id;
    const workflowId = workflowIdOf(agentId);
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    const wanted = (raw.pendingActivities ?? []).filter(({ activityId }) => activityId && isWanted(activityId));
    // The roster has a decision that Temporal did not keep: both died before the task was completed.
    if (wanted.length === 0) return this.tell(agentId, row, custody);
    for (const { activityId, state } of wanted) {
      if (!activityId || state !== ACTIVITY_STARTED || isExecuting(agentId, activityId)) continue;
      await client.activity.fail({ workflowId, activityId }, new Error('The call got lost on its way'));
    }
  }

  /** With the roster's sequence: whatever the workflow answers to this is later than what the roster shows. */
  private async tell(agentId: string, row: RosterRow | undefined, custody: Custody): Promise<void> {
    await this.options.orders.of(agentId);
    const told: Reconcile = { ...custody, ...(row && { sequence: row.decision.sequence }) };
    await this.options.client.workflow.getHandle(workflowIdOf(agentId)).signal(RECONCILE_SIGNAL, told);
  }

  private async recreate(row: RosterRow): Promise<void> {
    const { decision } = row;
    const reason = 're-created from the roster: its workflow was lost';
    // What was ordered while Temporal was away wins over the older desired state.
    const order = await this.options.orders.orderOf(row.agent_id);
    const ordered = order && { desired: order.verb === 'stop' ? ('stopped' as const) : ('deleted' as const) };
    const input = this.options.resign(decision.input, { ...decision.snapshot, ...ordered, reason });
    try {
      await this.options.client.workflow.start(WORKFLOW_TYPE, {
        workflowId: workflowIdOf(row.agent_id),
        taskQueue: ORCHESTRATOR_QUEUE,
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        args: [input],
        staticSummary: summaryOf(`agent ${row.agent_id}, ${reason}`),
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      return; // it has not been given the order: that is handed over to it
    }
    if (order) await this.options.orders.done(order);
  }
}

interface Finding {
  action: Action;
  row: RosterRow | undefined;
  custody: Custody;
}

const rowFinding = ({ decision }: RosterRow) => ({
  phase: decision.phase.kind,
  generation: decision.generation,
  handled: decision.snapshot.handled,
});
