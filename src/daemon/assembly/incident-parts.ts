/** Incidents and approvals: their service, what their workflows ask for, and the channels to people. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { channelProblem, notifierOf } from '../../adapters/notifiers/notifier-of.ts';
import type { LoadedConfig } from '../../config/config.ts';
import type { IncidentActivities } from '../../contract/incident-activities.ts';
import { incidentIdOfStall, type IncidentReport } from '../../contract/incident-view.ts';
import type { Events } from '../../custodian/protocol.ts';
import { isAgentId } from '../../domain/ids.ts';
import { NOBODY_TOLD } from '../../domain/incidents/escalation.ts';
import type { DeliveryNotes } from '../../ports/delivery-notes.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Notifier } from '../../ports/notifier.ts';
import type { RecordRow, Records } from '../../ports/records.ts';
import type { Roster } from '../../ports/roster.ts';
import type { LiveGeneration } from '../../service/caller.ts';
import { Deliveries } from '../../service/incidents/deliveries.ts';
import { Escalation } from '../../service/incidents/escalation.ts';
import { incidentActivities } from '../../service/incidents/incident-activities.ts';
import { IncidentUpkeep } from '../../service/incidents/incident-upkeep.ts';
import { IncidentWorkflows } from '../../service/incidents/incident-workflows.ts';
import { recordOf } from '../../service/incidents/known-incident.ts';
import { Incidents } from '../../service/incidents/incidents.ts';
import { untilFailStopTold } from '../../service/incidents/last-words.ts';
import type { Orchestrator } from '../../service/orchestrator.ts';
import type { TemporalLink } from '../../service/temporal-link.ts';
import type { Configuration } from '../configuration/configuration.ts';

export interface IncidentPartsOptions {
  client: Client;
  temporal: TemporalLink;
  roster: Roster & Records & DeliveryNotes;
  bus: MessageBus;
  configuration: Configuration;
  live: LiveGeneration;
  orchestrator: Orchestrator;
  /** Aborted when the daemon lets go. */
  ending: AbortSignal;
  /** For people, at the terminal and in the log. */
  tell: (message: string) => void;
  log: Logger;
}

/** For one call to Temporal. */
const CALL_MS = 5_000;

export class IncidentParts {
  readonly incidents: Incidents;
  readonly activities: IncidentActivities;
  readonly upkeep: IncidentUpkeep;
  readonly #options: IncidentPartsOptions;
  readonly #workflows: IncidentWorkflows;
  /** What was reported last, so that it is reported once. */
  #silence = '';
  #channels: ReadonlyMap<string, Notifier> = new Map();

  constructor(options: IncidentPartsOptions) {
    const { client, temporal: link, roster, bus, configuration, live, orchestrator, ending, log } = options;
    this.#options = options;
    const warn = (message: string, fields: Record<string, unknown>): void => log.warn(fields, message);
    const chief = (): string | null => configuration.current.chief;
    const settings = (): LoadedConfig['escalation'] => configuration.current.escalation;
    const workflows = new IncidentWorkflows({ client, link, timeoutMs: CALL_MS });
    const deliveries = new Deliveries({ channels: () => this.#channels, notes: roster, ending, warn });
    const escalation = new Escalation({ roster, settings, chief });
    this.#workflows = workflows;
    this.incidents = new Incidents({
      records: roster,
      workflows,
      live,
      chief,
      testNotice: (channel) => deliveries.test(channel),
    });
    this.activities = incidentActivities({
      incidents: this.incidents,
      workflows,
      escalation,
      deliveries,
      records: roster,
      roster,
      bus,
      orchestrator,
    });
    this.upkeep = new IncidentUpkeep({
      records: roster,
      roster,
      workflows,
      warn: (message, error) => log.warn({ err: error }, message),
    });
    this.use(configuration.current);
    roster.subscribeRecords((row) => this.#tellOfSilence(row));
  }

  /** Nobody can be reached: it goes to the terminal and the log instead. */
  #tellOfSilence(row: RecordRow): void {
    if (row.kind !== 'incident') return; // of a run there is no such history
    const record = recordOf(row);
    const last = record?.history.at(-1);
    if (last?.says !== NOBODY_TOLD) return;
    const news = `${row.id} ${last.at}`;
    if (this.#silence === news) return;
    this.#silence = news;
    this.#options.tell(
      `No channel has taken the notice of the incident ${row.id} (${record?.severity}): ${record?.summary}`,
    );
  }

  /** From now on this configuration counts. */
  use({ escalation }: LoadedConfig): void {
    const { tell, log } = this.#options;
    const known = [...this.#channels.keys()];
    this.#channels = new Map(escalation.channels.map((channel) => [channel.name, notifierOf(channel)]));
    for (const channel of escalation.channels) {
      const problem = channelProblem(channel);
      if (problem !== undefined) tell(problem);
    }
    // Their quiet hours may be others now.
    for (const name of new Set([...known, ...this.#channels.keys()])) {
      if (known.length === 0) break; // at a start their own timers hold
      this.#workflows.reconsider(name).catch((error: unknown) => log.warn({ err: error }, 'a digest was not told'));
    }
  }

  /** What other parts of the daemon have to say. What may be tried again has a `reportId`, and is counted once. */
  async report({ incident_id: given, ...report }: IncidentReport, reportId?: string): Promise<void> {
    const incidentId = given ?? `i-${randomUUID()}`;
    await this.incidents.reportOwn(incidentId, { ...report, report_id: reportId ?? randomUUID() });
  }

  /** A process survives SIGKILL: only the administrator of the machine can help. */
  stalled({ agent, generation, pid, kernel_state }: Events['stuck']): void {
    const { log } = this.#options;
    this.upkeep.stalled(agent);
    const report = {
      // Told every half minute, and counted once a process.
      report_id: `stall/${generation}/${pid}`,
      kind: 'stall',
      summary: `a process of generation ${generation} cannot be killed`,
      ...(isAgentId(agent) ? { agent_id: agent } : {}),
      value: `pid ${pid} in kernel state ${kernel_state}`,
      threshold: '2 s after SIGKILL',
      tried: 'SIGKILL: it lives on inside the kernel, mostly waiting for a disk',
      needed: 'manual work needed: look after the disk or file system that it waits for',
    } as const;
    this.incidents
      .reportOwn(incidentIdOfStall(agent), report)
      .catch((error: unknown) =>
        log.warn({ err: error, agent_id: agent }, 'a process that cannot be killed is not reported'),
      );
  }

  /** Waits until people have been notified why everything stops. */
  failStopTold(agentId: string): Promise<void> {
    return untilFailStopTold(this.#options.roster, agentId);
  }
}
