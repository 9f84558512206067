import { tickKeyOf, type TickActivities, type TickDelivery } from '../../contract/tick.ts';
import { DAEMON_SENDER, type Json } from '../../domain/messages/message.ts';
import { mailboxOf } from '../../domain/messages/queue-name.ts';
import { cronTopicOf } from '../../domain/messages/topic.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Roster } from '../../ports/roster.ts';

export interface TickDeliveryDeps {
  bus: Pick<MessageBus, 'send' | 'publish'>;
  roster: Pick<Roster, 'get'>;
  /** Whether the agent's workflow is open. */
  isOpen: (agentId: string) => Promise<boolean>;
}

/** Calls in mode `message`. Tried again, it is still one message and one event: both are named by the time that was meant. */
export function tickActivities({ bus, roster, isOpen }: TickDeliveryDeps): TickActivities {
  return {
    async deliverTick({ schedule_id, agent_id, scheduled_at, payload }: TickDelivery) {
      if ((await roster.get(agent_id)) === undefined) {
        // A roster that was lost is filled again in a moment: no call may be lost over that.
        if (await isOpen(agent_id)) throw new Error(`The roster does not know the agent ${agent_id} yet`);
        return { delivered: false, reason: `there is no agent ${agent_id}` };
      }
      const key = tickKeyOf(schedule_id, scheduled_at);
      const said: Json = { schedule_id, agent_id, scheduled_at, ...(payload === null ? {} : { payload }) };
      const queue = mailboxOf(agent_id);
      const [sent] = await bus.send([{ queue, from: DAEMON_SENDER, type: 'CRON', payload: said, idempotencyKey: key }]);
      await bus.publish({ topic: cronTopicOf(agent_id), from: DAEMON_SENDER, payload: said, key });
      const reason = sent?.duplicate
        ? 'it had been delivered already'
        : `message ${sent?.id} in the mailbox of ${agent_id}`;
      return { delivered: true, reason };
    },
  };
}
