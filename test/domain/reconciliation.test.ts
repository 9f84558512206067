import { describe, expect, it } from 'vitest';
import { compare, type Action, type RowFinding, type WorkflowFinding } from '../../src/domain/reconciliation.ts';
import type { Custody, ExitRecord } from '../../src/domain/custody.ts';

const row = (phase: RowFinding['phase'], generation: number): RowFinding => ({
  phase,
  generation,
  handled: generation - 1,
});
const lives = (generation: number): Custody => ({ fence: generation, live: { generation, pid: 7 } });
const exit = (generation: number): ExitRecord => ({
  generation,
  code: 0,
  signal: null,
  cause: 'self',
  at: '2026-01-01T00:00:00.000Z',
  ran_ms: 1,
});
const nothing = (fence: number): Custody => ({ fence });

describe('compare', () => {
  it.each<[string, WorkflowFinding, RowFinding | undefined, Custody | undefined, boolean, Action]>([
    ['all agree that it lives', 'open', row('live', 3), lives(3), false, 'none'],
    ['all agree that it does not', 'open', row('stopped', 3), nothing(3), false, 'none'],
    ['back-off, nothing lives', 'open', row('backoff', 3), nothing(3), false, 'none'],
    ['it lives although it is stopped', 'open', row('stopped', 3), lives(3), false, 'tell'],
    ['it lives although it gave up', 'open', row('disabled', 3), lives(4), false, 'tell'],
    ['another generation lives', 'open', row('live', 3), lives(4), false, 'tell'],
    ['its end was not heard', 'open', row('live', 3), nothing(3), false, 'tell'],
    ['the end of a stop was not heard', 'open', row('stopping', 3), nothing(3), false, 'tell'],
    ['a start that nobody has seen', 'open', row('live', 3), nothing(2), false, 'redispatch-run'],
    ['the first start', 'open', row('live', 1), undefined, false, 'redispatch-run'],
    ['a stop that nobody has seen', 'open', row('stopping', 3), lives(3), false, 'redispatch-stop'],
    ['a stop under way', 'open', row('stopping', 3), lives(3), true, 'none'],
    ['a life that the roster does not know', 'open', undefined, lives(3), false, 'tell'],
    ['an admission without an answer', 'open', row('admitting', 0), undefined, false, 'redispatch-admission'],
    ['a wait that nobody looks out for', 'open', row('waiting', 0), undefined, false, 'redispatch-wait'],
    ['a lost workflow', 'gone', row('live', 3), lives(3), false, 're-create'],
    ['a lost workflow of an agent at rest', 'gone', row('disabled', 3), nothing(3), false, 're-create'],
    ['a deletion whose last word got lost', 'ended', row('stopping', 3), nothing(3), false, 'remove-row'],
    ['a process that nobody describes', 'gone', undefined, lives(3), false, 'report-orphan'],
    [
      'the last exit of an agent that was deleted',
      'ended',
      undefined,
      { fence: 3, last_exit: exit(3) },
      false,
      'forget',
    ],
    ['an agent deleted long ago', 'gone', undefined, nothing(3), false, 'none'],
  ])('%s', (_title, workflow, found, custody, isStopping, action) => {
    expect(compare(workflow, found, custody, isStopping)).toBe(action);
  });
});
