import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteRoster } from '../../src/adapters/sqlite/roster.ts';
import type { Roster } from '../../src/ports/roster.ts';
import { fleetEvents, type FleetEvent, type FollowOptions } from '../../src/service/fleet-events.ts';
import { viewOf } from '../../src/service/view.ts';
import { decisionOf, transitionOf } from '../contracts/roster-contract.ts';

let folder: string;
let roster: Roster;
let ending: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-events-'));
  roster = await openSqliteRoster(path.join(folder, 'roster.db'));
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  await roster.close();
  await rm(folder, { recursive: true, force: true });
});

const follow = (options: FollowOptions = {}): AsyncGenerator<FleetEvent> =>
  fleetEvents(roster, (row) => viewOf(row, false), options, ending.signal);

const textOf = (event: FleetEvent): string => {
  switch (event.kind) {
    case 'transition':
      return `${event.transition.agent_id} transition ${event.transition.sequence}`;
    case 'agent':
      return `${event.agent.agent_id} shown ${event.agent.reason}`;
    case 'removed':
      return `${event.agent_id} removed`;
  }
};

async function take(events: AsyncGenerator<FleetEvent>, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    texts.push(textOf(next.value));
  }
  return texts;
}

const publish = (agent_id: string, sequence: number, reason = `r${sequence}`): Promise<void> =>
  roster.publish(decisionOf({ agent_id, sequence, reason, transitions: [transitionOf(sequence)] }));

test('fleetEvents tells from now on, a transition before what is shown after it', async () => {
  await publish('a', 1);
  const events = follow();
  const first = take(events, 2);
  await new Promise((resolve) => setImmediate(resolve));
  await publish('a', 2);
  expect(await first).toEqual(['a transition 2', 'a shown r2']);
  await roster.remove('a');
  expect(await take(events, 1)).toEqual(['a removed']);
});

test('fleetEvents resumes after an id without leaving anything out, then shows all as they are', async () => {
  for (let n = 1; n <= 450; n += 1) void publish('a', n);
  await publish('b', 1);
  const [first] = await roster.transitions({ after: 0, limit: 1 });
  const texts = await take(follow({ after: first!.id }), 452);
  expect(texts.slice(0, 449)).toEqual(Array.from({ length: 449 }, (_, n) => `a transition ${n + 2}`));
  expect(texts.slice(449)).toEqual(['b transition 1', 'a shown r450', 'b shown r1']);
});

test('fleetEvents tells of the agents that are asked for only', async () => {
  await publish('a', 1);
  await publish('b', 1);
  await publish('c', 1);
  expect(await take(follow({ after: 0, agentIds: ['b'] }), 2)).toEqual(['b transition 1', 'b shown r1']);
  expect(await take(follow({ after: 0, agentIds: ['a', 'c'] }), 4)).toEqual([
    'a transition 1',
    'c transition 1',
    'a shown r1',
    'c shown r1',
  ]);
});

test('fleetEvents keeps of what a slow follower has not taken the last of each agent, and every transition', async () => {
  await publish('a', 1);
  const events = follow({ after: 0 });
  expect(await take(events, 1)).toEqual(['a transition 1']);
  for (let n = 2; n <= 50; n += 1) await publish('a', n);
  const texts = await take(events, 51);
  expect(texts.filter((text) => text.includes('transition'))).toHaveLength(49);
  expect(texts.at(-1)).toBe('a shown r50');
});

test('fleetEvents ends when its signal aborts', async () => {
  const events = follow();
  const next = events.next();
  ending.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});
