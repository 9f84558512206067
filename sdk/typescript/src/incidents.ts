import { acknowledge, giveBack, type Answers } from './answers.ts';
import type { Daemon } from './daemon.ts';
import { DaemonError } from './daemon-error.ts';
import { pathOf as messagesOf, type Json, type Message } from './message.ts';

/** Between two looks at the incident, if nothing rings. */
const LOOK_MS = 20_000;
/** A report that was accepted may take a moment to be shown. */
const APPEARS_WITHIN_MS = 15_000;

export interface ReportOptions {
  /** The same id is the same incident: such as `disk-full`. @default a new one */
  incident_id?: string;
  /** @default 'warning' */
  severity?: 'info' | 'warning' | 'critical';
  /** Whom it is about. */
  agent_id?: string;
  /** What was seen, such as `CPU 95 %`. */
  value?: string;
  /** Which limit it passed, such as `90 %`. */
  threshold?: string;
  /** What was tried, and what came of it. */
  tried?: string;
  /** What is needed now. */
  needed?: string;
  details?: Json;
}

/** A command that the daemon carries out once it is approved; or a text: then the asker does it. */
export type ProposedAction = string | { command: 'start' | 'stop' | 'restart' | 'pause' | 'resume'; agent_id: string };
export type Risk = 'low' | 'medium' | 'high';

export interface ProposeOptions extends ReportOptions {
  /** A sentence for the list of incidents. @default what is proposed */
  summary?: string;
  /** Such as `"2h"`. @default it waits for ever */
  expires?: string;
  /** What becomes of it when its time (`expires`) has run out, and only with it; `keep`: it stays undecided. @default 'keep' */
  on_expiry?: 'keep' | 'approve' | 'reject';
}

/** An incident as the daemon shows it; see the daemon's docs/incidents.md for the other fields. */
export interface Incident {
  incident_id: string;
  severity: string;
  state: 'open' | 'acknowledged' | 'resolved';
  summary: string;
  agent_id: string | null;
  opened_by: string;
  acknowledged: { by: string; at: string } | null;
  resolved: { by: string; at: string; reason: string | null } | null;
  proposal: { action: ProposedAction; reason: string; risk: Risk; expires_at: string | null } | null;
  decision: { verdict: 'approved' | 'rejected'; by: string; via: string; at: string; note: string | null } | null;
  /** Of an approved command of the daemon. */
  execution: { state: 'pending' | 'done' | 'failed'; message: string } | null;
  [field: string]: unknown;
}

/** What has become of a proposal: the payload of `APPROVAL_DECISION`. */
export interface Decision {
  incident_id: string;
  /** `withdrawn`: it was resolved, and nobody has decided. */
  decision: 'approved' | 'rejected' | 'withdrawn';
  action: ProposedAction | null;
  /** A name, `rule <n>`, or `expiry`. */
  by: string;
  at: string | null;
  reason: string;
}

/** What somebody must know, and what somebody must decide. */
export class Incidents {
  private readonly daemon: Daemon;
  private readonly answers: Answers;
  private readonly agentId: string;

  constructor(daemon: Daemon, answers: Answers, agentId: string) {
    this.daemon = daemon;
    this.answers = answers;
    this.agentId = agentId;
  }

  /** Sent again after trouble, it is still one report. */
  report(body: ReportOptions & { summary: string; proposal?: unknown }): Promise<Incident> {
    return this.daemon.json('POST', '/incidents', { body, idempotencyKey: crypto.randomUUID() });
  }

  async propose(
    action: ProposedAction,
    reason: string,
    risk: Risk,
    { summary, expires, on_expiry, ...rest }: ProposeOptions,
  ): Promise<Incident> {
    const known = rest.incident_id === undefined ? undefined : await this.find(rest.incident_id);
    if (known?.proposal != null) return known;
    const what = typeof action === 'string' ? action : `${action.command} ${action.agent_id}`;
    return this.report({
      summary: summary ?? `${this.agentId} proposes: ${what}`,
      ...(typeof action === 'string' ? {} : { agent_id: action.agent_id }),
      ...rest,
      proposal: { action, reason, risk, ...(expires && { expires }), ...(on_expiry && { on_expiry }) },
    });
  }

  get(incidentId: string): Promise<Incident> {
    return this.daemon.json('GET', pathOf(incidentId));
  }

  act(verb: 'acknowledge' | 'resolve', incidentId: string, note: string | undefined): Promise<Incident> {
    const body = note === undefined ? {} : { note };
    return this.daemon.json('POST', `${pathOf(incidentId)}/${verb}`, { body });
  }

  /** The message to the asker rings; what is decided stands in the incident, also if that message was heard long ago. */
  async decision(incidentId: string, timeoutMs: number, stopping: AbortSignal): Promise<Decision> {
    stopping.throwIfAborted();
    const done = new AbortController();
    const cut = (): void => done.abort(stopping.reason);
    stopping.addEventListener('abort', cut);
    let hear: (message: Message) => void = () => undefined;
    const heard = new Promise<Decision>((resolve) => (hear = ({ payload }) => resolve(payload as unknown as Decision)));
    const close = this.answers.listen(incidentId, isDecision, hear);
    try {
      return await Promise.race([heard, this.look(incidentId, timeoutMs, done.signal)]);
    } finally {
      close();
      stopping.removeEventListener('abort', cut);
      done.abort();
    }
  }

  private async look(incidentId: string, timeoutMs: number, signal: AbortSignal): Promise<Decision> {
    const begun = performance.now();
    for (let after: string | null = null; ;) {
      const waitedMs = performance.now() - begun;
      const decided = await this.decided(incidentId, waitedMs < APPEARS_WITHIN_MS);
      if (decided !== undefined) {
        // Its message is of no use any more; one that stays goes to a handler.
        await this.clear(incidentId, signal).catch(() => undefined);
        return decided;
      }
      signal.throwIfAborted();
      const leftMs = Math.ceil(timeoutMs - waitedMs);
      if (leftMs <= 0)
        throw new DaemonError('REQUEST_TIMEOUT', `Nobody has decided ${incidentId} in time; it still waits`);
      const waitMs = Math.min(LOOK_MS, leftMs);
      const page: { messages: Message[]; next: string | null } = await this.daemon.json('GET', '/messages', {
        query: {
          queue: `@${this.agentId}`,
          correlation_id: incidentId,
          wait: `${waitMs}ms`,
          ...(after === null ? {} : { after }),
        },
        timeoutMs: waitMs + 10_000,
        retryForMs: leftMs,
        signal,
      });
      after = page.next;
    }
  }

  private async clear(incidentId: string, signal: AbortSignal): Promise<void> {
    const { messages } = await this.daemon.json<{ messages: Message[] }>('GET', messagesOf(this.agentId), {
      query: { correlation_id: incidentId, max: 10 },
      retryForMs: 0,
      signal,
    });
    for (const message of messages) {
      if (isDecision(message)) await acknowledge(this.daemon, this.agentId, message);
      else await giveBack(this.daemon, this.agentId, message);
    }
  }

  private async decided(incidentId: string, mayAppear: boolean): Promise<Decision | undefined> {
    const incident = mayAppear ? await this.find(incidentId) : await this.get(incidentId);
    if (incident === undefined) return undefined;
    const { decision: made, resolved, proposal } = incident;
    if (proposal === null) throw new DaemonError('NOT_AN_APPROVAL', `${incidentId} has no proposal to be decided`);
    const common = { incident_id: incidentId, action: proposal.action };
    if (made !== null) return { ...common, decision: made.verdict, by: made.by, at: made.at, reason: made.note ?? '' };
    if (resolved === null) return undefined;
    return { ...common, decision: 'withdrawn', by: resolved.by, at: null, reason: resolved.reason ?? '' };
  }

  private async find(incidentId: string): Promise<Incident | undefined> {
    try {
      return await this.get(incidentId);
    } catch (error) {
      if (error instanceof DaemonError && error.code === 'INCIDENT_NOT_FOUND') return undefined;
      throw error;
    }
  }
}

const pathOf = (incidentId: string): string => `/incidents/${encodeURIComponent(incidentId)}`;

const isDecision = ({ type, from }: Message): boolean => type === 'APPROVAL_DECISION' && from === '_daemon';
