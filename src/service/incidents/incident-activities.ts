import { activityInfo, heartbeat } from '@temporalio/activity';
import { CodedError } from '../../contract/errors.ts';
import type {
  AskerRequest,
  ChiefRequest,
  IncidentActivities,
  IncidentNews,
} from '../../contract/incident-activities.ts';
import { isAgentId } from '../../domain/ids.ts';
import type { IncidentStatus } from '../../domain/incidents/incident-words.ts';
import { ADMIN_SENDER, DAEMON_SENDER } from '../../domain/messages/message.ts';
import { mailboxOf } from '../../domain/messages/queue-name.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Records } from '../../ports/records.ts';
import type { Roster } from '../../ports/roster.ts';
import type { Orchestrator } from '../orchestrator.ts';
import { executeApproved } from './approved-actions.ts';
import type { Deliveries } from './deliveries.ts';
import type { Escalation } from './escalation.ts';
import type { IncidentWorkflows } from './incident-workflows.ts';
import type { Incidents } from './incidents.ts';
import { recordOf } from './known-incident.ts';

export interface IncidentActivitiesDeps {
  incidents: Pick<Incidents, 'reportOwn' | 'overOwn'>;
  workflows: IncidentWorkflows;
  escalation: Escalation;
  deliveries: Deliveries;
  records: Records;
  roster: Pick<Roster, 'get'>;
  bus: Pick<MessageBus, 'send'>;
  orchestrator: Pick<Orchestrator, 'command'>;
}

/** How urgent the chief's mail is. */
const PRIORITY = { info: 4, warning: 7, critical: 9 } as const;
const DECISION_PRIORITY = 8;
/** Well within the time-out of `executeAction`. */
const BEAT_MS = 3_000;

/** What the workflows of incidents and digests ask for. */
export function incidentActivities(deps: IncidentActivitiesDeps): IncidentActivities {
  const { escalation, deliveries, workflows, orchestrator } = deps;
  return {
    reportIncident: (news) => reportIncident(deps, news),
    planEscalation: (request) => escalation.plan(request),
    tellChief: (request) => tellChief(deps, request),
    planNotice: async ({ severity }) => escalation.notice(severity),
    notify: (request) => deliveries.attempt(request, activityInfo().attempt),
    deferNotice: (request) => workflows.defer(request),
    incidentStates: ({ incident_ids }) => incidentStates(deps, incident_ids),
    async noticesTold({ entries, channel, state, reason }) {
      for (const { incidentId, deliveryIds } of entries) {
        for (const id of deliveryIds) await workflows.delivered(incidentId, { id, channel, state, reason });
      }
    },
    executeAction: (request) => beating(() => executeApproved(orchestrator, request, activityInfo().attempt)),
    tellAsker: (request) => tellAsker(deps, request),
    checkRecovery: ({ agent_id, stable_ms }) => escalation.recovery(agent_id, stable_ms),
  };
}

/** So that Temporal soon calls again what a daemon has taken with it into death. */
async function beating<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(heartbeat, BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

async function reportIncident({ incidents }: IncidentActivitiesDeps, news: IncidentNews): Promise<void> {
  if (news.kind === 'over') return incidents.overOwn(news.incident_id, news.note);
  return incidents.reportOwn(news.incident_id, news.report);
}

/** People are notified instead if the chief cannot be reached at once: a bus that is away must not silence everything. */
async function tellChief(
  { bus, roster }: IncidentActivitiesDeps,
  request: ChiefRequest,
): Promise<{ failure: string | null }> {
  const { chief, delivery_id, incident_id, about, severity, agent_id, is_approval, notice, data } = request;
  if ((await roster.get(chief)) === undefined) return { failure: `there is no agent ${chief}` };
  try {
    await bus.send([
      {
        queue: mailboxOf(chief),
        from: DAEMON_SENDER,
        type: is_approval ? 'APPROVAL_REQUEST' : 'ESCALATION',
        priority: PRIORITY[severity],
        correlationId: incident_id,
        idempotencyKey: delivery_id,
        payload: { incident_id, about, severity, agent_id, summary: notice.title, text: notice.text, incident: data },
      },
    ]);
    return { failure: null };
  } catch (error) {
    if (error instanceof CodedError) return { failure: error.message };
    throw error;
  }
}

/** Who is no agent reads it in the incident. @throws CodedError BUS_UNAVAILABLE, QUEUE_FULL: then it is tried again */
async function tellAsker(
  { bus, roster }: IncidentActivitiesDeps,
  request: AskerRequest,
): Promise<{ failure: string | null }> {
  const { asker, incident_id, message } = request;
  if (asker === DAEMON_SENDER || asker === ADMIN_SENDER || !isAgentId(asker)) return { failure: null };
  if ((await roster.get(asker)) === undefined) return { failure: `${asker} is no agent` };
  const { key, type, payload } = message;
  await bus.send([
    {
      queue: mailboxOf(asker),
      from: DAEMON_SENDER,
      type,
      priority: DECISION_PRIORITY,
      correlationId: incident_id,
      idempotencyKey: key,
      payload,
    },
  ]);
  return { failure: null };
}

async function incidentStates(
  { records }: IncidentActivitiesDeps,
  ids: readonly string[],
): Promise<Record<string, IncidentStatus>> {
  const states: Record<string, IncidentStatus> = {};
  for (const id of ids) {
    const record = recordOf(await records.getRecord('incident', id));
    if (record !== undefined) states[id] = record.state;
  }
  return states;
}
