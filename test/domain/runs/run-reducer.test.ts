import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outcomeOfRest, stateOfRun } from '../../../src/domain/runs/run-outcome.ts';
import { beginRun, MAX_ATTEMPTS, resumeRun, stepRun } from '../../../src/domain/runs/run-reducer.ts';
import type {
  Rest,
  RunAnswer,
  RunCollected,
  RunEffect,
  RunEvent,
  RunProgress,
  RunTerms,
} from '../../../src/domain/runs/run-state.ts';

const DEADLINE = '2026-01-01T00:00:05.000Z';
const TERMS: RunTerms = {
  run_id: 'r1',
  agent_id: 'a',
  schedule_id: null,
  cleanup: 'keep',
  busy: 'wait',
  deadlineMs: Date.parse(DEADLINE),
};
const SCHEDULED: RunTerms = { ...TERMS, schedule_id: 's', cleanup: 'delete' };

const restOf = (more: Partial<Rest> = {}): Rest => ({
  attempt: 1,
  how: 'completed',
  code: null,
  generation: 1,
  ran: true,
  exit: { code: 0, signal: null, cause: 'self' },
  reason: 'generation 1 exited with code 0',
  ...more,
});
const collectedOf = (more: Partial<RunCollected> = {}): RunEvent => ({
  kind: 'collected',
  collected: { output: 'done\n', answer: null, task: 'acknowledged', ...more },
});
const answerOf = (more: Partial<RunAnswer> = {}): RunAnswer => ({
  from: 'a',
  ok: true,
  reason: null,
  payload: { n: 1 },
  ...more,
});
const startedIn = (via: 'process' | 'mailbox', attempt = 1): RunEvent => ({
  kind: 'started',
  attempt,
  start: { kind: via, generation: 1 },
});
const spawnFailed = (attempt: number): RunEvent => ({
  kind: 'started',
  attempt,
  start: { kind: 'failed', code: 'SPAWN_FAILED', message: 'Cannot run "nothing": ENOENT', again: true },
});

/** Plays events; the effects of the last one come with the state. */
function play(terms: RunTerms, ...events: RunEvent[]): { run: RunProgress; effects: RunEffect[]; all: RunEffect[] } {
  let { run, effects } = beginRun();
  const all = [...effects];
  for (const event of events) {
    ({ run, effects } = stepRun(run, event, terms));
    all.push(...effects);
  }
  return { run, effects, all };
}
const kinds = (effects: RunEffect[]): string[] => effects.map(({ kind }) => kind);

describe('a run with a process of its own', () => {
  it('succeeds when its agent completes, and keeps output and exit', () => {
    const { run, all } = play(TERMS, startedIn('process'), { kind: 'rest', rest: restOf() }, collectedOf());
    expect(stateOfRun(run)).toBe('succeeded');
    expect(run).toMatchObject({ output: 'done\n', exit: { code: 0, signal: null }, generation: 1 });
    expect(kinds(all)).toEqual(['start', 'collect']);
  });

  it('deletes its agent before it is done, if that is wanted', () => {
    const before = play(SCHEDULED, startedIn('process'), { kind: 'rest', rest: restOf() }, collectedOf());
    expect(kinds(before.effects)).toEqual(['clean-up']);
    expect(stateOfRun(before.run)).toBe('running');
    expect(stateOfRun(stepRun(before.run, { kind: 'cleaned' }, SCHEDULED).run)).toBe('succeeded');
  });

  it('notices an end that is told before the start is confirmed', () => {
    const { run } = play(TERMS, { kind: 'rest', rest: restOf() }, startedIn('process'), collectedOf());
    expect(stateOfRun(run)).toBe('succeeded');
  });

  it('fails when its agent gives up, which nobody is told twice', () => {
    const rest = restOf({
      how: 'disabled',
      exit: { code: 1, signal: null, cause: 'self' },
      reason: 'gave up: 4 failures',
    });
    const { run, all } = play(SCHEDULED, startedIn('process'), { kind: 'rest', rest }, collectedOf(), {
      kind: 'cleaned',
    });
    expect(run.phase).toEqual({ kind: 'done', outcome: { state: 'failed', reason: 'gave up: 4 failures' } });
    expect(kinds(all)).not.toContain('report');
  });

  it('keeps an answer of its agent, and believes it when it says that it failed', () => {
    const good = play(
      TERMS,
      startedIn('process'),
      { kind: 'answered', answer: answerOf() },
      { kind: 'rest', rest: restOf() },
      collectedOf(),
    );
    expect(good.run.answer?.payload).toEqual({ n: 1 });
    const late = play(
      TERMS,
      startedIn('process'),
      { kind: 'rest', rest: restOf() },
      collectedOf({ answer: answerOf({ ok: false, reason: 'no data' }) }),
    );
    expect(late.run.phase).toMatchObject({
      outcome: { state: 'failed', reason: 'its agent answered that it failed: no data' },
    });
  });

  it('believes nobody else', () => {
    const { run } = play(TERMS, startedIn('process'), { kind: 'answered', answer: answerOf({ from: 'b' }) });
    expect(run.answer).toBeNull();
  });

  it('tries a start that fails three times, with a pause between, then tells people', () => {
    let { run, effects } = beginRun();
    const delays: number[] = [];
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      expect(effects).toEqual([{ kind: 'start', attempt }]);
      ({ run, effects } = stepRun(run, spawnFailed(attempt), TERMS));
      const [wait] = effects;
      if (wait?.kind !== 'wait') break;
      delays.push(wait.delayMs);
      ({ run, effects } = stepRun(run, { kind: 'waited' }, TERMS));
    }
    expect(delays).toEqual([1000, 5000]);
    expect(run.phase).toEqual({
      kind: 'done',
      outcome: { state: 'failed', reason: 'it could not be started: Cannot run "nothing": ENOENT' },
    });
    expect(effects).toEqual([
      expect.objectContaining({ kind: 'report', tried: 'started 3 times, with a pause between: failed' }),
    ]);
  });

  it('counts an agent at rest that cannot start, too', () => {
    const rest = restOf({ how: 'disabled', ran: false, exit: null, reason: 'gave up: ENOENT' });
    const { run, effects } = play(TERMS, startedIn('process'), { kind: 'rest', rest });
    expect(run.phase).toEqual({ kind: 'waiting', why: 'spawn' });
    expect(effects).toEqual([{ kind: 'wait', delayMs: 1000 }]);
  });

  it('does not try again what cannot succeed', () => {
    const start = { kind: 'failed', code: 'AGENT_NOT_FOUND', message: 'There is no agent a', again: false } as const;
    const { run, effects } = play(TERMS, { kind: 'started', attempt: 1, start });
    expect(stateOfRun(run)).toBe('failed');
    expect(effects).toEqual([expect.objectContaining({ kind: 'report', tried: 'started once: failed' })]);
  });

  it('stops its agent when time is up, and is done when that is at rest', () => {
    const late = play(SCHEDULED, startedIn('process'), { kind: 'timeout', afterMs: 5000 });
    expect(kinds(late.effects)).toEqual(['stop', 'watch']);
    const rest = restOf({ how: 'stopped', exit: { code: null, signal: 'SIGTERM', cause: 'operator' } });
    const ended = play(
      SCHEDULED,
      startedIn('process'),
      { kind: 'timeout', afterMs: 5000 },
      { kind: 'rest', rest },
      collectedOf(),
      { kind: 'cleaned' },
    );
    expect(ended.run.phase).toEqual({
      kind: 'done',
      outcome: { state: 'timed_out', reason: 'it took longer than 5 s' },
    });
    expect(ended.run.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect(kinds(ended.all)).toContain('report');
  });

  it.each<[how: Partial<Rest>, cause: string, at: string | undefined, state: string]>([
    [{ how: 'completed' }, 'self', DEADLINE, 'succeeded'],
    [{ how: 'disabled' }, 'self', DEADLINE, 'failed'],
    [{ how: 'stopped', own: 'completed' }, 'self', DEADLINE, 'succeeded'],
    // It would have been started again, and gone on.
    [{ how: 'stopped' }, 'self', DEADLINE, 'timed_out'],
    [{ how: 'completed' }, 'self', '2026-01-01T00:00:05.001Z', 'timed_out'],
    [{ how: 'completed' }, 'self', undefined, 'timed_out'],
    [{ how: 'stopped' }, 'operator', DEADLINE, 'timed_out'],
  ])('whose time is up, and that is found to be %j by %s at %s, has %s', (how, cause, at, state) => {
    const exit = { code: 0, signal: null, cause, ...(at === undefined ? {} : { at }) };
    const rest: RunEvent = { kind: 'rest', rest: restOf({ ...how, exit }) };
    const timeout: RunEvent = { kind: 'timeout', afterMs: 5000 };
    expect(stateOfRun(play(TERMS, startedIn('process'), timeout, rest, collectedOf()).run)).toBe(state);
    const cancel: RunEvent = { kind: 'cancel', by: 'admin' };
    expect(stateOfRun(play(TERMS, startedIn('process'), cancel, rest, collectedOf()).run)).toBe('cancelled');
  });

  it('is stopped at once if it was cancelled while it started', () => {
    const { run, effects } = play(TERMS, { kind: 'cancel', by: 'admin' }, startedIn('process'));
    expect(run.phase).toEqual({ kind: 'ending', outcome: { state: 'cancelled', reason: 'cancelled by admin' } });
    expect(kinds(effects)).toEqual(['stop', 'watch']);
    expect(stateOfRun(play(TERMS, { kind: 'cancel', by: 'admin' }, spawnFailed(1)).run)).toBe('cancelled');
  });

  it('does not ask again once it was cancelled while it waited', () => {
    const { run } = play(TERMS, spawnFailed(1), { kind: 'cancel', by: 'admin' }, { kind: 'waited' });
    expect(stateOfRun(run)).toBe('cancelled');
  });

  it('waits while its agent is in another run, longer and longer', () => {
    const busy: RunEvent = { kind: 'started', attempt: 1, start: { kind: 'busy', reason: 'a is in run r0' } };
    const { run, all } = play(TERMS, busy, { kind: 'waited' }, busy, { kind: 'waited' }, startedIn('process'));
    expect(run.phase.kind).toBe('running');
    expect(all.filter(({ kind }) => kind === 'wait')).toEqual([
      { kind: 'wait', delayMs: 1000 },
      { kind: 'wait', delayMs: 2000 },
    ]);
    expect(stateOfRun(play({ ...TERMS, busy: 'fail' }, busy).run)).toBe('failed');
  });

  it('is cancelled, and nobody is told, if the agent that it waits for is deleted meanwhile', () => {
    const busy: RunEvent = { kind: 'started', attempt: 1, start: { kind: 'busy', reason: 'a is in the run r0' } };
    const start = { kind: 'failed', code: 'AGENT_NOT_FOUND', message: 'There is no agent a', again: false } as const;
    const gone: RunEvent = { kind: 'started', attempt: 1, start };
    const { run, all } = play(SCHEDULED, busy, { kind: 'waited' }, gone);
    expect([stateOfRun(run), run.reason]).toEqual(['cancelled', 'its agent was deleted']);
    expect(kinds(all)).not.toContain('report');
    // One that never was is another matter.
    expect(kinds(play(SCHEDULED, gone).all)).toContain('report');
  });
});

describe('a run of an agent that runs anyway', () => {
  it('ends with the answer', () => {
    const { run, all } = play(TERMS, startedIn('mailbox'), { kind: 'answered', answer: answerOf() });
    expect(run.phase).toEqual({ kind: 'done', outcome: { state: 'succeeded', reason: 'its agent has answered' } });
    expect(kinds(all)).toEqual(['start', 'watch']);
  });

  it('takes an answer that is faster than the news of its start', () => {
    expect(stateOfRun(play(TERMS, { kind: 'answered', answer: answerOf() }, startedIn('mailbox')).run)).toBe(
      'succeeded',
    );
  });

  it('fails with the dead letter of its task', () => {
    const { run } = play(
      SCHEDULED,
      startedIn('mailbox'),
      { kind: 'undelivered', reason: 'its time to live ran out' },
      { kind: 'cleaned' },
    );
    expect(run.phase).toMatchObject({
      outcome: { state: 'failed', reason: 'its task was not delivered: its time to live ran out' },
    });
  });

  it('fails with the dead letter of its task that is faster than the news of its start', () => {
    const refused: RunEvent = { kind: 'undelivered', reason: 'a has refused it' };
    const { run, all } = play(TERMS, refused, startedIn('mailbox'));
    expect(run.phase).toEqual({
      kind: 'done',
      outcome: { state: 'failed', reason: 'its task was not delivered: a has refused it' },
    });
    expect(kinds(all)).toEqual(['start']);
    // What its agent says itself tells more.
    const answer = answerOf({ ok: false, reason: 'no data' });
    expect(play(TERMS, refused, { kind: 'answered', answer }, startedIn('mailbox')).run.reason).toContain('no data');
    expect(play(TERMS, refused, startedIn('process')).run.phase.kind).toBe('running');
  });

  it('never stops its agent: the task is taken back', () => {
    const { run, all } = play(TERMS, startedIn('mailbox'), { kind: 'timeout', afterMs: 1000 }, { kind: 'withdrawn' });
    expect(stateOfRun(run)).toBe('timed_out');
    expect(kinds(all)).toEqual(['start', 'watch', 'withdraw']);
  });

  it.each([
    ['acknowledged', 'succeeded'],
    ['withdrawn', 'failed'],
    ['waiting', 'running'],
    ['leased', 'running'],
  ] as const)('whose agent comes to rest with its task %s is %s', (task, state) => {
    const rest = restOf({ attempt: null });
    expect(stateOfRun(play(TERMS, startedIn('mailbox'), { kind: 'rest', rest }, collectedOf({ task })).run)).toBe(
      state,
    );
  });

  it('can still be cancelled while its task waits for an agent that is to be woken', () => {
    const rest = restOf({ attempt: null });
    const { run } = play(
      TERMS,
      startedIn('mailbox'),
      { kind: 'rest', rest },
      collectedOf({ task: 'waiting' }),
      { kind: 'cancel', by: 'admin' },
      { kind: 'withdrawn' },
    );
    expect(stateOfRun(run)).toBe('cancelled');
  });
});

describe('outcomeOfRest', () => {
  it('tells an operator from a limit', () => {
    expect(
      outcomeOfRest(restOf({ how: 'stopped', exit: { code: null, signal: 'SIGTERM', cause: 'operator' } })).state,
    ).toBe('cancelled');
    expect(
      outcomeOfRest(restOf({ how: 'stopped', exit: { code: null, signal: 'SIGKILL', cause: 'limit' } })).state,
    ).toBe('failed');
    expect(outcomeOfRest(restOf({ how: 'deleted' })).state).toBe('cancelled');
  });
});

describe('stepRun', () => {
  const event: fc.Arbitrary<RunEvent> = fc.oneof(
    fc.record({
      kind: fc.constant('started' as const),
      attempt: fc.integer({ min: 1, max: 4 }),
      start: fc.oneof(
        fc.constant({ kind: 'process' as const, generation: 1 }),
        fc.constant({ kind: 'mailbox' as const, generation: 1 }),
        fc.constant({ kind: 'busy' as const, reason: 'busy' }),
        fc.record({
          kind: fc.constant('failed' as const),
          code: fc.constant('X'),
          message: fc.constant('no'),
          again: fc.boolean(),
        }),
      ),
    }),
    fc.record({
      kind: fc.constant('rest' as const),
      rest: fc.record({
        attempt: fc.option(fc.integer({ min: 1, max: 4 })),
        how: fc.constantFrom('completed', 'disabled', 'stopped', 'deleted', 'failed'),
        code: fc.constant(null),
        generation: fc.integer({ min: 0, max: 3 }),
        ran: fc.boolean(),
        exit: fc.constant(null),
        reason: fc.constant('rest'),
      }),
    }),
    fc.record({
      kind: fc.constant('answered' as const),
      answer: fc.record({
        from: fc.constantFrom('a', 'b'),
        ok: fc.boolean(),
        reason: fc.constant(null),
        payload: fc.constant(1),
      }),
    }),
    fc.constant({ kind: 'undelivered' as const, reason: 'dead' }),
    fc.constant({ kind: 'timeout' as const, afterMs: 1 }),
    fc.constant({ kind: 'cancel' as const, by: 'admin' }),
    fc.constantFrom({ kind: 'withdrawn' as const }, { kind: 'waited' as const }, { kind: 'cleaned' as const }),
    fc.record({
      kind: fc.constant('collected' as const),
      collected: fc.record({
        output: fc.constant(''),
        answer: fc.constant(null),
        task: fc.constantFrom('acknowledged', 'withdrawn', 'waiting', 'leased'),
      }),
    }),
  );

  it('stops nothing that ran anyway, deletes only what it used, tries at most three times and never changes an outcome', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.constantFrom(TERMS, SCHEDULED), (events, terms) => {
        let { run } = beginRun();
        for (const each of events) {
          const before = run;
          const step = stepRun(run, each, terms);
          run = step.run;
          if (before.phase.kind === 'done') expect(run).toEqual(before);
          if (kinds(step.effects).includes('stop')) expect(run.via).toBe('process');
          if (kinds(step.effects).includes('withdraw')) expect(run.via).toBe('mailbox');
          if (kinds(step.effects).includes('clean-up'))
            expect([terms.cleanup, run.via === null]).toEqual(['delete', false]);
          if (run.phase.kind !== 'done' && run.phase.kind !== before.phase.kind)
            expect(step.effects.length > 0 || run.phase.kind === 'running').toBe(true);
          expect(run.attempt).toBeLessThanOrEqual(MAX_ATTEMPTS);
          expect(JSON.parse(JSON.stringify(run))).toEqual(run);
        }
        // Whatever is open is asked for again by the next workflow run.
        expect(resumeRun(run).length > 0).toBe(run.phase.kind !== 'done');
      }),
    );
  });
});
