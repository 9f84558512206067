import { isGrpcServiceError, ServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { workflowIdOf } from '../contract/names.ts';
import type { Order } from '../custodian/protocol.ts';
import type { Roster } from '../ports/roster.ts';

/** gRPC's code (its package is not ours to import) for, say, a workflow that has had too many signals. */
const INVALID_ARGUMENT = 3;

export interface OrderHandoverOptions {
  client: Pick<Client, 'workflow'>;
  roster: Pick<Roster, 'get'>;
  custodian: {
    orders(): Promise<Order[]>;
    orderDone(order: Order): Promise<void>;
  };
  log: (message: string, details: Record<string, unknown>) => void;
  onTrouble: (message: string, error: unknown) => void;
}

/** Stops and deletes that were ordered while Temporal was away: the custodian keeps them until their workflows have them. */
export class OrderHandover {
  private readonly options: OrderHandoverOptions;

  constructor(options: OrderHandoverOptions) {
    this.options = options;
  }

  /** Hands over what is kept. An order that Temporal refuses stays kept, for the next call. */
  async all(): Promise<void> {
    await this.handOver(await this.options.custodian.orders());
  }

  /**
   * To be called before the workflow hears of what came of an order: it would take the agent for one that is to run.
   * @returns whether there was any
   */
  async of(agentId: string): Promise<boolean> {
    const orders = (await this.options.custodian.orders()).filter(({ agent }) => agent === agentId);
    await this.handOver(orders);
    return orders.length > 0;
  }

  /** What is kept for an agent, not handed over. */
  async orderOf(agentId: string): Promise<Order | undefined> {
    return (await this.options.custodian.orders()).find(({ agent }) => agent === agentId);
  }

  /** The workflow has it. */
  done(order: Order): Promise<void> {
    return this.options.custodian.orderDone(order);
  }

  private async handOver(orders: Order[]): Promise<void> {
    for (const outcome of await Promise.allSettled(orders.map((order) => this.handOverOne(order))))
      if (outcome.status === 'rejected') throw outcome.reason;
  }

  private async handOverOne(order: Order): Promise<void> {
    // Calls to a server that stood still may come through after they were given up, behind what was asked for since.
    const once_id = `order/${order.verb}/${order.at}`;
    try {
      await this.options.client.workflow.getHandle(workflowIdOf(order.agent)).signal(order.verb, { once_id });
    } catch (error) {
      if (isRefusal(error))
        return this.options.onTrouble(`Cannot hand over the ${order.verb} of ${order.agent}`, error);
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // Its workflow is lost: it is re-created first, and gets the order in the next pass.
      if ((await this.options.roster.get(order.agent)) !== undefined) return;
    }
    await this.options.custodian.orderDone(order);
    this.options.log('handed over an order', { agent_id: order.agent, verb: order.verb });
  }
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code as number) === INVALID_ARGUMENT;
}
