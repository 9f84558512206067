import { describe, expect, it } from 'vitest';
import { birth, step } from '../../src/domain/agent-reducer.ts';
import type { AgentEvent, AgentState, Rules } from '../../src/domain/agent-state.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';

const RULES: Rules = { launchDigest: 'v1', restart: BUILT_IN_FAULT_DOMAINS.default, stop: DEFAULT_STOP };
const NOTHING = { fence: 0 };

const admitted = (admission: number, rules: Rules): AgentEvent => ({
  kind: 'admitted',
  admission,
  rules,
  custody: NOTHING,
});
const endOf = (generation: number, code: number): AgentEvent => ({
  kind: 'ended',
  exit: { generation, code, signal: null, cause: 'self', at: '2026-01-01T00:00:00.000Z', ran_ms: 100 },
});

function play(state: AgentState, ...events: AgentEvent[]): AgentState {
  return events.reduce((before, event) => step(before, event, { nowMs: 1_000_000, random01: 0.5 }).state, state);
}
const born = (keepOnFailure = false): AgentState => birth({ keepOnFailure }).state;

describe('an agent that does not start by itself', () => {
  const rules: Rules = { ...RULES, autostart: false };

  it('is made at rest, and runs when it is told to', () => {
    const made = play(born(), admitted(1, rules));
    expect(made).toMatchObject({ phase: { kind: 'stopped' }, desired: 'stopped', generation: 0 });
    expect(made.reason).toBe('created; it runs when somebody, or its schedule, starts it');
    const started = play(made, { kind: 'start' }, admitted(2, rules));
    expect(started).toMatchObject({ phase: { kind: 'live' }, desired: 'running', generation: 1 });
  });

  it('runs at once if somebody asked for it before it was admitted', () => {
    expect(play(born(), { kind: 'start' }, admitted(1, rules)).phase).toEqual({ kind: 'live' });
  });

  it('waits for nothing once it has run: a restart is a restart', () => {
    const running = play(born(), admitted(1, rules), { kind: 'start' }, admitted(2, rules));
    const crashed = play(running, endOf(1, 1), { kind: 'backoff-elapsed' });
    expect(crashed).toMatchObject({ phase: { kind: 'live' }, generation: 2 });
  });

  it('stays, disabled, if its first start fails', () => {
    const failed = play(born(), admitted(1, rules), { kind: 'start' }, admitted(2, rules), {
      kind: 'spawn-failed',
      generation: 1,
      code: 'SPAWN_FAILED',
      message: 'ENOENT',
    });
    expect(failed.phase).toEqual({ kind: 'disabled' });
  });

  it('takes over a process that lives all the same', () => {
    const custody = { fence: 3, live: { generation: 3, pid: 4711 } };
    const adopted = play(born(), { kind: 'admitted', admission: 1, rules, custody });
    expect(adopted).toMatchObject({ phase: { kind: 'live' }, generation: 3 });
  });
});

describe('an agent that was started for a run', () => {
  const rules: Rules = { ...RULES, finite: true };

  it('is left at rest by a change of its definition', () => {
    const completed = play(born(), admitted(1, rules), endOf(1, 0));
    expect(completed).toMatchObject({ phase: { kind: 'completed' }, desired: 'stopped' });
    const changed = play(completed, { kind: 'configure' }, admitted(2, { ...RULES, launchDigest: 'v2' }));
    expect(changed.phase).toEqual({ kind: 'completed' });
    const other = play(
      play(born(), admitted(1, RULES), endOf(1, 0)),
      { kind: 'configure' },
      admitted(2, { ...RULES, launchDigest: 'v2' }),
    );
    expect(other.phase).toEqual({ kind: 'live' });
  });

  it('remembers that it had ended by itself before it was stopped', () => {
    const live = play(born(), admitted(1, rules));
    expect(play(live, { kind: 'stop' }, endOf(1, 0)).phase).toEqual({ kind: 'stopped', own: 'completed' });
    // It would have been started again.
    expect(play(live, { kind: 'stop' }, endOf(1, 1)).phase).toEqual({ kind: 'stopped' });
    const never: Rules = { ...rules, restart: { ...rules.restart, restart: 'never' } };
    const failed = play(born(), admitted(1, never), { kind: 'stop' }, endOf(1, 1));
    expect(failed.phase).toEqual({ kind: 'stopped', own: 'disabled' });
    // A failure that was judged before the stop came is not judged again.
    expect(play(live, endOf(1, 1), { kind: 'stop' }).phase).toEqual({ kind: 'stopped' });
    expect(play(born(), admitted(1, RULES), { kind: 'stop' }, endOf(1, 0)).phase).toEqual({ kind: 'stopped' });
  });

  it('is restarted by its policy, then gives up', () => {
    let state = play(born(true), admitted(1, rules));
    for (const generation of [1, 2, 3]) state = play(state, endOf(generation, 1), { kind: 'backoff-elapsed' });
    expect(state).toMatchObject({ phase: { kind: 'live' }, generation: 4 });
    expect(play(state, endOf(4, 1))).toMatchObject({ phase: { kind: 'disabled' }, desired: 'stopped' });
  });
});
