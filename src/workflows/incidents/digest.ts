/**
 * The workflow `digest`: what quiet hours hold back on one channel, as one notice at their end. It is there as long as there
 * is something to tell; nothing of that is dropped.
 */
import {
  ApplicationFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { DeferRequest, IncidentActivities } from '../../contract/incident-activities.ts';
import { DEFER_SIGNAL, RECONSIDER_SIGNAL } from '../../contract/incident-messages.ts';
import { ORCHESTRATOR_QUEUE, STATUS_QUERY } from '../../contract/names.ts';
import {
  deferred,
  digestNotice,
  EMPTY_DIGEST,
  type DigestEntry,
  type DigestState,
} from '../../domain/incidents/digest.ts';
import { Alarm } from '../alarm.ts';
import { sendNotice } from './notices.ts';

const FIRST_ENTRY = '1 minute';
const AGAIN_MS = 15 * 60_000;
const MAX_EVENTS = 3_800;

const { planNotice, incidentStates, noticesTold } = proxyActivities<IncidentActivities>({
  taskQueue: ORCHESTRATOR_QUEUE,
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
});

/** @param given only counts in a run that continues another one */
export async function digest(given?: DigestState): Promise<void> {
  const { continuedFromExecutionRunId, runId, workflowId } = workflowInfo();
  const channel = workflowId.replace(/^digest\//, '');
  let state: DigestState = (continuedFromExecutionRunId === undefined ? undefined : given) ?? EMPTY_DIGEST;
  let isDue = false;
  setHandler(defineSignal<[DeferRequest]>(DEFER_SIGNAL), (request) => {
    const { notice, until_ms, channels } = request ?? {};
    if (typeof notice?.deliveryId !== 'string' || typeof notice.incidentId !== 'string') return;
    if (typeof until_ms !== 'number' || !Array.isArray(channels)) return;
    state = deferred(state, notice, until_ms, channels);
  });
  setHandler(defineSignal(RECONSIDER_SIGNAL), () => {
    isDue = true;
  });
  setHandler(defineQuery(STATUS_QUERY), () => state);

  const alarm = new Alarm(() => {
    isDue = true;
  });
  if (state.entries.length === 0 && !(await condition(() => state.entries.length > 0, FIRST_ENTRY))) {
    throw ApplicationFailure.nonRetryable(`There is nothing to tell on ${channel}`, 'INVALID_REQUEST');
  }
  while (state.entries.length > 0) {
    setCurrentDetails(detailsOf(state));
    alarm.set(state.untilMs, `${state.entries.length} incidents wait for the end of the quiet hours`);
    const { untilMs } = state;
    await condition(() => isDue || state.untilMs !== untilMs);
    if (!isDue) continue;
    isDue = false;
    await tell(runId);
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (state.entries.length > 0 && (continueAsNewSuggested || historyLength > MAX_EVENTS)) {
      await continueAsNew<typeof digest>(state);
    }
  }

  async function tell(run: string): Promise<void> {
    const severity = digestNotice(state.entries, {}).severity;
    const plan = await orNothing(planNotice({ severity }));
    // Another configuration counts now, or the clock was set.
    if (plan?.quiet && plan.quiet.until_ms > Date.now()) {
      state = { ...state, untilMs: plan.quiet.until_ms };
      return;
    }
    const entries = state.entries;
    const ids = entries.map(({ incidentId }) => incidentId);
    const now = (await orNothing(incidentStates({ incident_ids: ids }))) ?? {};
    const sent = state.sent + 1;
    state = { ...state, sent };
    const notice = { delivery_id: `digest/${channel}/${run.slice(-12)}.${sent}`, ...digestNotice(entries, now) };
    const data = { incidents: ids.map((id) => ({ incident_id: id, state: now[id] ?? null })) };
    // Channels that were taken out of the configuration meanwhile fail at once.
    const channels = plan && plan.channels.length > 0 ? plan.channels : state.channels;
    const outcomes: { channel: string; state: 'sent' | 'failed'; reason: string | null }[] = [];
    const isSent = await sendNotice(channels, { ...notice, data }, (outcome) => {
      if (outcome.state !== 'under_way') outcomes.push({ ...outcome, state: outcome.state });
    });
    if (isSent) state = without(state, entries);
    else {
      log.error('no channel has taken a digest; it is sent again later', { channel, title: notice.title });
      state = { ...state, untilMs: Date.now() + AGAIN_MS };
    }
    for (const { channel: name, state: outcome, reason } of outcomes) {
      await orNothing(noticesTold({ entries: entries.map(namesOf), channel: name, state: outcome, reason }));
    }
  }
}

const namesOf = ({ incidentId, about, deliveryIds }: DigestEntry) => ({ incidentId, about, deliveryIds });

/** What came in while it was being sent is told the next time. */
function without(state: DigestState, told: readonly DigestEntry[]): DigestState {
  const known = new Set(told.flatMap(({ deliveryIds }) => deliveryIds));
  return { ...state, entries: state.entries.filter(({ deliveryId }) => !known.has(deliveryId)) };
}

/** What an operator has failed by hand must not keep the rest from being told. */
async function orNothing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    log.warn('a call of a digest broke off', { error: String(error) });
    return undefined;
  }
}

const detailsOf = ({ entries, untilMs }: DigestState): string =>
  [
    `**${entries.length} incidents** wait until ${new Date(untilMs).toISOString()}`,
    '',
    ...entries.slice(-20).map(({ title }) => `- ${title}`),
  ].join('\n');
