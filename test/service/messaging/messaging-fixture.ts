import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openSqliteBus } from '../../../src/adapters/sqlite/bus.ts';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import { openSqliteState } from '../../../src/adapters/sqlite/state.ts';
import type { Decision } from '../../../src/contract/decision.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../../src/domain/fault-domains.ts';
import type { Json } from '../../../src/domain/messages/message.ts';
import type { Place } from '../../../src/domain/messages/queue-name.ts';
import { DEFAULT_QUEUE_SETTINGS, type QueueSettings } from '../../../src/domain/messages/queue-settings.ts';
import { Fleet } from '../../../src/host/fleet.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import type { ProcessFacts, Roster } from '../../../src/ports/roster.ts';
import type { StateStore } from '../../../src/ports/state-store.ts';
import type { Call } from '../../../src/service/caller.ts';
import type { Written } from '../../../src/service/messaging/messages.ts';
import { Messaging, type MessagingConfig } from '../../../src/service/messaging/messaging.ts';
import { viewOf } from '../../../src/service/view.ts';
import { rowOf } from '../rows.ts';

export const ADMIN: Call = { caller: { kind: 'admin' }, request_id: 'test' };

export const asAgent = (agent_id: string, generation = 1, signal?: AbortSignal): Call => ({
  caller: { kind: 'agent', agent_id, generation, may: { start: [] } },
  request_id: 'test',
  ...(signal === undefined ? {} : { signal }),
});

/** Messages over a real bus, state store and roster; of the agents there are only rows. */
export interface MessagingFixture {
  messaging: Messaging;
  bus: MessageBus;
  state: StateStore;
  roster: Roster;
  /** The live generation of each agent. */
  live: Map<string, number>;
  started: string[];
  /** What the next start of an agent fails with. */
  failure: { next: Error | undefined };
  warnings: string[];
  /** Makes or changes an agent. */
  agent(agentId: string, decided?: Partial<Decision>, seen?: Partial<ProcessFacts> | null): Promise<void>;
  /** Its workflow has closed. */
  deleted(agentId: string): Promise<void>;
  /** Another daemon on the same files, after `close`. */
  reopen(): Promise<void>;
  close(): Promise<void>;
  end(): Promise<void>;
}

export interface FixtureOptions {
  config?: MessagingConfig;
  defaults?: Partial<QueueSettings>;
  ageingMs?: number;
}

export async function messagingFixture(options: FixtureOptions = {}): Promise<MessagingFixture> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-messaging-'));
  const fixture = {
    live: new Map<string, number>(),
    started: [] as string[],
    failure: { next: undefined },
    warnings: [] as string[],
  } as unknown as MessagingFixture;
  let sequence = 1;
  let fleet: Fleet;

  async function open(): Promise<void> {
    const defaults = { ...DEFAULT_QUEUE_SETTINGS, ...options.defaults };
    const warn = (message: string): void => void fixture.warnings.push(message);
    fixture.roster = await openSqliteRoster(path.join(folder, 'roster.db'), { warn });
    fixture.bus = await openSqliteBus(path.join(folder, 'bus.db'), {
      defaults,
      ageingMs: options.ageingMs ?? 30_000,
      deadLettersKeptMs: 3600_000,
      topics: { keepCount: 1000, keepMs: 3600_000 },
      warn,
    });
    fixture.state = await openSqliteState(path.join(folder, 'state.db'), { warn });
    fleet = await Fleet.open(fixture.roster, () => BUILT_IN_FAULT_DOMAINS);
    fixture.messaging = new Messaging(
      {
        bus: fixture.bus,
        state: fixture.state,
        roster: fixture.roster,
        agents: fleet,
        live: (agentId) => fixture.live.get(agentId),
        view: (row) => viewOf(row, false),
        start: async (agentId) => {
          const { next } = fixture.failure;
          fixture.failure.next = undefined;
          if (next !== undefined) throw next;
          fixture.started.push(agentId);
        },
        defaults,
        warn: (message, fields) => void fixture.warnings.push(`${message} ${JSON.stringify(fields)}`),
      },
      options.config ?? { queues: {}, types: new Map() },
    );
    await fixture.messaging.open();
  }

  fixture.agent = async (agentId, decided = {}, seen = null) => {
    sequence += 1;
    const { decision } = rowOf({ agent_id: agentId, input: { agent_id: agentId }, sequence, ...decided });
    await fixture.roster.publish(decision);
    if (seen !== null) {
      const { process } = rowOf({ agent_id: agentId }, { generation: decision.generation, ...seen });
      await fixture.roster.recordProcess(agentId, process as ProcessFacts);
    }
    if (!fixture.live.has(agentId)) fixture.live.set(agentId, decision.generation);
  };
  fixture.deleted = async (agentId) => {
    sequence += 1;
    const transition = { sequence, at_ms: Date.now(), state: 'closed' as const, generation: 1, reason: 'deleted' };
    const { decision } = rowOf({
      agent_id: agentId,
      sequence,
      phase: { kind: 'closed', outcome: { kind: 'deleted' } },
      transitions: [transition],
    });
    fixture.live.delete(agentId);
    await fixture.roster.publish(decision);
  };
  fixture.close = async () => {
    await fixture.messaging.close();
    fleet.close();
    await Promise.all([fixture.bus.close(), fixture.state.close(), fixture.roster.close()]);
  };
  fixture.reopen = open;
  fixture.end = async () => {
    await fixture.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  };
  await open();
  return fixture;
}

export const ofAgent = (agentId: string): Place => ({ kind: 'agent', agentId });

export const text = (payload: Json, more: Partial<Written> = {}): Written => ({ type: 'TEXT', payload, ...more });
