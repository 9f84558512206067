import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, CodedError } from '../contract/errors.ts';
import type { Order } from '../custodian/protocol.ts';
import type { CustodyLink } from '../host/custody-link.ts';
import type { OrderHandoverOptions } from '../host/order-handover.ts';
import type { ReconcilerOptions } from '../host/reconciler.ts';
import type { HostControl } from '../service/host-control.ts';

/** A Temporal that has not taken an order within it is away. */
const HAND_OVER_MS = 5_000;

type Custody = Pick<CustodyLink, 'call' | 'callUntilAnswered'>;

/**
 * Orders that were refused because the custodian did not answer. It may keep them all the same: they are taken back as
 * soon as it answers again, before anybody reads what it keeps.
 */
export class UnansweredOrders {
  private readonly custody: Custody;
  private readonly open = new Set<{ agent: string; at: string; before: Order | undefined }>();

  constructor(custody: Custody) {
    this.custody = custody;
  }

  async add(agent: string, at: string, before: Order | undefined): Promise<void> {
    this.open.add({ agent, at, before });
    await this.takeBack();
  }

  async takeBack(): Promise<void> {
    for (const unanswered of this.open) {
      const { agent, at, before } = unanswered;
      await this.custody.call('order_done', { agent, at });
      // It had taken the place of one that was accepted.
      if (before && !(await this.custody.call('orders', {})).orders.some((order) => order.agent === agent))
        await this.custody.call('order', before);
      this.open.delete(unanswered);
    }
  }
}

/**
 * Stops without Temporal: the custodian keeps the order, then ends the process. While it keeps it, it starts nothing of that
 * agent, so the fence needs not be raised, and one that never ran has none.
 *
 * @param ways `onKept` is called before Temporal knows of the order; awaited, so that the next command queues behind it.
 * `handOver` tells Temporal of what is kept for an agent
 */
export function hostOrders(
  custody: Custody,
  unanswered: UnansweredOrders,
  ways: { onKept: () => Promise<void>; handOver: (agentId: string) => Promise<unknown> },
): HostControl {
  const kept = async (agentId: string, ask: 'call' | 'callUntilAnswered'): Promise<Order | undefined> => {
    await unanswered.takeBack();
    return (await custody[ask]('orders', {})).orders.find(({ agent }) => agent === agentId);
  };

  async function keep(agent: string, verb: Order['verb']): Promise<void> {
    const before = await kept(agent, 'call');
    const at = new Date().toISOString();
    try {
      await custody.call('order', { agent, verb, at });
    } catch (error) {
      // What it has answered it has also done. Not awaited: who gave the order has waited long enough.
      if (codeOf(error) === 'CUSTODIAN_UNAVAILABLE') void unanswered.add(agent, at, before).catch(() => undefined);
      throw error;
    }
  }

  return {
    async order(agentId, verb, stop) {
      try {
        await keep(agentId, verb);
      } catch (error) {
        const message = `Cannot ${verb} ${agentId}: ${(error as Error).message}`;
        throw new CodedError('CUSTODIAN_UNAVAILABLE', message, {}, error);
      }
      // From here on it is an order, which comes about also if this fails: when it is handed over, at the latest.
      await custody
        .callUntilAnswered('custody', { agent: agentId })
        .then(({ fence }) =>
          custody.callUntilAnswered('stop', {
            agent: agentId,
            generation: fence,
            cause: 'operator',
            signal: stop.signal,
            grace_ms: stop.graceMs,
          }),
        )
        .catch(() => undefined);
      await ways.onKept();
    },

    async handOver(agentId) {
      if ((await kept(agentId, 'callUntilAnswered')) === undefined) return;
      let why: unknown;
      const told = ways.handOver(agentId).catch((error: unknown) => void (why = error));
      await Promise.race([told, delay(HAND_OVER_MS, undefined, { ref: false })]);
      const order = await kept(agentId, 'callUntilAnswered');
      if (order === undefined) return;
      const message = `The ${order.verb} of ${agentId} that was ordered at ${order.at} has not reached Temporal yet`;
      throw new CodedError('TEMPORAL_UNAVAILABLE', message, {}, why);
    },
  };
}

/** What the reconciliation reads and clears in custody. */
export function custodyRecords(
  custody: Pick<CustodyLink, 'call'>,
  unanswered: UnansweredOrders,
): ReconcilerOptions['custodian'] & OrderHandoverOptions['custodian'] {
  return {
    list: async () => (await custody.call('list', {})).entries,
    orders: async () => {
      await unanswered.takeBack();
      return (await custody.call('orders', {})).orders;
    },
    orderDone: async ({ agent, at }) => void (await custody.call('order_done', { agent, at })),
    forget: async (agent) => void (await custody.call('forget', { agent })),
  };
}
