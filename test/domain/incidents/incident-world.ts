import { birth, dueAtMs, step } from '../../../src/domain/incidents/incident-reducer.ts';
import type {
  EscalationPlan,
  IncidentAnswer,
  IncidentEffect,
  IncidentEvent,
  IncidentState,
  IncidentStep,
  Report,
} from '../../../src/domain/incidents/incident-state.ts';

export const REPORT: Report = {
  kind: 'reported',
  severity: 'warning',
  summary: 'the disk is nearly full',
  agentId: 'w1',
  value: 'CPU 95 %',
  threshold: '90 %',
  tried: 'AutoHeal tried: failed',
  needed: 'manual work needed',
  details: null,
  proposal: null,
  stableMs: null,
};

export const PROPOSAL = {
  action: { command: 'restart', agent_id: 'w1' },
  reason: 'it leaks',
  risk: 'low',
  expiresInMs: null,
  onExpiry: 'keep',
} as const satisfies Report['proposal'];

export const TO_CHIEF: EscalationPlan = { rule: null, chief: { agentId: 'boss', ackMs: 300_000 }, why: null };
export const TO_PEOPLE: EscalationPlan = { rule: null, chief: null, why: 'the chief boss is down' };

type Of<Kind extends IncidentEffect['kind']> = Extract<IncidentEffect, { kind: Kind }>;

/** One incident, and what it has asked for so far. Tests carry out as much of that as they like. */
export class IncidentWorld {
  nowMs = 1_000_000_000;
  state: IncidentState;
  effects: IncidentEffect[] = [];
  answer: IncidentAnswer;
  private reports = 1;

  constructor(report: Partial<Report> = {}, by = 'w1') {
    const event = { kind: 'report', id: 'r1', by, report: { ...REPORT, ...report } } as const;
    const born = birth('disk', 'life', event, this.nowMs);
    this.state = born.state;
    this.answer = born.answer;
    this.take(born);
  }

  private take({ state, effects, answer }: IncidentStep): void {
    this.state = JSON.parse(JSON.stringify(state)) as IncidentState;
    this.effects.push(...effects);
    this.answer = answer;
  }

  send(event: IncidentEvent): this {
    this.take(step(this.state, event, this.nowMs));
    return this;
  }

  report(more: Partial<Report> = {}, by = 'w1', id = `r${(this.reports += 1)}`): this {
    return this.send({ kind: 'report', id, by, report: { ...REPORT, ...more } });
  }

  /** Answers the plan that was asked for last. */
  plan(plan: EscalationPlan): this {
    return this.send({ kind: 'planned', round: this.state.escalation.round, plan });
  }

  /** The chief has got what was for it. */
  chiefTold(failure: string | null = null): this {
    for (const effect of this.taken('tell-chief')) {
      const { round, id, chief, about } = effect;
      this.send({ kind: 'chief-told', round, id, chief, about, failure });
    }
    return this;
  }

  peopleTold(
    outcome: 'sent' | 'deferred' | 'failed' | 'no-channel' = 'sent',
    remindMs: number | null = 3_600_000,
  ): this {
    for (const { id, about } of this.taken('tell-people')) {
      this.send({ kind: 'people-told', id, about, outcome, remindMs });
    }
    return this;
  }

  decide(verdict: 'approved' | 'rejected', by = 'kim', id = `${verdict} by ${by}`): this {
    return this.send({ kind: 'decide', verdict, by, via: 'api', note: null, id });
  }

  /** Goes to when something is due, at most this far, and tells it. */
  advance(ms: number): this {
    const end = this.nowMs + ms;
    for (let due = dueAtMs(this.state); due !== null && due <= end; due = dueAtMs(this.state)) {
      this.nowMs = Math.max(this.nowMs, due);
      const before = JSON.stringify(this.state);
      this.send({ kind: 'time' });
      if (JSON.stringify(this.state) === before) throw new Error(`Nothing became of what was due at ${due}`);
    }
    this.nowMs = end;
    return this;
  }

  /** What was asked for of this kind and not taken yet. */
  taken<Kind extends IncidentEffect['kind']>(kind: Kind): Of<Kind>[] {
    const mine = this.effects.filter((effect): effect is Of<Kind> => effect.kind === kind);
    this.effects = this.effects.filter((effect) => effect.kind !== kind);
    return mine;
  }

  get history(): string {
    return this.state.history.map(({ says }) => says).join('\n');
  }
}
