import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILT_IN_FAULT_DOMAINS, type BuiltInFaultDomain } from '../../src/domain/fault-domains.ts';
import type { Custody } from '../../src/domain/custody.ts';
import type { Overrun } from '../../src/domain/limits.ts';
import { World } from './world.ts';

const domains = Object.keys(BUILT_IN_FAULT_DOMAINS) as BuiltInFaultDomain[];

const OVERRUN: Overrun = { resource: 'cpu', value: 99, limit: 50, for_ms: 10_000 };

const exit = fc.record({
  generation: fc.nat(20),
  code: fc.constantFrom(0, 1, null),
  signal: fc.constant(null),
  cause: fc.constantFrom('self' as const, 'operator' as const),
  at: fc.constant('2026-01-01T00:00:00Z'),
  ran_ms: fc.nat(),
});
const lie: fc.Arbitrary<Custody> = fc.record(
  {
    fence: fc.oneof(fc.nat(20), fc.constant(Number.MAX_SAFE_INTEGER)),
    live: fc.record({ generation: fc.nat(20), pid: fc.nat() }),
    last_exit: exit,
  },
  { requiredKeys: ['fence'] },
);

type Move = (world: World) => void;
const moves: Record<string, fc.Arbitrary<Move>> = {
  admit: fc.constant((w) => w.admit()),
  refuse: fc.constant((w) => w.refuse()),
  execute: fc.constant((w) => [...w.runs].forEach((g) => w.execute(g))),
  executeAgain: fc.nat(8).map((g) => (w) => w.spawned.some((s) => s.generation === g) && w.execute(g, true)),
  exit: fc.constantFrom(0, 1, 7).map((code) => (w) => w.exit(code)),
  exitUnheard: fc.constantFrom(0, 1).map((code) => (w) => w.exit(code, { doorbell: false })),
  custodianLost: fc.constant((w) => w.exit(null, { cause: 'custodian_lost' })),
  stopCarriedOut: fc.constant((w) => [...w.stops].forEach((g) => w.carryOutStop(g))),
  stopUnanswered: fc.constant((w) => [...w.stops].forEach((g) => w.carryOutStop(g, { answered: false }))),
  advance: fc.constantFrom(1, 500, 30_000, 90_000).map((ms) => (w) => w.advance(ms)),
  start: fc.constant((w) => w.send({ kind: 'start' })),
  stop: fc.constant((w) => w.send({ kind: 'stop' })),
  restart: fc.constant((w) => w.send({ kind: 'restart' })),
  pause: fc.constant((w) => w.send({ kind: 'pause' })),
  resume: fc.constant((w) => w.send({ kind: 'resume' })),
  holdCarriedOut: fc.constant((w) => w.carryOutHold()),
  // A pause that got lost, or a late one: only a comparison brings it to light.
  holdReversed: fc.boolean().map((paused) => (w) => {
    if (w.live && !w.hold)
      w.live = { generation: w.live.generation, startedMs: w.live.startedMs, ...(paused && { paused }) };
  }),
  unhealthy: fc.constant((w) => w.findUnhealthy({ kind: 'unhealthy', probe: 'liveness', why: 'no answer' })),
  overLimit: fc
    .constantFrom('restart' as const, 'stop' as const, 'kill' as const)
    .map((action) => (w) => w.findUnhealthy({ kind: 'over-limit', action, overrun: OVERRUN })),
  meet: fc.constant((w) => w.meet()),
  configure: fc.constant((w) => w.send({ kind: 'configure' })),
  reconcile: fc.constant((w) => w.tell()),
  lookedUp: fc.constant((w) => w.answerLookUps()),
  lie: lie.map((custody) => (w) => w.tell(custody)),
  continueAsNew: fc.constant((w) => w.continueAsNew()),
  failStopped: fc.constant((w) => w.carryOutFailStops()),
  rebirth: fc.constant((w) => w.rebirth()),
  runLost: fc.constant((w) =>
    [...w.runs].forEach((g) => w.runs.delete(g) && w.send({ kind: 'run-lost', generation: g })),
  ),
};
const move = fc.oneof(...Object.entries(moves).map(([name, arb]) => arb.map((apply) => ({ name, apply }))));
const story = fc.record({
  domain: fc.constantFrom(...domains),
  depends: fc.boolean(),
  moves: fc.array(move, { maxLength: 60, size: 'max' }),
});

function play(domain: BuiltInFaultDomain, list: { apply: Move }[], depends = false): World {
  const world = new World(BUILT_IN_FAULT_DOMAINS[domain], true, depends);
  for (const { apply } of list) apply(world);
  return world;
}

function expectAtRest(world: World): void {
  const { phase, desired } = world.state;
  if (desired === 'stopped') expect([phase.kind, world.live]).toEqual(['stopped', undefined]);
  else if (world.live) {
    const kind = desired === 'paused' ? 'paused' : 'live';
    expect([phase.kind, world.state.generation]).toEqual([kind, world.live.generation]);
    expect(world.live.paused ?? false).toBe(desired === 'paused');
  } else if (desired === 'paused')
    expect([phase.kind, world.state.handled]).toEqual(['paused', world.state.generation]);
  else expect(['completed', 'disabled']).toContain(phase.kind);
}

describe('agent reducer', () => {
  it('never asks for an incarnation while another one lives, nor for one that has ended', () => {
    fc.assert(
      fc.property(story, (s) => {
        expect(play(s.domain, s.moves, s.depends).violations).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('spawns each generation at most once and only upwards', () => {
    fc.assert(
      fc.property(story, (s) => {
        const generations = play(s.domain, s.moves, s.depends).spawned.map((x) => x.generation);
        return generations.every((g, i) => i === 0 || g > generations[i - 1]!);
      }),
      { numRuns: 500 },
    );
  });

  it('drains: it comes to rest where it is wanted, whatever happened', () => {
    fc.assert(
      fc.property(story, (s) => {
        const world = play(s.domain, s.moves, s.depends);
        world.drain();
        expectAtRest(world);
      }),
      { numRuns: 500 },
    );
  });

  it('deletes for good: nothing lives, and nothing is asked for any more', () => {
    fc.assert(
      fc.property(story, fc.array(move, { maxLength: 20 }), (s, after) => {
        const world = play(s.domain, s.moves, s.depends);
        world.send({ kind: 'delete' });
        for (const { apply } of after) apply(world);
        world.drain();
        expect(world.state.phase).toMatchObject({ kind: 'closed', outcome: { kind: 'deleted' } });
        expect(world.live).toBeUndefined();
        expect(world.runs.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('survives the loss of its workflow: the process is adopted, an end that was not consumed is consumed once', () => {
    fc.assert(
      fc.property(story, fc.constantFrom('lives', 'ended', 'unheard'), (s, what) => {
        const world = play(s.domain, s.moves, s.depends);
        world.drain();
        const before = { live: world.live, spawned: world.spawned.length, handled: world.state.handled };
        if (what === 'ended') world.exit(7);
        if (what === 'unheard') world.exit(7, { doorbell: false });
        world.rebirth();
        world.drain();
        if (what === 'lives' && before.live && world.state.desired === 'running') {
          expect(world.live).toEqual(before.live);
          expect(world.spawned.length).toBe(before.spawned);
        }
        if (what !== 'lives' && before.live) expect(world.state.handled).toBeGreaterThan(before.handled);
        expect(world.violations).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('carries out the fail-stop that it has decided last, whatever becomes of its run', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60, size: 'max' }), (list) => {
        const world = play('critical', list);
        world.drain();
        const { decided, done } = world.failStops;
        if (decided.size > 0) expect(done).toContain(Math.max(...decided));
        expect(world.state).not.toHaveProperty('failStop');
      }),
      { numRuns: 500 },
    );
  });

  it('believes nobody but the custodian: what is told only makes it ask', () => {
    fc.assert(
      fc.property(story, lie, (s, custody) => {
        const world = play(s.domain, s.moves);
        const before = JSON.stringify(world.state);
        world.tell(custody);
        expect(JSON.stringify(world.state)).toBe(before);
        expect(world.violations).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('does not ask while it is told what it knows', () => {
    fc.assert(
      fc.property(story, (s) => {
        const world = play(s.domain, s.moves);
        world.drain();
        world.tell();
        expect(world.lookUps).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('watches a process again whose end somebody had made up', () => {
    fc.assert(
      fc.property(story, exit, fc.boolean(), (s, made, dies) => {
        const world = play(s.domain, s.moves);
        world.drain();
        const { live } = world;
        if (!live) return;
        world.runs.delete(live.generation);
        world.send({ kind: 'ended', exit: { ...made, generation: live.generation } });
        // It asks for another one, and the custodian refuses that.
        for (const generation of world.runs) world.execute(generation);
        if (dies) world.exit(1, { doorbell: false });
        world.violations = [];
        world.drain();
        expectAtRest(world);
        if (dies) return;
        if (world.state.desired === 'stopped') return expect(world.live).toBeUndefined();
        expect(world.live?.generation).toBe(live.generation);
        expect(world.state).toMatchObject({ generation: live.generation, handled: live.generation - 1 });
        expect(world.runs.has(live.generation)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('consumes the end of a generation once, however often it is told', () => {
    fc.assert(
      fc.property(story, (s) => {
        const world = new World(BUILT_IN_FAULT_DOMAINS[s.domain]);
        for (const { apply } of s.moves) {
          apply(world);
          world.repeatOldNews();
        }
        expect(world.violations).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('is deterministic and keeps plain JSON', () => {
    fc.assert(
      fc.property(story, (s) => {
        expect(play(s.domain, s.moves, s.depends).state).toEqual(play(s.domain, s.moves, s.depends).state);
      }),
      { numRuns: 100 },
    );
  });
});

describe('crash loops', () => {
  const crashes = fc.array(fc.record({ ranMs: fc.nat(120_000), waitMs: fc.nat(5_000) }), {
    minLength: 10,
    maxLength: 40,
  });

  const crashLoop = (domain: BuiltInFaultDomain, list: { ranMs: number; waitMs: number }[]): World => {
    const world = new World(BUILT_IN_FAULT_DOMAINS[domain]);
    for (const { ranMs, waitMs } of list) {
      world.drain();
      world.advance(ranMs);
      world.exit(7);
      world.advance(waitMs);
    }
    return world;
  };

  it('default starts at most 4 times in any 5 minutes', () => {
    fc.assert(
      fc.property(crashes, (list) => {
        const starts = crashLoop('default', list).spawned.map((s) => s.atMs);
        for (const from of starts) {
          expect(starts.filter((t) => t >= from && t < from + 300_000).length).toBeLessThanOrEqual(4);
        }
      }),
    );
  });

  it('strategy restarts at most 5 times without a stable run between', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ ranMs: fc.nat(59_000), waitMs: fc.nat(5_000) }), { minLength: 10 }), (list) => {
        expect(crashLoop('strategy', list).spawned.length).toBe(6);
      }),
    );
  });

  it.each(domains)('%s opens at most one incident an episode', (domain) => {
    fc.assert(
      fc.property(crashes, (list) => {
        const opened = crashLoop(domain, list).incidents.filter((c) => c.kind === 'open-incident');
        const episodes = opened.map((c) => ('episode' in c ? c.episode : 0));
        expect(new Set(episodes).size).toBe(episodes.length);
      }),
    );
  });
});
