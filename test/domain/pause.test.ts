import { describe, expect, it } from 'vitest';
import { isUp } from '../../src/domain/public-state.ts';
import { compare } from '../../src/domain/reconciliation.ts';
import { World } from './world.ts';

const running = (world = new World()): World => {
  world.drain();
  return world;
};
const paused = (): World => {
  const world = running();
  world.send({ kind: 'pause' });
  world.drain();
  return world;
};
const about = ({ state, live }: World) => ({
  phase: state.phase.kind,
  desired: state.desired,
  live: live && `${live.generation}${live.paused ? ' paused' : ''}`,
});

describe('pause', () => {
  it('of a running agent lets its process stand still, and resume lets the same go on', () => {
    const world = paused();
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: '1 paused' });
    world.send({ kind: 'resume' });
    world.drain();
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '1' });
  });

  it('of a start that waits in its queue forbids it; resume starts the next generation', () => {
    const world = new World();
    world.admit();
    world.send({ kind: 'pause' });
    world.carryOutHold();
    world.drain();
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: undefined });
    world.send({ kind: 'resume' });
    world.drain();
    expect([about(world).live, world.spawned.length]).toEqual(['2', 1]);
  });

  it('during a back-off ends the waiting, and nothing starts before the resume', () => {
    const world = running();
    world.exit(7);
    world.send({ kind: 'pause' });
    world.advance(600_000);
    world.drain();
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: undefined });
    world.send({ kind: 'resume' });
    world.drain();
    expect(about(world).live).toBe('2');
  });

  it.each(['stop', 'delete'] as const)('%s of a paused agent ends it', (kind) => {
    const world = paused();
    world.send({ kind });
    world.drain();
    expect(about(world)).toMatchObject({ phase: kind === 'stop' ? 'stopped' : 'closed', live: undefined });
  });

  it.each(['start', 'resume'] as const)('%s of a paused agent lets the same process go on', (kind) => {
    const world = paused();
    world.send({ kind });
    world.drain();
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '1' });
  });

  it('restart of a paused agent gives it a new process that runs', () => {
    const world = paused();
    world.send({ kind: 'restart' });
    world.drain();
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '2' });
    expect(world.state.restarts).toBe(0);
  });

  it('a process that is lost while paused is charged, and replaced only by a resume', () => {
    const world = paused();
    world.exit(9);
    world.drain();
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: undefined });
    expect(world.state.failures.consecutive).toBe(1);
    world.send({ kind: 'resume' });
    world.drain();
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '2' });
  });

  it('of an agent that completes at the same moment leaves it completed', () => {
    const world = running();
    world.send({ kind: 'pause' });
    world.exit(0);
    world.drain();
    expect(about(world)).toEqual({ phase: 'completed', desired: 'running', live: undefined });
  });

  it('of an agent that is not admitted yet starts nothing', () => {
    const world = new World();
    world.send({ kind: 'pause' });
    world.drain();
    expect([about(world).phase, world.spawned]).toEqual(['paused', []]);
    world.send({ kind: 'resume' });
    world.drain();
    expect(about(world).live).toBe('1');
  });

  it('that the custodian has lost is made good by a comparison, and so is one too many', () => {
    const world = paused();
    world.live = { generation: 1, startedMs: 0 };
    world.drain();
    expect(about(world).live).toBe('1 paused');
    world.send({ kind: 'resume' });
    world.drain();
    world.live = { generation: 1, startedMs: 0, paused: true };
    world.drain();
    expect(about(world).live).toBe('1');
  });

  it('does not go round in circles when the custodian will not pause', () => {
    const world = running();
    world.send({ kind: 'pause' });
    world.hold = undefined;
    world.send({ kind: 'held', generation: 1, custody: world.custody() });
    expect(world.hold).toBeUndefined();
  });

  it('is watched on: over a continue-as-new, and when the watch breaks off', () => {
    const world = paused();
    world.continueAsNew();
    expect([...world.runs]).toEqual([1]);
    world.runs.clear();
    world.send({ kind: 'run-lost', generation: 1 });
    world.drain();
    expect([...world.runs]).toEqual([1]);
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: '1 paused' });
  });

  it('survives the loss of the workflow', () => {
    const world = paused();
    world.rebirth();
    world.drain();
    expect(about(world)).toEqual({ phase: 'paused', desired: 'paused', live: '1 paused' });
  });

  it('of what is stopped changes nothing', () => {
    const world = running();
    world.send({ kind: 'stop' });
    world.drain();
    world.send({ kind: 'pause' });
    world.drain();
    expect(about(world)).toEqual({ phase: 'stopped', desired: 'stopped', live: undefined });
  });

  it('a definition that changes meanwhile is followed from the resume on', () => {
    const world = paused();
    const rules = { ...world.rules, launchDigest: 'v2' };
    world.send({ kind: 'configure' });
    world.admissions.clear();
    const { number: admission } = world.state.admission;
    world.send({ kind: 'admitted', admission, rules, custody: world.custody() });
    world.drain();
    expect(about(world).live).toBe('1 paused');
    world.send({ kind: 'resume' });
    world.drain();
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '2' });
  });

  it('a verdict that was on its way brings the watch back', () => {
    const world = running();
    world.runs.clear();
    world.send({ kind: 'pause' }, { kind: 'unhealthy', generation: 1, probe: 'liveness', why: 'silence' });
    world.drain();
    expect(about(world).live).toBe('1 paused');
    expect([...world.runs]).toEqual([1]);
  });
});

describe('verdicts', () => {
  const overrun = { resource: 'memory', value: 3e8, limit: 2e8, for_ms: 0 } as const;

  it('unhealthy ends the process and counts as a failure, whatever it exits with', () => {
    const world = running();
    world.findUnhealthy({ kind: 'unhealthy', probe: 'liveness', why: 'no answer' });
    for (const generation of [...world.stops]) world.carryOutStop(generation);
    expect(world.state.lastExit).toMatchObject({ code: 0, cause: 'unhealthy' });
    expect([world.state.phase.kind, world.state.failures.consecutive]).toEqual(['backoff', 1]);
    world.drain();
    expect(about(world).live).toBe('2');
  });

  it('over its limit with restart and kill too; kill leaves no time', () => {
    const world = running();
    world.findUnhealthy({ kind: 'over-limit', action: 'kill', overrun });
    expect(world.state.phase).toMatchObject({ order: { stop: { signal: 'SIGKILL', graceMs: 0 }, cause: 'limit' } });
    world.drain();
    expect([about(world).live, world.state.restarts]).toEqual(['2', 1]);
  });

  it('over its limit with stop is for good, and people are told', () => {
    const world = running();
    world.findUnhealthy({ kind: 'over-limit', action: 'stop', overrun });
    world.drain();
    expect(about(world)).toEqual({ phase: 'stopped', desired: 'stopped', live: undefined });
    expect(world.notices).toHaveLength(1);
    expect(world.state.reason).toContain('over its limit');
  });

  it.each([0, 2])('of another generation (%i) changes nothing', (generation) => {
    const world = running();
    world.send({ kind: 'unhealthy', generation, probe: 'liveness', why: '' });
    expect(about(world)).toEqual({ phase: 'live', desired: 'running', live: '1' });
  });

  it('loops of unhealthy processes are bounded like crash loops', () => {
    const world = running();
    for (let n = 0; n < 10; n += 1) {
      world.findUnhealthy({ kind: 'unhealthy', probe: 'startup', why: 'never up' });
      world.drain();
    }
    expect([about(world).phase, world.spawned.length]).toEqual(['disabled', 4]);
  });
});

describe('isUp', () => {
  it.each([
    [{ generation: 1, pid: 7, ready: true }, true],
    [{ generation: 1, pid: 7, ready: false }, false],
    [{ generation: 1, pid: 7, ready: true, paused: true }, false],
    [{ generation: 1, pid: null, ready: true }, false],
    [null, false],
  ])('%j is %s', (process, up) => {
    expect(isUp(process)).toBe(up);
  });
});

describe('compare', () => {
  const row = (phase: 'live' | 'paused', generation: number, handled: number) => ({ phase, generation, handled });
  const custody = (paused?: true) => ({ fence: 1, live: { generation: 1, pid: 7, ...(paused && { paused }) } });

  it.each([
    ['paused as it should be', row('paused', 1, 0), custody(true), 'none'],
    ['running although paused', row('paused', 1, 0), custody(), 'tell'],
    ['paused although it should run', row('live', 1, 0), custody(true), 'tell'],
    ['paused, its process gone unheard', row('paused', 1, 0), { fence: 1 }, 'tell'],
    ['paused without a process', row('paused', 1, 1), { fence: 1 }, 'none'],
  ])('%s', (_what, roster, held, action) => {
    expect(compare('open', roster, held, false)).toBe(action);
  });
});
