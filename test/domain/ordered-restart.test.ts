import { describe, expect, it } from 'vitest';
import type { Rules } from '../../src/domain/agent-state.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import type { RestartPolicy } from '../../src/domain/restart-policy.ts';
import { World } from './world.ts';

const POLICY: RestartPolicy = BUILT_IN_FAULT_DOMAINS.default;
const NEVER: RestartPolicy = { ...POLICY, restart: 'never' };

function running(policy: RestartPolicy): World {
  const world = new World(policy);
  world.admit();
  world.execute(1);
  return world;
}

describe('a process that ends by itself before an ordered restart has stopped it', () => {
  it.each([
    ['on-failure', 0, POLICY],
    ['on-failure', 1, POLICY],
    ['never', 0, NEVER],
    ['never', 1, NEVER],
    ['critical', 0, BUILT_IN_FAULT_DOMAINS.critical],
  ] as const)('is started again: %s, code %i', (_name, code, policy) => {
    for (const order of [['restart'], ['stop', 'start']] as const) {
      const world = running(policy);
      for (const kind of order) world.send({ kind });
      world.exit(code);
      expect(world.state).toMatchObject({ phase: { kind: 'live' }, desired: 'running', generation: 2 });
      expect(world.state.failures.consecutive).toBe(0);
      expect([world.incidents, world.failStops.decided.size]).toEqual([[], 0]);
      world.drain();
      expect(world.live?.generation).toBe(2);
    }
  });

  it('is started again also if a comparison brings the news', () => {
    const world = running(NEVER);
    world.send({ kind: 'restart' });
    world.exit(1, { doorbell: false });
    world.drain();
    expect([world.state.phase.kind, world.live?.generation, world.incidents]).toEqual(['live', 2, []]);
  });

  it('stays stopped if that was ordered last, and is judged if the stop was not an order', () => {
    const stopped = running(POLICY);
    for (const kind of ['restart', 'stop'] as const) stopped.send({ kind });
    stopped.exit(0);
    expect(stopped.state.phase.kind).toBe('stopped');
    const unhealthy = running(NEVER);
    unhealthy.findUnhealthy({ kind: 'unhealthy', probe: 'liveness', why: 'no answer' });
    unhealthy.runs.add(1);
    unhealthy.exit(1);
    expect(unhealthy.state.phase.kind).toBe('disabled');
  });

  it('does the task of a run again only if it is not done', () => {
    class Run extends World {
      override get rules(): Rules {
        return { ...super.rules, finite: true };
      }
    }
    for (const [code, phase] of [
      [0, 'completed'],
      [1, 'live'],
    ] as const) {
      const world = new Run(NEVER);
      world.admit();
      world.execute(1);
      world.send({ kind: 'restart' });
      world.exit(code);
      expect(world.state.phase.kind).toBe(phase);
    }
  });
});
