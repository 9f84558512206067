/** Carries out the effects that the reducer of an incident returns. Each runs by itself and reports back with an event. */
import { log, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { AskerRequest, IncidentActivities, NoticePlan } from '../../contract/incident-activities.ts';
import { decisionViewOf, incidentViewOf } from '../../contract/incident-record.ts';
import { ORCHESTRATOR_QUEUE, summaryOf } from '../../contract/names.ts';
import type { IncidentEffect, IncidentEvent, IncidentState } from '../../domain/incidents/incident-state.ts';
import { describeAction } from '../../domain/incidents/incident-words.ts';
import { noticeOf } from '../../domain/incidents/notice.ts';
import type { Json } from '../../domain/messages/message.ts';
import type { IncidentLife } from './life.ts';
import { sendNotice } from './notices.ts';

const RETRY = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' } as const;
/** A command waits for what it asks for: as long as an agent may take to stop, and to start again. */
const EXECUTION_TIMEOUT = '10 minutes';
/** A daemon that dies meanwhile is missed after this, and the next one goes on. */
const EXECUTION_BEAT = '12s';
/** When to look again after a look that broke off. */
const LOOK_AGAIN_MS = 60_000;

type EffectOf<Kind extends IncidentEffect['kind']> = Extract<IncidentEffect, { kind: Kind }>;

export class IncidentEffects {
  private readonly life: IncidentLife;
  private open = 0;

  constructor(life: IncidentLife) {
    this.life = life;
  }

  /** True while nothing is under way. */
  get isIdle(): boolean {
    return this.open === 0;
  }

  perform(effects: readonly IncidentEffect[]): void {
    for (const effect of effects) this.detach(effect);
  }

  private detach(effect: IncidentEffect): void {
    const { state } = this.life;
    if (state === null) return;
    this.open += 1;
    // As it stands at this effect: what is told must not be what becomes of it later. An effect that throws is a defect.
    void this.carryOut(effect, state).then(() => (this.open -= 1));
  }

  private carryOut(effect: IncidentEffect, state: IncidentState): Promise<void> {
    switch (effect.kind) {
      case 'plan':
        return this.plan(effect, state);
      case 'tell-chief':
        return this.tellChief(effect, state);
      case 'tell-people':
        return this.tellPeople(effect, state);
      case 'tell-asker':
        return this.tellAsker(effect, state);
      case 'execute':
        return this.execute(effect, state);
      case 'check-recovery':
        return this.checkRecovery(effect);
    }
  }

  private async plan({ round }: EffectOf<'plan'>, state: IncidentState): Promise<void> {
    const { incidentId, kind, agentId, openedBy, proposal, decision } = state;
    const pending = proposal !== null && decision === null ? proposal : null;
    try {
      const plan = await activities('who is to be told').planEscalation({
        incident_id: incidentId,
        kind,
        agent_id: agentId,
        opened_by: openedBy,
        proposal: pending && { action: pending.action, risk: pending.risk },
      });
      this.report({ kind: 'planned', round, plan });
    } catch (error) {
      // Somebody failed it by hand: better told too early than never.
      const why = `it could not be found out who is to be told first (${messageOf(error)})`;
      this.report({ kind: 'planned', round, plan: { rule: null, chief: null, why } });
    }
  }

  private async tellChief(effect: EffectOf<'tell-chief'>, state: IncidentState): Promise<void> {
    const { round, id, chief, about } = effect;
    let failure: string | null;
    try {
      const answer = await activities(`${about} to ${chief}`).tellChief({
        delivery_id: id,
        incident_id: state.incidentId,
        chief,
        about,
        severity: state.severity,
        agent_id: state.agentId,
        is_approval: state.proposal !== null && state.decision === null,
        notice: noticeOf(state, about),
        data: viewData(state),
      });
      ({ failure } = answer);
    } catch (error) {
      failure = messageOf(error);
    }
    this.report({ kind: 'chief-told', round, id, chief, about, failure });
  }

  private async tellPeople({ id, about }: EffectOf<'tell-people'>, state: IncidentState): Promise<void> {
    const { severity } = state;
    const notice = noticeOf(state, about);
    const plan = await this.planNotice(state);
    const told = (outcome: Extract<IncidentEvent, { kind: 'people-told' }>['outcome']): void =>
      this.report({ kind: 'people-told', id, about, outcome, remindMs: plan.remind_ms });
    const [first] = plan.channels;
    if (first === undefined) return told('no-channel');
    if (plan.quiet !== null && severity !== 'critical' && (await this.defer(id, about, state, plan, plan.quiet))) {
      return told('deferred');
    }
    const whole = { delivery_id: id, severity, ...notice, data: viewData(state) };
    const isSent = await sendNotice(plan.channels, whole, (outcome) =>
      this.report({ kind: 'delivery', id, about, ...outcome }),
    );
    if (!isSent) log.error('no channel has taken a notice to people', { incident_id: state.incidentId, ...notice });
    told(isSent ? 'sent' : 'failed');
  }

  private async planNotice({ severity }: IncidentState): Promise<NoticePlan> {
    try {
      return await activities('which channels there are').planNotice({ severity });
    } catch (error) {
      log.warn('the channels are not known', { error: messageOf(error) });
      return { channels: [], quiet: null, remind_ms: LOOK_AGAIN_MS };
    }
  }

  /** @returns false if it could not be handed over: then people are disturbed rather than not told */
  private async defer(
    id: string,
    about: EffectOf<'tell-people'>['about'],
    state: IncidentState,
    { channels }: NoticePlan,
    quiet: NonNullable<NoticePlan['quiet']>,
  ): Promise<boolean> {
    const channel = channels[0] ?? '';
    const { incidentId, severity } = state;
    const notice = { deliveryId: id, incidentId, about, severity, ...noticeOf(state, about), atMs: Date.now() };
    // First, so that the digest's answer finds it.
    this.report({ kind: 'delivery', id, channel, about, state: 'deferred', attempts: 0, reason: quiet.says });
    try {
      const request = { channel, channels, until_ms: quiet.until_ms, notice };
      await activities(`deferred to the digest of ${channel}`).deferNotice(request);
      return true;
    } catch (error) {
      log.warn('a notice could not be deferred', { error: messageOf(error) });
      return false;
    }
  }

  private async tellAsker({ asker, what }: EffectOf<'tell-asker'>, state: IncidentState): Promise<void> {
    try {
      const { failure } = await activities(`${what} to ${asker}`).tellAsker({
        incident_id: state.incidentId,
        asker,
        message: messageToAsker(state, what),
      });
      if (failure !== null) log.warn('the asker was not told', { asker, failure });
    } catch (error) {
      log.warn('the asker was not told', { asker, error: messageOf(error) });
    }
  }

  private async execute({ action }: EffectOf<'execute'>, state: IncidentState): Promise<void> {
    const by = state.decision?.by ?? '';
    try {
      const options = { startToCloseTimeout: EXECUTION_TIMEOUT, heartbeatTimeout: EXECUTION_BEAT };
      const { ok, message } = await activities(`${describeAction(action)}, approved by ${by}`, options).executeAction({
        incident_id: state.incidentId,
        action,
        by,
        // Of this decision, and of no other of this incident.
        once: state.decision?.id ?? '',
      });
      this.report({ kind: 'executed', ok, message });
    } catch (error) {
      this.report({ kind: 'executed', ok: false, message: messageOf(error) });
    }
  }

  private async checkRecovery({ agentId, stableMs }: EffectOf<'check-recovery'>): Promise<void> {
    try {
      const request = { agent_id: agentId, stable_ms: stableMs };
      const { recovered, says, again_ms } = await activities(`has ${agentId} recovered?`).checkRecovery(request);
      this.report({ kind: 'recovery-checked', recovered, says, againMs: again_ms });
    } catch {
      this.report({ kind: 'recovery-checked', recovered: false, says: '', againMs: LOOK_AGAIN_MS });
    }
  }

  private report(event: IncidentEvent): void {
    this.life.queue.push({ event });
  }
}

function activities(what: string, options: Partial<ActivityOptions> = {}): IncidentActivities {
  return proxyActivities<IncidentActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    startToCloseTimeout: '30s',
    retry: RETRY,
    summary: summaryOf(what),
    ...options,
  });
}

function messageToAsker(state: IncidentState, what: EffectOf<'tell-asker'>['what']): AskerRequest['message'] {
  const { incidentId, proposal, decision, execution, resolved, life } = state;
  const action = (proposal?.action ?? null) as Json;
  // One life may see several proposals, and one proposal may be withdrawn several times.
  const key = `${incidentId}/${life}/${decision?.id ?? resolved?.atMs}/${what}`;
  if (what === 'executed') {
    const { state: outcome = 'failed', message = '' } = execution ?? {};
    return {
      key,
      type: 'CONTROL',
      payload: { event: 'approval_executed', incident_id: incidentId, action, state: outcome, message },
    };
  }
  const made = decision === null ? null : decisionViewOf(decision);
  return {
    key,
    type: 'APPROVAL_DECISION',
    payload: {
      incident_id: incidentId,
      decision: made?.verdict ?? 'withdrawn',
      action,
      by: made?.by ?? resolved?.by ?? '',
      at: made?.at ?? null,
      reason: made?.note ?? resolved?.reason ?? '',
    },
  };
}

/** The incident as the API shows it, without what only people read. */
function viewData(state: IncidentState): Json {
  const { deliveries: _deliveries, history: _history, ...view } = incidentViewOf(state);
  return view as unknown as Json;
}

const messageOf = (error: unknown): string => {
  const cause = (error as { cause?: unknown } | null)?.cause ?? error;
  return cause instanceof Error ? cause.message : String(cause);
};
