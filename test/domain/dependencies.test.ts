import { describe, expect, it } from 'vitest';
import { areMet, dependencyCycle, describeDependencies, stopWaves } from '../../src/domain/dependencies.ts';
import type { PublicState } from '../../src/domain/public-state.ts';
import { World } from './world.ts';

const states =
  (known: Record<string, PublicState>) =>
  (agentId: string): PublicState | undefined =>
    known[agentId];

describe('areMet', () => {
  it.each([
    [
      'started',
      ['running', 'unready', 'paused', 'completed'],
      ['pending', 'starting', 'backoff', 'stopped', 'disabled'],
    ],
    ['ready', ['running', 'completed'], ['unready', 'starting', 'paused', 'stopping']],
    ['completed', ['completed'], ['running', 'stopped', 'disabled']],
  ] as const)('%s is met by %j and not by %j', (condition, met, notMet) => {
    for (const state of met) expect(areMet({ a: condition }, states({ a: state }))).toBe(true);
    for (const state of notMet) expect(areMet({ a: condition }, states({ a: state }))).toBe(false);
  });

  it('wants all of them, and none that does not exist is there', () => {
    expect(areMet({ a: 'started', b: 'started' }, states({ a: 'running' }))).toBe(false);
    expect(areMet({}, states({}))).toBe(true);
  });
});

describe('describeDependencies', () => {
  it('says for whom it waits, and how they must stand', () => {
    const text = describeDependencies({ store: 'ready', config: 'completed' });
    expect(text).toBe('waiting for config to be completed and store to be ready');
  });
});

describe('stopWaves', () => {
  const needs: Record<string, string[]> = { web: ['api'], api: ['db', 'cache'], job: ['db'], db: [], cache: ['gone'] };
  const of = (agentId: string): string[] => needs[agentId] ?? [];

  it('stops dependents before what they depend on', () => {
    expect(stopWaves(['db', 'cache', 'api', 'web', 'job'], of)).toEqual([['job', 'web'], ['api'], ['cache', 'db']]);
  });

  it('stops only those that are there, in order also if what lies between them is gone', () => {
    expect(stopWaves(['db', 'web', 'job'], of)).toEqual([['job', 'web'], ['db']]);
    expect(stopWaves(['cache', 'job'], of)).toEqual([['cache', 'job']]);
    expect(stopWaves([], of)).toEqual([]);
  });

  it('stops a cycle together', () => {
    const round: Record<string, string[]> = { a: ['b'], b: ['a'], c: ['a'] };
    expect(stopWaves(['a', 'b', 'c'], (id) => round[id] ?? [])).toEqual([['c'], ['a', 'b']]);
  });
});

describe('dependencyCycle', () => {
  it('finds one, and none where there is none', () => {
    expect(
      dependencyCycle(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b']);
    expect(dependencyCycle(new Map([['a', ['a']]]))).toEqual(['a', 'a']);
    expect(
      dependencyCycle(
        new Map([
          ['a', ['b', 'c']],
          ['b', ['c']],
          ['c', []],
        ]),
      ),
    ).toBeUndefined();
  });
});

describe('an agent that was re-created before it had started', () => {
  it('waits for what it depends on, and a pause of that asks for no start', () => {
    const world = new World(undefined, true, true);
    world.admit();
    world.meet();
    world.rebirth();
    world.admit();
    world.send({ kind: 'pause' });
    world.continueAsNew();
    world.drain();
    expect(world.violations).toEqual([]);
    expect(world.state).toMatchObject({ phase: { kind: 'paused' }, generation: 1, handled: 1 });
  });
});
