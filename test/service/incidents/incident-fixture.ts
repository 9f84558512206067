import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openSqliteBus } from '../../../src/adapters/sqlite/bus.ts';
import { notifierOf } from '../../../src/adapters/notifiers/notifier-of.ts';
import { DEFAULT_ESCALATION, type ChannelSettings, type EscalationSettings } from '../../../src/contract/escalation.ts';
import type { IncidentView } from '../../../src/contract/incident-view.ts';
import { mailboxOf } from '../../../src/domain/messages/queue-name.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../../src/domain/messages/queue-settings.ts';
import type { MessageBus, StoredMessage } from '../../../src/ports/message-bus.ts';
import { Deliveries } from '../../../src/service/incidents/deliveries.ts';
import { Escalation } from '../../../src/service/incidents/escalation.ts';
import { incidentActivities } from '../../../src/service/incidents/incident-activities.ts';
import { IncidentUpkeep } from '../../../src/service/incidents/incident-upkeep.ts';
import { IncidentWorkflows } from '../../../src/service/incidents/incident-workflows.ts';
import { Incidents } from '../../../src/service/incidents/incidents.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, startLives, type Lives } from '../lives.ts';

/** Incidents with real workflows, records, a real bus and real channels; only the processes of agents are pretended. */
export interface IncidentFixture {
  lives: Lives;
  incidents: Incidents;
  workflows: IncidentWorkflows;
  upkeep: IncidentUpkeep;
  bus: MessageBus;
  settings: EscalationSettings;
  chief: { id: string | null };
  clock: { now: () => number };
  warnings: string[];
  /** From now on these are the channels, all of them for all. */
  channels(...channels: ChannelSettings[]): void;
  mailOf(agentId: string): Promise<StoredMessage[]>;
  untilIncident(
    id: string,
    wanted: (view: IncidentView) => boolean,
    what: string,
    deadlineMs?: number,
  ): Promise<IncidentView>;
  end(): Promise<void>;
}

export async function incidentFixture(options: { cli: string; bundle: string }): Promise<IncidentFixture> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-incidents-'));
  const warnings: string[] = [];
  const bus = await openSqliteBus(path.join(folder, 'bus.db'), {
    defaults: DEFAULT_QUEUE_SETTINGS,
    ageingMs: 30_000,
    deadLettersKeptMs: 3_600_000,
    topics: { keepCount: 100, keepMs: 3_600_000 },
    warn: (message) => void warnings.push(message),
  });
  const settings: EscalationSettings = { ...DEFAULT_ESCALATION };
  const chief: IncidentFixture['chief'] = { id: null };
  const clock = { now: Date.now };
  const fixture = { bus, settings, chief, clock, warnings } as unknown as IncidentFixture;
  const lives = await startLives({
    ...options,
    service: ({ orchestrator, roster, client, link }) => {
      const workflows = new IncidentWorkflows({ client, link: { reachable: () => link.up }, timeoutMs: 5_000 });
      const escalation = new Escalation({
        roster,
        settings: () => settings,
        chief: () => chief.id,
        now: () => clock.now(),
      });
      const deliveries = new Deliveries({
        channels: () => new Map(settings.channels.map((channel) => [channel.name, notifierOf(channel)])),
        notes: roster,
        ending: new AbortController().signal,
        warn: (message) => void warnings.push(message),
      });
      const incidents = new Incidents({
        records: roster,
        workflows,
        live: async (agentId) => lives.host.liveGeneration(agentId),
        chief: () => chief.id,
        testNotice: (channel) => deliveries.test(channel),
      });
      const warn = (message: string): void => void warnings.push(message);
      const upkeep = new IncidentUpkeep({ records: roster, roster, workflows, warn });
      Object.assign(fixture, { incidents, workflows, upkeep });
      const deps = { incidents, workflows, escalation, deliveries, records: roster, roster, bus, orchestrator };
      return incidentActivities(deps);
    },
  });
  return Object.assign(fixture, {
    lives,
    channels: (...channels: ChannelSettings[]): void => {
      const names = channels.map(({ name }) => name);
      Object.assign(settings, { channels, routes: { info: names, warning: names, critical: names } });
    },
    mailOf: (agentId: string) => bus.browse({ queue: mailboxOf(agentId), limit: 100 }),
    untilIncident: async (id: string, wanted: (view: IncidentView) => boolean, what: string, deadlineMs = 15_000) => {
      let last: IncidentView | undefined;
      const seen = async (): Promise<IncidentView | undefined> => {
        last = await fixture.incidents.get(ADMIN, id).catch(() => undefined);
        return last && wanted(last) ? last : undefined;
      };
      try {
        return await until(seen, { deadlineMs, what: `${id} ${what}` });
      } catch (error) {
        throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(last)}`, { cause: error });
      }
    },
    end: async () => {
      await fixture.upkeep.stop();
      await lives.end();
      await bus.close();
      await rm(folder, { recursive: true, force: true });
    },
  });
}
