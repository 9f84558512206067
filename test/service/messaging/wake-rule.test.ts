import { describe, expect, it } from 'vitest';
import type { Transition } from '../../../src/contract/decision.ts';
import { wakesFromMs } from '../../../src/service/messaging/wake-rule.ts';
import { rowOf } from '../rows.ts';

const at = (ms: number, state: Transition['state'], sequence: number): Transition => ({
  sequence,
  at_ms: ms,
  state,
  generation: 1,
  reason: '',
});
const exit = {
  generation: 1,
  code: 0,
  signal: null,
  cause: 'self' as const,
  at: new Date(5_000).toISOString(),
  ran_ms: 2_000,
  reason: '',
  log_tail: '',
};
const input = { agent_id: 'a', wake_on_message: true };

describe('wakesFromMs', () => {
  it('is the time from which a stopped agent has been stopped', () => {
    const transitions = [at(1_000, 'live', 1), at(4_000, 'stopping', 2), at(6_000, 'stopped', 3)];
    // Something that it was told since makes the decision younger, not the rest.
    const row = rowOf({ phase: { kind: 'stopped' }, input, transitions, at_ms: 9_000 }, { last_exit: exit });
    expect(wakesFromMs(row)).toBe(6_000);
    expect(wakesFromMs(rowOf({ phase: { kind: 'stopped' }, input, at_ms: 9_000 }))).toBe(9_000);
  });

  it('is the start of the last life of one that has completed', () => {
    const transitions = [at(1_000, 'live', 1), at(5_100, 'completed', 2)];
    const row = rowOf({ phase: { kind: 'completed' }, input, transitions }, { last_exit: exit });
    expect(wakesFromMs(row)).toBe(3_000);
    expect(wakesFromMs(rowOf({ phase: { kind: 'completed' }, input, transitions }))).toBe(5_100);
  });

  it('is what the agent says, else its template', () => {
    const phase = { kind: 'stopped' } as const;
    expect(wakesFromMs(rowOf({ phase, at_ms: 1, wake_on_message: true }))).toBe(1);
    const unwilling = { agent_id: 'a', wake_on_message: false };
    expect(wakesFromMs(rowOf({ phase, at_ms: 1, wake_on_message: true, input: unwilling }))).toBeUndefined();
    expect(wakesFromMs(rowOf({ phase, at_ms: 1 }))).toBeUndefined();
  });

  it.each(['admitting', 'live', 'paused', 'disabled'] as const)('is never for one that is %s', (kind) => {
    expect(wakesFromMs(rowOf({ phase: { kind }, input, at_ms: 1 }))).toBeUndefined();
  });
});
