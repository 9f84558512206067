/** Messages and state in the daemon: put together with what they need of the others, and what the others need of them. */
import type { Logger } from 'pino';
import { RUNS_QUEUE } from '../../contract/run-workflow.ts';
import { declaredTypesOf } from '../../config/message-types.ts';
import type { LoadedConfig } from '../../config/config.ts';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import type { Fleet } from '../../host/fleet.ts';
import type { Roster } from '../../ports/roster.ts';
import type { LiveGeneration } from '../../service/caller.ts';
import { Messaging, type MessagingConfig } from '../../service/messaging/messaging.ts';
import type { Orchestrator } from '../../service/orchestrator.ts';
import { viewOf } from '../../service/view.ts';
import type { MessageStores } from './message-stores.ts';

export interface MessagingPartsOptions {
  stores: Pick<MessageStores, 'bus' | 'state'>;
  config: LoadedConfig;
  roster: Roster;
  fleet: Fleet;
  live: LiveGeneration;
  orchestrator: () => Pick<Orchestrator, 'command'>;
  log: Logger;
}

export function createMessaging(options: MessagingPartsOptions): Messaging {
  const { stores, config, roster, fleet, live, orchestrator, log } = options;
  return new Messaging(
    {
      ...stores,
      roster,
      agents: fleet,
      live,
      view: (row) => viewOf(row, false),
      start: async (agentId) => {
        const call = { caller: { kind: 'admin' }, request_id: 'wake-on-message' } as const;
        await orchestrator().command(call, 'start', agentId, { waitMs: 0 });
        log.info({ agent_id: agentId }, 'an agent is started for its mail');
      },
      defaults: config.messaging.defaults,
      warn: (message, fields) => log.warn(fields, message),
    },
    messagingConfig(config),
  );
}

export const messagingConfig = ({ messaging }: LoadedConfig): MessagingConfig => ({
  queues: { ...messaging.queues, [RUNS_QUEUE]: { members: [], settings: answersOf(messaging.defaults) } },
  types: declaredTypesOf(messaging.types),
});

/** Answers to the tasks of runs wait for as long as Temporal is away. */
const answersOf = (defaults: QueueSettings): QueueSettings => ({ ...defaults, maxAttempts: 1_000_000, ttlMs: null });
