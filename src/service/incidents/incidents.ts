import { createHash, randomUUID } from 'node:crypto';
import { CodedError } from '../../contract/errors.ts';
import type { NoticeTestResult } from '../../contract/incident-activities.ts';
import { incidentViewOf, type IncidentRecord } from '../../contract/incident-record.ts';
import { readReport, type IncidentVerb, type ReportMessage } from '../../contract/incident-messages.ts';
import type { IncidentReport, IncidentView } from '../../contract/incident-view.ts';
import { birth } from '../../domain/incidents/incident-reducer.ts';
import type { IncidentStatus, Severity } from '../../domain/incidents/incident-words.ts';
import { DAEMON_ID } from '../../domain/ids.ts';
import type { Records } from '../../ports/records.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import { senderOf } from '../messaging/known-agents.ts';
import { watchRecord } from '../record-watch.ts';
import { checkMayAct, checkMayReport, nameOf } from './incident-rights.ts';
import type { IncidentWorkflows } from './incident-workflows.ts';
import { checkTaken, incidentNotFound, recordOf, viewOf } from './known-incident.ts';

export interface IncidentsDeps {
  records: Records;
  workflows: IncidentWorkflows;
  live: LiveGeneration;
  /** Id of the agent that receives escalations. */
  chief: () => string | null;
  /** Sends a notice on a channel, or on each. @throws CodedError INVALID_REQUEST */
  testNotice: (channel: string | undefined) => Promise<NoticeTestResult[]>;
  /** How long a report may take to be in the records. @default 5000 */
  appearsWithinMs?: number;
}

export interface IncidentFilter {
  state?: IncidentStatus;
  severity?: Severity;
  agent_id?: string;
  /** Only those that were first published before this position. */
  before?: number;
  limit: number;
}

export interface Reported {
  /** False if it was open already. */
  created: boolean;
  /** False if the report is accepted and safe, but has not been dealt with yet. */
  settled: boolean;
  incident: IncidentView;
}

/** What somebody says to an incident. */
export interface Word {
  by?: string;
  note?: string;
}

type Act = Exclude<IncidentVerb, 'report'>;

const APPEARS_WITHIN_MS = 5_000;
const PAGE = 200;

/** Everything that can be asked of incidents and approvals. HTTP, and every other way in, only translates. */
export class Incidents {
  readonly #deps: IncidentsDeps;

  constructor(deps: IncidentsDeps) {
    this.#deps = deps;
  }

  /**
   * Reports an incident; the same `incident_id` is the same one.
   * @throws CodedError FORBIDDEN, INVALID_REQUEST, TEMPORAL_UNAVAILABLE
   */
  async report(call: Call, given: IncidentReport): Promise<Reported> {
    await admitCaller(call, this.#deps.live);
    checkMayReport(call.caller, given);
    const { incident_id = newIdOf(call), ...report } = given;
    const by = senderOf(call.caller);
    const report_id = call.once?.id ?? `${by}/${randomUUID()}`;
    return this.#report(incident_id, { ...report, by, report_id }, call.signal);
  }

  /** What the daemon itself has to say. @throws CodedError TEMPORAL_UNAVAILABLE */
  async reportOwn(incidentId: string, report: ReportMessage & { report_id: string }): Promise<void> {
    const known = await this.#known(incidentId);
    await this.#deps.workflows.report(incidentId, { ...report, by: DAEMON_ID }, known?.restore);
  }

  /** What the daemon itself has reported is over. @throws CodedError TEMPORAL_UNAVAILABLE */
  async overOwn(incidentId: string, note: string): Promise<void> {
    await this.#deps.workflows.resolve(incidentId, { by: DAEMON_ID, note });
  }

  /** The latest first. `next` is the `before` of the next page; null if there is none. */
  async list(call: Call, filter: IncidentFilter): Promise<{ incidents: IncidentView[]; next: number | null }> {
    await admitCaller(call, this.#deps.live);
    const { severity, limit, before: first, ...rest } = filter;
    const found: { position: number; view: IncidentView }[] = [];
    let before = first;
    for (let isLast = false; !isLast && found.length <= limit;) {
      const request = { ...rest, kind: 'incident' as const, limit: PAGE };
      const page = await this.#deps.records.listRecords(before === undefined ? request : { ...request, before });
      for (const row of page) {
        const record = recordOf(row);
        if (record === undefined || (severity !== undefined && record.severity !== severity)) continue;
        found.push({ position: row.position, view: viewOf(record) });
      }
      before = page.at(-1)?.position;
      isLast = page.length < PAGE;
    }
    const shown = found.slice(0, limit);
    return {
      incidents: shown.map(({ view }) => view),
      next: found.length > limit ? (shown.at(-1)?.position ?? null) : null,
    };
  }

  /** @throws CodedError INCIDENT_NOT_FOUND */
  async get(call: Call, incidentId: string): Promise<IncidentView> {
    await admitCaller(call, this.#deps.live);
    const record = recordOf(await this.#deps.records.getRecord('incident', incidentId));
    if (record === undefined) throw incidentNotFound(incidentId);
    return viewOf(record);
  }

  /**
   * Acknowledges, resolves, reopens, approves or rejects.
   * @throws CodedError INCIDENT_NOT_FOUND, FORBIDDEN, TEMPORAL_UNAVAILABLE; ALREADY_DECIDED with the decision that stands,
   * NOT_AN_APPROVAL
   */
  async act(call: Call, verb: Act, incidentId: string, word: Word): Promise<IncidentView> {
    await admitCaller(call, this.#deps.live);
    const { records, workflows, chief } = this.#deps;
    const record = recordOf(await records.getRecord('incident', incidentId));
    checkMayAct(call.caller, verb, { openedBy: record?.opened_by, chief: chief(), incidentId });
    const said = { by: nameOf(call.caller, word.by), ...(word.note === undefined ? {} : { note: word.note }) };
    const id = call.once?.id ?? randomUUID();
    const message = verb === 'approve' || verb === 'reject' ? { ...said, id, via: 'api' as const } : said;
    const ask = (): Promise<IncidentView | undefined> => workflows.update(incidentId, verb, message, id);
    const answer = await ask();
    if (answer !== undefined) return answer;
    // Its workflow has ended, as it should once all is over, or was lost.
    const known = await this.#known(incidentId);
    if (known === undefined) throw incidentNotFound(incidentId);
    const { restore } = known;
    if (restore.status !== 'resolved') {
      await workflows.restore(incidentId, restore);
      return (await ask()) ?? viewOf(known);
    }
    if (verb === 'reopen') return this.#reopen(incidentId, said, call.signal);
    if (verb === 'approve' || verb === 'reject') {
      const verdict = verb === 'approve' ? 'approved' : 'rejected';
      checkTaken(known, { kind: 'decide', verdict, via: 'api', id, by: said.by, note: null });
    }
    return viewOf(known);
  }

  /** Sends a notice now, whatever the hour. @throws CodedError INVALID_REQUEST for an unknown channel */
  async testNotice(call: Call, channel: string | undefined): Promise<NoticeTestResult[]> {
    await admitCaller(call, this.#deps.live);
    if (call.caller.kind !== 'admin') throw new CodedError('FORBIDDEN', 'Only the admin token may test the channels');
    return this.#deps.testNotice(channel);
  }

  /** As recorded; where the last news of a workflow that is done got lost, as that tells it. What is over begins no second time. */
  async #known(incidentId: string): Promise<IncidentRecord | undefined> {
    const { records, workflows } = this.#deps;
    const record = recordOf(await records.getRecord('incident', incidentId));
    if (record === undefined || record.state === 'resolved') return record;
    if ((await workflows.standing(incidentId)) !== 'completed') return record;
    const last = await workflows.lastRecord(incidentId);
    if (last !== undefined) await records.publishRecord(last);
    return recordOf(await records.getRecord('incident', incidentId));
  }

  async #report(
    incidentId: string,
    message: ReportMessage & { report_id: string },
    gone: AbortSignal | undefined,
  ): Promise<Reported> {
    const { records, workflows, appearsWithinMs = APPEARS_WITHIN_MS } = this.#deps;
    const { report_id, by = '' } = message;
    const event = { kind: 'report', id: report_id, by, report: readReport(message) } as const;
    const watch = await watchRecord(records, 'incident', incidentId);
    try {
      const known = await this.#known(incidentId);
      if (known !== undefined) checkTaken(known, event);
      await workflows.report(incidentId, message, known?.restore);
      const record = await watch.until(
        (row) => {
          const seen = recordOf(row);
          return seen?.restore.reports.includes(report_id) ? seen : undefined;
        },
        appearsWithinMs,
        gone,
      );
      if (record !== undefined) {
        return { created: record.restore.openedByReport === report_id, settled: true, incident: viewOf(record) };
      }
      // The report is with Temporal; it is what it will be, unless something else comes first.
      const incident = known ? viewOf(known) : incidentViewOf(birth(incidentId, '', event, Date.now()).state);
      return { created: known === undefined, settled: false, incident };
    } finally {
      watch.close();
    }
  }

  async #reopen(incidentId: string, said: Word & { by: string }, gone: AbortSignal | undefined): Promise<IncidentView> {
    const { records, workflows, appearsWithinMs = APPEARS_WITHIN_MS } = this.#deps;
    const watch = await watchRecord(records, 'incident', incidentId);
    try {
      const before = recordOf(watch.seen);
      if (before === undefined) throw incidentNotFound(incidentId);
      await workflows.reopen(incidentId, said, before.restore);
      const isOpen = (row: typeof watch.seen) => (row !== undefined && !row.done ? recordOf(row) : undefined);
      return viewOf((await watch.until(isOpen, appearsWithinMs, gone)) ?? before);
    } finally {
      watch.close();
    }
  }
}

/** The same request that comes again is the same incident. */
function newIdOf({ once }: Call): string {
  if (once === undefined) return `i-${randomUUID()}`;
  return `i-${createHash('sha256').update(once.id).digest('hex').slice(0, 32)}`;
}
