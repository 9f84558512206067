import { describe, expect, it } from 'vitest';
import { cut } from '../../../src/domain/cut.ts';
import { deferred, digestNotice, EMPTY_DIGEST, type DeferredNotice } from '../../../src/domain/incidents/digest.ts';
import { describeTrouble, noticeOf } from '../../../src/domain/incidents/notice.ts';
import { IncidentWorld, PROPOSAL, TO_PEOPLE } from './incident-world.ts';

describe('noticeOf', () => {
  it('says value, threshold, what was tried and what is needed', () => {
    const { state } = new IncidentWorld().plan(TO_PEOPLE);
    expect(describeTrouble(state)).toBe('CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed');
    const { title, text } = noticeOf(state, 'opened');
    expect(title).toBe('[warning] w1: the disk is nearly full');
    expect(text.split('\n')).toEqual([
      'CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed',
      'You are told: the chief boss is down',
      'agent w1 · incident disk · since 1970-01-12T13:46:40.000Z',
      'Acknowledge: openstarry-daemon incidents ack disk',
    ]);
  });

  it.each([
    [{ value: null, threshold: null, tried: null, needed: null }, ''],
    [{ value: 'CPU 95 %', threshold: null, tried: null, needed: 'help' }, 'CPU 95 %, help'],
    [{ value: null, threshold: '90 %', tried: null, needed: null }, 'limit 90 %'],
  ])('leaves out what was not said: %j', (parts, text) => {
    expect(describeTrouble(parts)).toBe(text);
  });

  it('says what is proposed, until when, and how to decide; then what became of it', () => {
    const expiresInMs = 3_600_000;
    const world = new IncidentWorld({ proposal: { ...PROPOSAL, expiresInMs, onExpiry: 'reject' } });
    const asked = noticeOf(world.state, 'opened').text;
    expect(asked).toContain('Proposed: restart w1 (risk low): it leaks');
    expect(asked).toContain('To be decided by 1970-01-12T14:46:40.000Z; then it is rejected');
    expect(asked).toContain('Decide: openstarry-daemon approve disk, or openstarry-daemon reject disk');
    world.decide('approved').send({ kind: 'executed', ok: true, message: 'w1 is running' });
    const { title, text } = noticeOf(world.state, 'decided');
    expect(title).toBe('[warning] decided: w1: the disk is nearly full');
    expect(text).toContain('Approved by kim at 1970-01-12T13:46:40.000Z');
    expect(text).toContain('Carried out: done, w1 is running');
    expect(text).not.toContain('openstarry-daemon');
  });

  it('fits into one line and a few, whatever was said', () => {
    const { state } = new IncidentWorld({ summary: `a\nb${'x'.repeat(5000)}`, value: '𝄞'.repeat(5000) });
    const { title, text } = noticeOf(state, 'opened');
    expect(title).toMatch(/^\[warning\] w1: a bx+…$/);
    expect([title.length <= 200, text.length <= 3500]).toEqual([true, true]);
    expect(text).not.toMatch(/\p{Surrogate}/u);
    expect(cut('abc', 3)).toBe('abc');
  });
});

describe('digest', () => {
  const notice = (incidentId: string, more: Partial<DeferredNotice> = {}): DeferredNotice => ({
    deliveryId: `${incidentId}/1`,
    incidentId,
    about: 'opened',
    severity: 'warning',
    title: `[warning] ${incidentId}`,
    text: 'CPU 95 %\nmore',
    atMs: 0,
    ...more,
  });

  it('holds one entry an incident, the latest', () => {
    let state = deferred(EMPTY_DIGEST, notice('a'), 10, ['ops']);
    state = deferred(state, notice('b', { severity: 'info' }), 10, ['ops', 'phone']);
    state = deferred(state, notice('a', { deliveryId: 'a/2', about: 'resolved', title: 'resolved' }), 20, ['ops']);
    expect(deferred(state, notice('a', { deliveryId: 'a/1' }), 20, ['ops'])).toEqual(state);
    expect(state).toMatchObject({ untilMs: 20, channels: ['ops', 'phone'] });
    expect(state.entries.map(({ incidentId, title, deliveryIds }) => [incidentId, title, deliveryIds])).toEqual([
      ['a', 'resolved', ['a/1', 'a/2']],
      ['b', '[warning] b', ['b/1']],
    ]);
  });

  it('is one notice: what is open first, how all of them stand', () => {
    const { entries } = ['a', 'b', 'c'].reduce((state, id) => deferred(state, notice(id), 0, []), EMPTY_DIGEST);
    const { title, text, severity } = digestNotice(entries, { a: 'resolved', b: 'acknowledged', c: 'open' });
    expect([title, severity]).toEqual(['[warning] 3 incidents during quiet hours, 1 still open', 'warning']);
    expect(text.match(/^• .*$/gm)?.map((line) => line.replace(/^• \S+ /, ''))).toEqual([
      '[warning] c (now open)',
      '[warning] b (now acknowledged)',
      '[warning] a (now resolved)',
    ]);
  });

  it('drops nothing, however many there are', () => {
    const ids = Array.from({ length: 50 }, (_, n) => `i${n}`);
    const { entries } = ids.reduce((state, id) => deferred(state, notice(id), 0, []), EMPTY_DIGEST);
    const { title, text } = digestNotice(entries, {});
    expect(title).toContain('50 incidents');
    expect(text).toContain('and 30 more: openstarry-daemon incidents ls');
  });
});
