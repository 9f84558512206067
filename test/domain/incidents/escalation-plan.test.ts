import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../../src/domain/incidents/agent-glob.ts';
import { planOf, ruleFor, type EscalationFacts } from '../../../src/domain/incidents/escalation-plan.ts';

const UP = { isUp: true, state: 'running', reason: 'created' };

const facts = (more: Partial<Omit<EscalationFacts, 'incident'>> & { incident?: object } = {}): EscalationFacts => ({
  chief: { agentId: 'boss', state: UP },
  ackMs: 1000,
  faultDomain: 'default',
  rules: [],
  ...more,
  incident: { kind: 'failures', agentId: 'w1', openedBy: '_daemon', proposal: null, ...more.incident },
});

describe('planOf', () => {
  it('tells the chief first', () => {
    expect(planOf(facts())).toEqual({ rule: null, chief: { agentId: 'boss', ackMs: 1000 }, why: null });
  });

  it.each<[string, EscalationFacts, string]>([
    ['there is none', facts({ chief: null }), 'no chief is configured'],
    ['it is the agent in trouble', facts({ incident: { agentId: 'boss' } }), 'the chief boss is the agent in trouble'],
    ['it does not exist', facts({ chief: { agentId: 'boss', state: null } }), 'the chief boss does not exist'],
    [
      'it is down',
      facts({ chief: { agentId: 'boss', state: { isUp: false, state: 'backoff', reason: 'restart 1 in 2 s' } } }),
      'the chief boss is down (backoff: restart 1 in 2 s)',
    ],
    [
      'it is disabled',
      facts({ chief: { agentId: 'boss', state: { isUp: false, state: 'disabled', reason: 'gave up' } } }),
      'the chief boss is disabled (disabled: gave up)',
    ],
    ['the agent is of the master domain', facts({ faultDomain: 'master' }), 'w1 is of the fault domain master'],
    ['the chief says it itself', facts({ incident: { openedBy: 'boss' } }), 'the chief boss has reported it itself'],
    ['everything stops', facts({ incident: { kind: 'fail_stop' } }), 'the whole daemon stops, and the chief with it'],
  ])('tells people instead, and why, if %s', (_case, given, why) => {
    expect(planOf(given)).toEqual({ rule: null, chief: null, why });
  });

  it('tells both of a proposal', () => {
    const proposal = { action: 'x', risk: 'low' };
    expect(planOf(facts({ incident: { proposal } }))).toMatchObject({
      chief: { agentId: 'boss' },
      why: 'only a person can decide',
    });
  });
});

describe('ruleFor', () => {
  const rules = [
    { command: 'stop', agentId: '*', risk: 'low' },
    { command: 'restart', agentId: 'data_*', risk: 'medium' },
  ] as const;
  const restart = (agent_id: string) => ({ command: 'restart', agent_id }) as const;

  it.each([
    ['covered', { action: restart('data_1'), risk: 'low' }, 2],
    ['up to its risk', { action: restart('data_1'), risk: 'medium' }, 2],
    ['too risky', { action: restart('data_1'), risk: 'high' }, null],
    ['another agent', { action: restart('risk_1'), risk: 'low' }, null],
    ['another command', { action: { command: 'start', agent_id: 'data_1' }, risk: 'low' }, null],
    ['a text', { action: 'restart data_1', risk: 'low' }, null],
  ] as const)('%s', (_case, proposal, n) => {
    expect(ruleFor(proposal, rules)).toBe(n);
  });
});

describe('matchesGlob', () => {
  it.each([
    ['*', 'anything', true],
    ['data_*', 'data_', true],
    ['data_*', 'dat', false],
    ['*_worker', 'a_worker_worker', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a.c', 'abc', false],
    ['', '', true],
    ['', 'a', false],
  ])('%s %s', (pattern, text, is) => {
    expect(matchesGlob(pattern, text)).toBe(is);
  });

  it('is what the same regular expression says, and never slow', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 10 });
    fc.assert(
      fc.property(letters, fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 }), (pattern, text) => {
        const source = Array.from(pattern, (c) => (c === '*' ? '.*' : c === '?' ? '.' : c === '.' ? '\\.' : c)).join(
          '',
        );
        return matchesGlob(pattern, text) === new RegExp(`^${source}$`).test(text);
      }),
      { numRuns: 2000 },
    );
    const before = performance.now();
    expect(matchesGlob('*a'.repeat(32), 'a'.repeat(63) + 'b')).toBe(false);
    expect(performance.now() - before).toBeLessThan(100);
  });
});
