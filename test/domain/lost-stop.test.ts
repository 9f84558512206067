import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

/** Asked for and not spawned; the stop is carried out, and whoever was to hear of it has died. */
function stoppedUnheard(...orders: ('stop' | 'restart' | 'delete')[]): World {
  const world = new World();
  world.admit();
  for (const kind of orders) world.send({ kind });
  world.carryOutStop(1, { answered: false });
  expect(world.state).toMatchObject({ phase: { kind: 'stopping' }, generation: 1, handled: 0 });
  return world;
}

describe('the answer to the stop of what had not started gets lost', () => {
  it('is stopped as soon as somebody compares', () => {
    const world = stoppedUnheard('stop');
    world.tell();
    world.answerLookUps();
    expect(world.state).toMatchObject({ phase: { kind: 'stopped' }, generation: 1, handled: 1 });
  });

  it('is deleted as soon as the start is refused', () => {
    const world = stoppedUnheard('delete');
    world.execute(1);
    expect(world.state.phase).toEqual({ kind: 'closed', outcome: { kind: 'deleted' } });
  });

  it('is started again if a restart was ordered', () => {
    const world = stoppedUnheard('restart');
    world.execute(1);
    expect(world.state).toMatchObject({ phase: { kind: 'live' }, generation: 2 });
    world.drain();
    expect(world.spawned.map(({ generation }) => generation)).toEqual([2]);
  });

  it('is settled once: a late answer changes nothing', () => {
    const world = stoppedUnheard('restart');
    world.execute(1);
    world.execute(2);
    world.carryOutStop(1);
    expect([world.state.phase.kind, world.live?.generation, world.violations]).toEqual(['live', 2, []]);
  });
});
