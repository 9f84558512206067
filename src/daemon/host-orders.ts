import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, CodedError } from '../contract/errors.ts';
import type { Order } from '../custodian/protocol.ts';
import type { CustodyLink } from '../host/custody-link.ts';
import type { OrderHandoverOptions } from '../host/order-handover.ts';
import type { ReconcilerOptions } from '../host/reconciler.ts';
import type { HostControl } from '../service/host-control.ts';

/** A custodian that has not told its orders within it, or a Temporal that has not taken one, is away. */
const HAND_OVER_MS = 5_000;

type Custody = Pick<CustodyLink, 'call' | 'callUntilAnswered'>;

interface Unanswered {
  agent: string;
  at: string;
  before: Order | undefined;
}

/**
 * Orders that were refused because the custodian did not answer. It may keep them all the same: they are taken back as
 * soon as it answers again, before anybody reads what it keeps.
 */
export class UnansweredOrders {
  private readonly custody: Custody;
  private readonly open = new Set<Unanswered>();
  private underWay: Promise<void> | undefined;

  constructor(custody: Custody) {
    this.custody = custody;
  }

  get areOpen(): boolean {
    return this.open.size > 0;
  }

  async add(agent: string, at: string, before: Order | undefined): Promise<void> {
    this.open.add({ agent, at, before });
    await this.takeBack();
  }

  /** @throws CustodianError CUSTODIAN_UNAVAILABLE if it does not answer: then nobody can read its orders either */
  takeBack(): Promise<void> {
    this.underWay ??= this.takeAllBack().finally(() => (this.underWay = undefined));
    return this.underWay;
  }

  private async takeAllBack(): Promise<void> {
    for (const unanswered of this.open) {
      try {
        await this.takeOneBack(unanswered);
        this.open.delete(unanswered);
      } catch (error) {
        // Refused, on a full disk for instance: it is tried again, and the other agents' orders do not wait for it.
        if (codeOf(error) === 'CUSTODIAN_UNAVAILABLE') throw error;
      }
    }
  }

  private async takeOneBack({ agent, at, before }: Unanswered): Promise<void> {
    await this.custody.call('order_done', { agent, at });
    // It had taken the place of one that was accepted.
    if (before && !(await this.custody.call('orders', {})).orders.some((order) => order.agent === agent))
      await this.custody.call('order', before);
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
    // It has to answer again before anything can be taken back.
    if (unanswered.areOpen) await custody[ask]('orders', {});
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
      const unheard = delay(HAND_OVER_MS, 'unheard' as const, { ref: false });
      const first = await Promise.race([kept(agentId, 'callUntilAnswered'), unheard]);
      if (first === undefined) return;
      if (first === 'unheard') {
        const message = `The custodian has not told within ${HAND_OVER_MS} ms whether it keeps an order for ${agentId}`;
        throw new CodedError('CUSTODIAN_UNAVAILABLE', message);
      }
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
