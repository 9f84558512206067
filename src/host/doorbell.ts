import { ActivityCancelledError, ActivityNotFoundError, type Client } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import type { Verdict } from '../contract/definition.ts';
import type { Custody } from '../domain/custody.ts';
import type { Notice } from '../contract/messages.ts';
import { NOTICE_SIGNAL, runActivityId, workflowIdOf } from '../contract/names.ts';
import { failpoint } from './failpoint.ts';
import type { OrderHandover } from './order-handover.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

/**
 * Completes activities of agents by id: from whichever daemon, in whichever run of the workflow.
 * The exit record in custody is the truth; a ring that is lost is made good by the reconciliation.
 */
export class Doorbell {
  private readonly client: Client;
  private readonly ending: AbortSignal;
  private readonly orders: Pick<OrderHandover, 'of'>;
  private readonly open = new Set<Promise<unknown>>();

  constructor(client: Client, ending: AbortSignal, orders: Pick<OrderHandover, 'of'>) {
    this.client = client;
    this.ending = ending;
    this.orders = orders;
  }

  /**
   * @param isTrue asked before each try: Temporal may be away for long, and the verdict be untrue by then
   * @returns false if the workflow does not wait for it (any more)
   */
  ringRun(agentId: string, generation: number, verdict: Verdict, isTrue: () => boolean = () => true): Promise<boolean> {
    return this.ring(agentId, runActivityId(generation), verdict, verdict.kind === 'exited', isTrue);
  }

  /** Tells the workflow what people should know of a process. */
  async notify(agentId: string, notice: Notice): Promise<void> {
    try {
      await this.client.workflow.getHandle(workflowIdOf(agentId)).signal(NOTICE_SIGNAL, notice);
    } catch {
      // It is news for people, no fact: while Temporal is away there is greater news.
    }
  }

  ringStop(agentId: string, activityId: string, custody: Custody): Promise<boolean> {
    return this.ring(agentId, activityId, custody, true);
  }

  /** What an agent waits for is there. */
  ringWait(agentId: string, activityId: string): Promise<boolean> {
    return this.ring(agentId, activityId, undefined);
  }

  /** @returns false if nobody waits any more */
  async beatWait(agentId: string, activityId: string): Promise<boolean> {
    const id = { workflowId: workflowIdOf(agentId), activityId };
    try {
      await this.client.activity.heartbeat(id);
      return true;
    } catch (error) {
      if (error instanceof ActivityNotFoundError) return false;
      if (!(error instanceof ActivityCancelledError)) return true;
      await this.client.activity.reportCancellation(id).catch(() => undefined);
      return false;
    }
  }

  /** Tells the server that a run goes on. Its details are what the Web UI shows of the pending activity. */
  async beat(agentId: string, generation: number, details: unknown): Promise<void> {
    try {
      const id = { workflowId: workflowIdOf(agentId), activityId: runActivityId(generation) };
      await this.client.activity.heartbeat(id, details);
    } catch {
      // Not found, paused, cancelled, reset, unreachable: none of them says anything about the process, and only an
      // operator's stop may end it. If the server gives the activity up, the next attempt adopts.
    }
  }

  /** Waits until no ring is under way, at most `ms`. */
  async settle(ms: number): Promise<void> {
    await Promise.race([Promise.allSettled(this.open), delay(ms, undefined, { ref: false })]);
  }

  private ring(
    agentId: string,
    activityId: string,
    result: unknown,
    ordersFirst = false,
    isTrue: () => boolean = () => true,
  ): Promise<boolean> {
    const ringing = this.ringUntilHeard(agentId, activityId, result, ordersFirst, isTrue);
    this.open.add(ringing);
    return ringing.finally(() => this.open.delete(ringing));
  }

  private async ringUntilHeard(
    agentId: string,
    activityId: string,
    result: unknown,
    ordersFirst: boolean,
    isTrue: () => boolean,
  ): Promise<boolean> {
    const id = { workflowId: workflowIdOf(agentId), activityId };
    for (let waitMs = RETRY_FIRST_MS; !this.ending.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      if (!isTrue()) return false;
      try {
        if (ordersFirst) await this.orders.of(agentId);
        await this.client.activity.complete(id, result);
        failpoint('daemon.after-ring');
        return true;
      } catch (error) {
        // Not scheduled yet, completed already or closed: the server cannot tell them apart.
        if (error instanceof ActivityNotFoundError) return false;
        await delay(waitMs, undefined, { signal: this.ending }).catch(() => undefined);
      }
    }
    return false;
  }
}
