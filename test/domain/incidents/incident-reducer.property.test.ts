import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { restored } from '../../../src/domain/incidents/incident-reducer.ts';
import type { Report } from '../../../src/domain/incidents/incident-state.ts';
import { IncidentWorld, PROPOSAL, TO_CHIEF, TO_PEOPLE } from './incident-world.ts';

const MINUTE = 60_000;

/** Looks, after every move, whether the promises hold. */
class Watched {
  readonly world: IncidentWorld;
  readonly decisions = new Set<string>();
  executions = 0;
  violations: string[] = [];
  private readonly onExpiry: string | undefined;
  /** Ids of the notices to people so far. */
  private readonly seen = new Set<string>();

  constructor(report: Partial<Report>) {
    this.world = new IncidentWorld(report);
    this.onExpiry = report.proposal?.onExpiry;
  }

  move(name: string, apply: (world: IncidentWorld) => void): void {
    const before = this.world.state;
    apply(this.world);
    const { state, effects } = this.world;
    const { decision } = state;
    // One that was over and is reported anew is another proposal.
    if (state.openedByReport !== before.openedByReport) {
      this.decisions.clear();
      this.executions = 0;
    }
    if (decision !== null) this.decisions.add(JSON.stringify(decision));
    if (this.decisions.size > 1) this.violations.push(`decided twice: ${[...this.decisions].join(' and ')}`);
    if (decision?.via === 'expiry' && this.onExpiry === 'keep') this.violations.push('its expiry has decided');
    if (decision?.via === 'rule') this.violations.push('a rule has decided that does not exist');
    this.executions += effects.filter(({ kind }) => kind === 'execute').length;
    if (this.executions > 1) this.violations.push('asked for twice');
    const news = effects.filter((effect) => effect.kind === 'tell-people' && !this.seen.has(effect.id));
    for (const effect of news) if (effect.kind === 'tell-people') this.seen.add(effect.id);
    const isReminded = news.some((effect) => effect.kind === 'tell-people' && effect.about === 'reminder');
    if (isReminded && state.status !== 'open') this.violations.push(`reminded although it is ${state.status}`);
    if (news.length > 0 && before.escalation.stage === 'chief') {
      const isTheirTurn =
        this.world.nowMs >= (before.escalation.dueMs ?? 0) ||
        before.told.people ||
        name === 'chiefFails' ||
        state.status === 'resolved';
      if (!isTheirTurn) this.violations.push(`${name} told people while the chief had time`);
    }
    this.world.effects = effects.filter(({ kind }) => kind === 'tell-chief' || kind === 'tell-people');
  }
}

type Move = { name: string; apply: (world: IncidentWorld) => void };
const constants: Record<string, (world: IncidentWorld) => void> = {
  planChief: (w) => w.plan(TO_CHIEF),
  planPeople: (w) => w.plan(TO_PEOPLE),
  planLate: (w) => w.send({ kind: 'planned', round: w.state.escalation.round - 1, plan: TO_PEOPLE }),
  chiefTold: (w) => w.chiefTold(),
  chiefFails: (w) => w.chiefTold('its mailbox is full'),
  peopleTold: (w) => w.peopleTold(),
  peopleNotTold: (w) => w.peopleTold('failed'),
  acknowledge: (w) => w.send({ kind: 'acknowledge', by: 'kim', note: null }),
  chiefAcknowledges: (w) => w.send({ kind: 'acknowledge', by: 'boss', note: null }),
  resolve: (w) => w.send({ kind: 'resolve', by: 'kim', note: null }),
  reopen: (w) => w.send({ kind: 'reopen', by: 'kim', note: null }),
  done: (w) => w.send({ kind: 'executed', ok: true, message: 'done' }),
  fails: (w) => w.send({ kind: 'executed', ok: false, message: 'failed' }),
  report: (w) => w.report(),
  worse: (w) => w.report({ severity: 'critical' }),
  again: (w) => w.report({}, 'w1', 'r1'),
  lost: (w) => {
    const { state, effects } = restored(w.state, `life${w.nowMs}`, w.nowMs);
    w.state = state;
    w.effects = effects;
  },
};
const move = fc.oneof(
  ...Object.entries(constants).map(([name, apply]) => fc.constant<Move>({ name, apply })),
  fc
    .tuple(fc.constantFrom('approved' as const, 'rejected' as const), fc.constantFrom('kim', 'lee', 'sam'))
    .map(([verdict, by]): Move => ({ name: verdict, apply: (w) => w.decide(verdict, by) })),
  fc
    .constantFrom(1, MINUTE, 5 * MINUTE, 60 * MINUTE)
    .map((ms): Move => ({ name: 'time', apply: (w) => w.advance(ms) })),
);
const proposal = fc.record({
  action: fc.constantFrom(PROPOSAL.action, 'a text'),
  reason: fc.constant('so'),
  risk: fc.constantFrom('low' as const, 'high' as const),
  expiresInMs: fc.constantFrom(null, 10 * MINUTE),
  onExpiry: fc.constantFrom('keep' as const, 'approve' as const, 'reject' as const),
});
const report = fc.record({
  proposal: fc.option(proposal),
  stableMs: fc.constantFrom(null, MINUTE),
}) as fc.Arbitrary<Partial<Report>>;
const story = fc.record({ report, moves: fc.array(move, { maxLength: 40, size: 'max' }) });

function play({ report: said, moves }: { report: Partial<Report>; moves: Move[] }): Watched {
  const watched = new Watched(said);
  for (const { name, apply } of moves) watched.move(name, apply);
  return watched;
}

describe('incident reducer', () => {
  it('decides once, asks once, and tells everybody in their turn', () => {
    fc.assert(
      fc.property(story, (s) => {
        expect(play(s).violations).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('stays as it is when a report comes again', () => {
    fc.assert(
      fc.property(story, (s) => {
        const { world } = play(s);
        const before = { ...world.state };
        for (const id of before.reports) world.report({}, 'w1', id);
        expect({ ...world.state, proposal: before.proposal }).toEqual({ ...before });
      }),
      { numRuns: 300 },
    );
  });

  it('stays within its bounds, and is plain JSON', () => {
    fc.assert(
      fc.property(story, (s) => {
        const { state } = play(s).world;
        expect(state.history.length).toBeLessThanOrEqual(50);
        expect(state.deliveries.length).toBeLessThanOrEqual(50);
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
      }),
      { numRuns: 300 },
    );
  });

  it('never forgets to tell: open, somebody is being told, or will be, or has been', () => {
    fc.assert(
      fc.property(story, (s) => {
        const { world } = play(s);
        const { status, escalation, told, execution } = world.state;
        if (status !== 'open' || execution?.state === 'pending') return;
        const asked = world.effects.length > 0 || escalation.stage === 'planning';
        const heard = told.chief !== null || told.people;
        expect([asked || heard || escalation.dueMs !== null, escalation.stage]).toEqual([true, expect.anything()]);
        expect(escalation.stage).not.toBe('none');
      }),
      { numRuns: 500 },
    );
  });
});
