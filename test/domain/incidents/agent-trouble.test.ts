import { describe, expect, it } from 'vitest';
import { BUILT_IN_FAULT_DOMAINS, type BuiltInFaultDomain } from '../../../src/domain/fault-domains.ts';
import { describeTrouble } from '../../../src/domain/incidents/notice.ts';
import { describeOverrun, overrunIn, type Overrun } from '../../../src/domain/limits.ts';
import { World } from '../world.ts';

const MEMORY: Overrun = { resource: 'memory', value: 300 * 2 ** 20, limit: 256 * 2 ** 20, for_ms: 10_000 };
const CPU: Overrun = { resource: 'cpu', value: 95, limit: 90, for_ms: 0 };

describe('overrunIn', () => {
  it('reads what describeOverrun writes, wherever it stands', () => {
    expect(overrunIn(`stopped for good: ${describeOverrun(MEMORY)}`)).toEqual({
      value: 'memory 300 MiB',
      limit: '256 MiB for 10 s',
    });
    expect(overrunIn(describeOverrun(CPU))).toEqual({ value: 'cpu 95%', limit: '90%' });
    expect(overrunIn('the liveness check failed: no answer')).toBeUndefined();
  });
});

/** Fails as often as told, each time after a second. */
function failing(domain: BuiltInFaultDomain, times: number): World {
  const world = new World(BUILT_IN_FAULT_DOMAINS[domain]);
  for (let n = 0; n < times; n += 1) {
    world.drain();
    world.advance(1000);
    world.exit(7);
  }
  return world;
}

const told = (world: World): [kind: string, trouble: string, severity: string][] =>
  world.incidents.flatMap((effect) =>
    'trouble' in effect
      ? [[`${effect.kind} ${effect.trouble.kind}`, describeTrouble(effect.trouble), effect.trouble.severity]]
      : [],
  );

describe('the incidents of a failing agent', () => {
  it('default: opened at the 3rd failure, the same one at the 4th, when it is given up', () => {
    expect(told(failing('default', 4))).toEqual([
      [
        'open-incident failures',
        '3 failures in a row (limit 3), AutoHeal tried: 2 restarts, failed, somebody should look into it; it goes on being restarted',
        'warning',
      ],
      [
        'update-incident give_up',
        '4 failures within 5 min (limit 4), AutoHeal tried: 3 restarts, failed, manual work needed: find the cause, then start it again',
        'critical',
      ],
    ]);
  });

  it('strategy: given up at the 6th, one incident', () => {
    expect(told(failing('strategy', 6)).map(([kind]) => kind)).toEqual([
      'open-incident failures',
      'update-incident give_up',
    ]);
  });

  it.each(['data', 'master'] as const)('%s: never given up, told again as failures double', (domain) => {
    expect(told(failing(domain, 25)).map(([, trouble]) => trouble.split(',')[0])).toEqual([
      '3 failures in a row (limit 3)',
      '6 failures in a row (limit 3)',
      '12 failures in a row (limit 3)',
      '24 failures in a row (limit 3)',
    ]);
  });

  it('critical: the first is the last', () => {
    const world = failing('critical', 1);
    expect([told(world), world.failStops.decided.size]).toMatchObject([
      [['open-incident fail_stop', expect.any(String), 'critical']],
      1,
    ]);
    expect(told(world)[0]?.[1]).toContain('AutoHeal tried: nothing, it is not restarted');
  });

  it.each(['stop', 'delete', 'restart', 'start'] as const)('are over when an operator says %s', (kind) => {
    const world = failing('default', 4);
    world.send({ kind });
    expect(world.incidents.at(-1)).toMatchObject({ kind: 'resolve-incident', episode: 1 });
  });

  it('are over when its definition changes, and when it completes', () => {
    const changed = failing('default', 4);
    changed.send({ kind: 'configure' });
    const admission = [...changed.admissions][0]!;
    changed.send({
      kind: 'admitted',
      admission,
      rules: { ...changed.rules, launchDigest: 'v2' },
      custody: changed.custody(),
    });
    expect(changed.incidents.at(-1)).toMatchObject({ kind: 'resolve-incident' });
    const completed = failing('default', 3);
    completed.drain();
    completed.exit(0);
    expect(completed.incidents.at(-1)).toMatchObject({ kind: 'resolve-incident', summary: 'it has completed' });
  });

  it('name the limit that it was over', () => {
    const world = new World(BUILT_IN_FAULT_DOMAINS.default);
    for (let n = 0; n < 4; n += 1) {
      world.drain();
      world.findUnhealthy({ kind: 'over-limit', action: 'restart', overrun: MEMORY });
      const { order } = world.state.phase as { order: { why: string } };
      world.lastExit = undefined;
      world.exit(null, { cause: 'limit', why: order.why });
    }
    world.drain();
    expect(told(world).at(-1)?.[1]).toBe(
      'memory 300 MiB (limit 256 MiB for 10 s), AutoHeal tried: 3 restarts, failed, manual work needed: find the cause, then start it again',
    );
  });
});

describe('the notices of a limit', () => {
  const noticed = (): World => {
    const world = new World();
    world.drain();
    world.send({ kind: 'noticed', generation: 1, summary: describeOverrun(CPU) });
    return world;
  };

  it('are over when that process has ended', () => {
    const world = noticed();
    expect(world.troubles.map(describeTrouble)).toEqual([
      'cpu 95% (limit 90%), nothing was tried: it runs on (action notify), somebody should look into it',
    ]);
    world.exit(7);
    expect(world.noticesOver).toEqual(['generation 1 exited with code 7 after 0 ms']);
    world.drain();
    world.exit(7);
    expect(world.noticesOver).toHaveLength(1);
  });

  it('stand, for one that was stopped for good, until somebody starts it', () => {
    const world = new World();
    world.drain();
    world.findUnhealthy({ kind: 'over-limit', action: 'stop', overrun: CPU });
    world.drain();
    expect([world.state.phase.kind, world.troubles.length, world.noticesOver]).toEqual(['stopped', 1, []]);
    world.send({ kind: 'start' });
    expect(world.noticesOver).toEqual(['started by an operator']);
  });
});
