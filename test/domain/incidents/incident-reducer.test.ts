import { describe, expect, it } from 'vitest';
import { dueAtMs, restored } from '../../../src/domain/incidents/incident-reducer.ts';
import { IncidentWorld, PROPOSAL, TO_CHIEF, TO_PEOPLE } from './incident-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('escalation', () => {
  it('tells the chief first, and people when it has let its time pass', () => {
    const world = new IncidentWorld().plan(TO_CHIEF);
    expect(world.taken('tell-people')).toEqual([]);
    world.chiefTold().advance(5 * MINUTE - 1);
    expect(world.taken('tell-people')).toEqual([]);
    world.advance(1);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'opened' }]);
    expect(world.state.escalation.why).toBe('the chief boss has not acknowledged it in time');
  });

  it('leaves people in peace when the chief acknowledges in time', () => {
    const world = new IncidentWorld()
      .plan(TO_CHIEF)
      .chiefTold()
      .advance(4 * MINUTE);
    world.send({ kind: 'acknowledge', by: 'boss', note: 'on it' }).advance(48 * HOUR);
    expect(world.state).toMatchObject({ status: 'acknowledged', acknowledged: { by: 'boss' } });
    expect(world.taken('tell-people')).toEqual([]);
    expect(dueAtMs(world.state)).toBeNull();
    expect(world.history).toContain('acknowledged by boss: on it');
  });

  it('an acknowledgement while it is being planned ends it, too', () => {
    const world = new IncidentWorld().send({ kind: 'acknowledge', by: 'kim', note: null }).plan(TO_CHIEF);
    expect([world.taken('tell-chief'), world.taken('tell-people')]).toEqual([[], []]);
  });

  it('tells people at once, and why, where the chief cannot be told', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE);
    expect(world.taken('tell-chief')).toEqual([]);
    expect(world.taken('tell-people')).toHaveLength(1);
    expect(world.history).toContain('people are told: the chief boss is down');
    const failed = new IncidentWorld().plan(TO_CHIEF).chiefTold('its mailbox is full');
    expect(failed.taken('tell-people')).toHaveLength(1);
    expect(failed.state.escalation.why).toBe('the chief boss could not be told: its mailbox is full');
    expect(failed.state.deliveries).toMatchObject([{ channel: 'chief', state: 'failed' }]);
  });

  it('reminds people until somebody acknowledges', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold().advance(HOUR);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'reminder' }]);
    world.send({ kind: 'people-told', id: 'x', about: 'reminder', outcome: 'deferred', remindMs: HOUR }).advance(HOUR);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'reminder' }]);
    world.send({ kind: 'acknowledge', by: 'kim', note: null }).advance(100 * HOUR);
    expect(world.taken('tell-people')).toEqual([]);
  });

  it('does not remind where the configuration says never, but tries again what has failed', () => {
    const world = new IncidentWorld()
      .plan(TO_PEOPLE)
      .peopleTold('sent', null)
      .advance(1000 * HOUR);
    expect(world.taken('tell-people')).toEqual([]);
    const failed = new IncidentWorld()
      .plan(TO_PEOPLE)
      .peopleTold('failed', null)
      .advance(15 * MINUTE);
    expect(failed.taken('tell-people')).toMatchObject([{ about: 'opened' }]);
    expect(failed.history).toContain('no channel has taken the notice');
  });

  it('says once that there is nobody to tell, and goes on looking', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold('no-channel').advance(HOUR).peopleTold('no-channel');
    expect(world.state.deliveries).toMatchObject([{ channel: 'people', state: 'skipped' }]);
    expect(dueAtMs(world.state)).not.toBeNull();
  });

  it('is told of its end who has heard of it, and nobody else', () => {
    const unheard = new IncidentWorld().plan(TO_CHIEF).chiefTold();
    unheard.send({ kind: 'resolve', by: 'boss', note: null });
    expect([unheard.taken('tell-chief'), unheard.taken('tell-people')]).toEqual([[], []]);
    const heard = new IncidentWorld()
      .plan(TO_CHIEF)
      .chiefTold()
      .advance(5 * MINUTE)
      .peopleTold();
    heard.send({ kind: 'resolve', by: 'kim', note: 'by hand' });
    expect(heard.taken('tell-chief')).toMatchObject([{ about: 'resolved', chief: 'boss' }]);
    expect(heard.taken('tell-people')).toMatchObject([{ about: 'resolved' }]);
    expect(heard.state.resolved).toMatchObject({ by: 'kim', reason: 'by hand' });
  });

  it('is told of its end also when that comes while people are only just being told', () => {
    const world = new IncidentWorld().plan(TO_CHIEF).advance(5 * MINUTE);
    world.send({ kind: 'resolve', by: 'kim', note: null });
    expect([world.taken('tell-people').length, world.taken('tell-chief').length]).toEqual([1, 1]);
    world.send({ kind: 'people-told', id: 'd', about: 'opened', outcome: 'sent', remindMs: null });
    expect(world.taken('tell-people')).toMatchObject([{ about: 'resolved' }]);
    const told = { kind: 'chief-told', round: 1, id: 'c', chief: 'boss', about: 'opened', failure: null } as const;
    world.send(told);
    expect(world.taken('tell-chief')).toMatchObject([{ about: 'resolved' }]);
    world.send({ ...told, about: 'resolved' });
    expect(world.taken('tell-chief')).toEqual([]);
  });

  it('keeps what each channel has made of a notice; one that was sent stays sent', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE);
    const row = { kind: 'delivery', id: 'd1', about: 'opened', reason: null } as const;
    world.send({ ...row, channel: 'ops', state: 'under_way', attempts: 0 });
    world.send({ ...row, channel: 'ops', state: 'failed', attempts: 1, reason: '404' });
    world.send({ ...row, channel: 'phone', state: 'sent', attempts: 2 });
    world.send({ ...row, channel: 'phone', state: 'failed', attempts: 3 });
    expect(world.state.deliveries).toMatchObject([
      { channel: 'ops', state: 'failed', attempts: 1, reason: '404' },
      { channel: 'phone', state: 'sent', attempts: 2 },
    ]);
  });
});

describe('reports', () => {
  it('count once a report, and are told once an incident', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold();
    world.report({ value: 'CPU 97 %' }).report().report({}, 'w1', 'r2');
    expect(world.state.count).toBe(3);
    expect([world.taken('tell-people'), world.taken('plan')]).toMatchObject([[], [{ round: 1 }]]);
  });

  it('that are worse are told anew, also after an acknowledgement', () => {
    const world = new IncidentWorld().plan(TO_CHIEF).chiefTold();
    world.send({ kind: 'acknowledge', by: 'boss', note: null });
    world.report({ severity: 'critical', summary: 'the disk is full', kind: 'give_up' });
    expect(world.state).toMatchObject({ status: 'open', severity: 'critical', kind: 'give_up', acknowledged: null });
    world.plan(TO_CHIEF);
    expect(world.taken('tell-chief')).toMatchObject([{ about: 'updated' }]);
    world.report({ severity: 'info' });
    expect(world.state.severity).toBe('critical');
  });

  it('that are worse do not put off what people are owed', () => {
    const world = new IncidentWorld()
      .plan(TO_CHIEF)
      .chiefTold()
      .advance(4 * MINUTE);
    world.report({ severity: 'critical' }).plan(TO_CHIEF).chiefTold().advance(MINUTE);
    expect(world.taken('tell-people')).toHaveLength(1);
  });

  it('that are worse reach people at once who know of it already', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold();
    world.report({ severity: 'critical' }).plan(TO_CHIEF);
    expect(world.taken('tell-chief')).toHaveLength(1);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'updated' }]);
  });

  it('of what is resolved open it again', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold();
    world.send({ kind: 'resolve', by: 'kim', note: null }).peopleTold().advance(HOUR).report();
    expect(world.state).toMatchObject({ status: 'open', count: 2, resolved: null, openedAtMs: world.nowMs });
    expect(world.state.deliveries.length).toBe(new Set(world.state.deliveries.map(({ id }) => id)).size);
    world.plan(TO_PEOPLE);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'opened' }]);
  });

  it('reopen escalates anew and keeps what was', () => {
    const world = new IncidentWorld().plan(TO_PEOPLE).peopleTold();
    world.send({ kind: 'reopen', by: 'kim', note: null });
    expect(world.state.status).toBe('open');
    world.send({ kind: 'resolve', by: 'kim', note: null }).send({ kind: 'reopen', by: 'kim', note: 'not so' });
    expect(world.state).toMatchObject({ status: 'open', count: 1, resolved: null });
    world.peopleTold().plan(TO_PEOPLE);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'updated' }]);
    expect(world.history).toContain('reopened by kim: not so');
  });

  it('of an agent that recovers end it', () => {
    const world = new IncidentWorld({ stableMs: MINUTE, kind: 'failures' }).plan(TO_CHIEF).advance(MINUTE + 500);
    expect(world.taken('check-recovery')).toEqual([{ kind: 'check-recovery', agentId: 'w1', stableMs: MINUTE }]);
    world.send({ kind: 'recovery-checked', recovered: false, says: '', againMs: 30_000 }).advance(30_000);
    expect(world.taken('check-recovery')).toHaveLength(1);
    world.send({ kind: 'recovery-checked', recovered: true, says: 'w1 has run for 1 min', againMs: 0 });
    expect(world.state).toMatchObject({ status: 'resolved', resolved: { by: '_daemon' } });
  });
});

describe('approvals', () => {
  const ask = (more = {}): IncidentWorld =>
    new IncidentWorld({ proposal: { ...PROPOSAL, ...more } }, 'w2').plan({
      ...TO_CHIEF,
      why: 'only a person can decide',
    });

  it('are told to people at once, and to the chief as well', () => {
    const world = ask();
    expect(world.taken('tell-chief')).toHaveLength(1);
    expect(world.taken('tell-people')).toHaveLength(1);
  });

  it('are decided once: whoever comes later hears who has decided, and when', () => {
    const world = ask().decide('approved');
    expect(world.answer).toEqual({ kind: 'taken' });
    world.decide('rejected', 'lee');
    expect(world.answer).toMatchObject({ kind: 'refused', code: 'ALREADY_DECIDED' });
    expect(world.answer).toMatchObject({
      message: expect.stringMatching(/^disk was approved by kim at 1970-01-12T/) as string,
    });
    world.decide('approved');
    expect(world.answer).toEqual({ kind: 'taken' });
    expect(world.taken('execute')).toEqual([{ kind: 'execute', action: PROPOSAL.action }]);
    expect(world.taken('tell-asker')).toEqual([{ kind: 'tell-asker', asker: 'w2', what: 'decided' }]);
  });

  it('that are carried out are over; people who know of it hear the outcome', () => {
    const world = ask().chiefTold().peopleTold().decide('approved');
    expect(world.state).toMatchObject({ status: 'open', execution: { state: 'pending' } });
    world.send({ kind: 'executed', ok: true, message: 'w1 is running' });
    expect(world.state).toMatchObject({ status: 'resolved', execution: { state: 'done', message: 'w1 is running' } });
    expect(world.taken('tell-people')).toMatchObject([{ about: 'decided' }]);
    expect(world.taken('tell-asker').map(({ what }) => what)).toEqual(['decided', 'executed']);
  });

  it('that cannot be carried out need a person', () => {
    const world = ask().decide('approved').send({ kind: 'executed', ok: false, message: 'There is no agent w1' });
    expect(world.state).toMatchObject({
      status: 'open',
      execution: { state: 'failed' },
      needed: 'manual intervention needed',
      tried: 'restart w1, approved by kim: failed (There is no agent w1)',
    });
    world.plan(TO_PEOPLE);
    expect(world.taken('tell-people').at(-1)).toMatchObject({ about: 'updated' });
    world.send({ kind: 'executed', ok: true, message: 'late' });
    expect(world.state.execution?.state).toBe('failed');
  });

  it('that are rejected, or only a text, are over at once', () => {
    const rejected = ask().decide('rejected');
    expect(rejected.state).toMatchObject({ status: 'resolved', execution: null, resolved: { reason: 'rejected' } });
    const text = ask({ action: 'buy a larger disk' }).decide('approved');
    expect([text.state.status, text.taken('execute')]).toEqual(['resolved', []]);
  });

  it('stay pending for ever where nothing else is said', () => {
    const world = ask()
      .chiefTold()
      .peopleTold('sent', null)
      .advance(100_000 * HOUR);
    expect(world.state).toMatchObject({ status: 'open', decision: null });
    const kept = ask({ expiresInMs: HOUR })
      .chiefTold()
      .peopleTold('sent', null)
      .advance(100 * HOUR);
    expect(kept.state).toMatchObject({ status: 'open', decision: null, proposal: { over: true } });
    expect(kept.taken('tell-people')).toMatchObject([{ about: 'reminder' }]);
    expect(kept.decide('approved').answer).toEqual({ kind: 'taken' });
  });

  it.each([
    ['approve', 'approved', ['execute']],
    ['reject', 'rejected', []],
  ] as const)('%s on expiry where they say so', (onExpiry, verdict, kinds) => {
    const world = ask({ expiresInMs: HOUR, onExpiry }).chiefTold().peopleTold().advance(HOUR);
    expect(world.state.decision).toMatchObject({ verdict, by: 'expiry', via: 'expiry' });
    expect(world.taken('execute').map(({ kind }) => kind)).toEqual(kinds);
  });

  it('that have run out are decided by that, also when somebody decides before the timer has fired', () => {
    const world = ask({ expiresInMs: HOUR, onExpiry: 'reject' });
    world.nowMs += HOUR;
    world.decide('approved');
    expect(world.state.decision).toMatchObject({ verdict: 'rejected', via: 'expiry' });
    expect(world.answer).toMatchObject({ code: 'ALREADY_DECIDED' });
  });

  it('are not carried out for their time against a rejection or withdrawal that is found with it', () => {
    const rejected = ask({ expiresInMs: HOUR, onExpiry: 'approve' });
    rejected.nowMs += HOUR;
    rejected.decide('rejected').send({ kind: 'time' });
    expect(rejected.state).toMatchObject({ status: 'resolved', decision: { verdict: 'rejected', by: 'kim' } });
    expect([rejected.taken('execute'), rejected.answer.kind]).toEqual([[], 'taken']);
    const withdrawn = ask({ expiresInMs: HOUR, onExpiry: 'approve' });
    withdrawn.nowMs += HOUR;
    withdrawn.send({ kind: 'resolve', by: 'w2', note: null }).send({ kind: 'time' });
    expect(withdrawn.state).toMatchObject({ status: 'resolved', decision: null });
    expect(withdrawn.taken('execute')).toEqual([]);
    // Once it has expired it is decided.
    const late = ask({ expiresInMs: HOUR, onExpiry: 'approve' }).advance(HOUR).decide('rejected');
    expect([late.state.decision?.by, late.answer]).toMatchObject(['expiry', { code: 'ALREADY_DECIDED' }]);
  });

  it('are approved by a rule, and nobody is told', () => {
    const world = new IncidentWorld({ proposal: PROPOSAL }).plan({ ...TO_CHIEF, rule: 2 });
    expect(world.state.decision).toMatchObject({ verdict: 'approved', by: 'rule 2', via: 'rule' });
    expect([world.taken('execute'), world.taken('tell-people')]).toMatchObject([[{}], []]);
  });

  it('do not change under the eyes of whoever decides', () => {
    const world = ask();
    world.report({ summary: 'harmless', proposal: { ...PROPOSAL, action: { command: 'stop', agent_id: 'bank' } } });
    expect(world.answer).toMatchObject({ kind: 'refused', code: 'INVALID_REQUEST' });
    world.report({ summary: 'harmless' });
    expect(world.state).toMatchObject({ summary: 'the disk is nearly full', count: 2 });
    expect(new IncidentWorld().report({ proposal: PROPOSAL }).answer).toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it('that are withdrawn are not decided; the asker hears of it', () => {
    const world = ask().send({ kind: 'resolve', by: 'kim', note: null });
    expect(world.taken('tell-asker')).toEqual([{ kind: 'tell-asker', asker: 'w2', what: 'withdrawn' }]);
    expect(world.decide('approved').answer).toMatchObject({ code: 'ALREADY_DECIDED' });
    expect(world.state.decision).toBeNull();
    world.send({ kind: 'reopen', by: 'kim', note: null }).decide('approved');
    expect(world.state.decision).toMatchObject({ verdict: 'approved' });
  });

  it('that are reopened after their time has run out wait for a person', () => {
    const world = ask({ expiresInMs: HOUR, onExpiry: 'approve' }).send({ kind: 'resolve', by: 'w2', note: null });
    world
      .advance(2 * HOUR)
      .send({ kind: 'reopen', by: 'kim', note: null })
      .advance(HOUR);
    expect(world.state).toMatchObject({ status: 'open', decision: null });
  });

  it('cannot be acknowledged away by the chief', () => {
    const world = ask().chiefTold().peopleTold().send({ kind: 'acknowledge', by: 'boss', note: null });
    expect(world.state.status).toBe('open');
    world.advance(HOUR);
    expect(world.taken('tell-people')).toMatchObject([{ about: 'reminder' }]);
    expect(world.send({ kind: 'acknowledge', by: 'kim', note: null }).state.status).toBe('acknowledged');
  });

  it('are only what has a proposal', () => {
    expect(new IncidentWorld().decide('approved').answer).toMatchObject({ kind: 'refused', code: 'NOT_AN_APPROVAL' });
  });
});

describe('restored', () => {
  it('waits on for a decision, with its time to decide', () => {
    const proposal = { ...PROPOSAL, expiresInMs: HOUR, onExpiry: 'reject' } as const;
    const world = new IncidentWorld({ proposal }).plan(TO_PEOPLE).peopleTold();
    const { state } = restored(world.state, 'life2', world.nowMs);
    expect(state).toMatchObject({ status: 'open', decision: null, life: 'life2' });
    expect(dueAtMs(state)).toBe(world.nowMs + HOUR);
  });

  it('does not carry out again what may have been carried out', () => {
    const world = new IncidentWorld({ proposal: PROPOSAL }).plan(TO_PEOPLE).decide('approved');
    const { state, effects } = restored(world.state, 'life2', world.nowMs);
    expect(state.execution).toMatchObject({ state: 'failed' });
    expect(effects.map(({ kind }) => kind)).not.toContain('execute');
  });

  it('goes on telling where it was', () => {
    const world = new IncidentWorld();
    expect(restored(world.state, 'l2', world.nowMs).effects).toMatchObject([{ kind: 'plan', round: 2 }]);
    world.plan(TO_CHIEF).chiefTold();
    expect(restored(world.state, 'l2', world.nowMs).effects).toEqual([]);
  });
});
