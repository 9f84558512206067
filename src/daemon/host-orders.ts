import { CodedError } from '../contract/errors.ts';
import type { CustodyLink } from '../host/custody-link.ts';
import type { OrderHandoverOptions } from '../host/order-handover.ts';
import type { ReconcilerOptions } from '../host/reconciler.ts';
import type { HostControl } from '../service/host-control.ts';

/**
 * Stops without Temporal: the custodian keeps the order, then ends the process. While it keeps it, it starts nothing of that
 * agent, so the fence needs not be raised, and one that never ran has none.
 *
 * @param onKept called before Temporal knows of the order; awaited, so that the next command queues behind it
 */
export function hostOrders(custody: Pick<CustodyLink, 'call'>, onKept: () => Promise<void>): HostControl {
  return {
    async order(agentId, verb, stop) {
      try {
        await custody.call('order', { agent: agentId, verb });
        const { fence } = await custody.call('custody', { agent: agentId });
        await custody.call('stop', {
          agent: agentId,
          generation: fence,
          cause: 'operator',
          signal: stop.signal,
          grace_ms: stop.graceMs,
        });
        await onKept();
      } catch (error) {
        throw new CodedError(
          'CUSTODIAN_UNAVAILABLE',
          `Cannot ${verb} ${agentId}: ${(error as Error).message}`,
          {},
          error,
        );
      }
    },
  };
}

/** What the reconciliation reads and clears in custody. */
export function custodyRecords(
  custody: Pick<CustodyLink, 'call'>,
): ReconcilerOptions['custodian'] & OrderHandoverOptions['custodian'] {
  return {
    list: async () => (await custody.call('list', {})).entries,
    orders: async () => (await custody.call('orders', {})).orders,
    orderDone: async ({ agent, at }) => void (await custody.call('order_done', { agent, at })),
    forget: async (agent) => void (await custody.call('forget', { agent })),
  };
}
