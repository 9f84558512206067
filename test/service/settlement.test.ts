import { describe, expect, test } from 'vitest';
import type { Decision } from '../../src/contract/decision.ts';
import type { ProcessFacts } from '../../src/ports/roster.ts';
import { settlementOf, type Asked } from '../../src/service/settlement.ts';
import { rowOf } from './rows.ts';

const up = (generation: number): Partial<ProcessFacts> => ({ generation, pid: 42, ready: true });
const outcome = (asked: Partial<Asked>, decided: Partial<Decision>, seen: Partial<ProcessFacts> | null = null) =>
  settlementOf(
    { verb: 'start', revision: 2, generation: 1, ...asked },
    { row: rowOf({ revision: 2, ...decided }, seen), closing: undefined },
  );

describe('settlementOf', () => {
  test('waits until the command has been dealt with', () => {
    expect(outcome({}, { revision: 1 }, up(1))).toBeUndefined();
    expect(outcome({}, { revision: 3 }, up(1))).toBe('settled');
  });
  test('a start is settled by a process, ready or not, by completion and by giving up', () => {
    expect(outcome({}, {})).toBeUndefined();
    expect(outcome({}, {}, { ...up(1), ready: false })).toBe('settled');
    expect(outcome({}, { phase: { kind: 'completed' } })).toBe('settled');
    expect(outcome({}, { phase: { kind: 'disabled' } })).toBe('settled');
    expect(outcome({}, { phase: { kind: 'backoff', untilMs: 1 } })).toBeUndefined();
  });
  test('a restart is settled by a later generation only', () => {
    expect(outcome({ verb: 'restart' }, {}, up(1))).toBeUndefined();
    expect(outcome({ verb: 'restart' }, { phase: { kind: 'completed' } })).toBeUndefined();
    expect(outcome({ verb: 'restart' }, { generation: 2 }, up(1))).toBeUndefined();
    expect(outcome({ verb: 'restart' }, { generation: 2 }, up(2))).toBe('settled');
    expect(outcome({ verb: 'restart' }, { phase: { kind: 'disabled' } })).toBe('settled');
  });
  test('a stop is settled once nothing lives', () => {
    const asked = { verb: 'stop' } as const;
    expect(outcome(asked, { desired: 'stopped', phase: { kind: 'stopping' } }, up(1))).toBeUndefined();
    expect(outcome(asked, { desired: 'stopped', phase: { kind: 'stopped' } })).toBe('settled');
  });
  test('a pause is settled once nothing of it moves', () => {
    const asked = { verb: 'pause' } as const;
    const decided = { desired: 'paused', phase: { kind: 'paused' } } as const;
    expect(outcome(asked, { ...decided, phase: { kind: 'stopping' } }, up(1))).toBeUndefined();
    expect(outcome(asked, decided, up(1))).toBeUndefined();
    expect(outcome(asked, decided, { ...up(1), paused: true })).toBe('settled');
    expect(outcome(asked, decided)).toBe('settled');
  });
  test('a resume is settled once the process goes on', () => {
    const asked = { verb: 'resume' } as const;
    expect(outcome(asked, {}, { ...up(1), paused: true })).toBeUndefined();
    expect(outcome(asked, {}, up(1))).toBe('settled');
  });
  test('a command is overtaken by one that wants something else', () => {
    expect(outcome({ verb: 'stop' }, { desired: 'running', revision: 3 }, up(2))).toBe('overtaken');
    expect(outcome({}, { desired: 'stopped', revision: 3 })).toBe('overtaken');
  });
  test('a row that is gone settles a delete and ends all else', () => {
    const gone = { row: undefined, closing: undefined };
    expect(settlementOf({ verb: 'delete', revision: 1, generation: 1 }, gone)).toBe('settled');
    expect(settlementOf({ verb: 'stop', revision: 1, generation: 1 }, gone)).toBe('gone');
    expect(outcome({ verb: 'delete' }, { desired: 'deleted', phase: { kind: 'stopping' } })).toBeUndefined();
  });
});
