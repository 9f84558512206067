import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Decision, ProcessFacts, Roster, RosterChange } from '../../src/ports/roster.ts';

export interface RosterFixture {
  roster: Roster;
  dispose: () => Promise<void>;
}

/** What every roster must do, whatever it is kept in. */
export function rosterContract(name: string, makeRoster: () => Promise<RosterFixture>): void {
  describe(name, () => {
    let fixture: RosterFixture;
    let roster: Roster;
    beforeEach(async () => {
      fixture = await makeRoster();
      roster = fixture.roster;
    });
    afterEach(() => fixture.dispose());

    const changesOf = (): RosterChange[] => {
      const changes: RosterChange[] = [];
      roster.subscribe((change) => changes.push(change));
      return changes;
    };

    it('publish makes a row that get and list show as it was decided', async () => {
      const decision = decisionOf({ reason: 'because "quoted" \u{1f680} \ud800 \0 end' });
      await roster.publish(decision);
      expect(await roster.get('a')).toEqual({ agent_id: 'a', decision, process: null });
      expect(await roster.list()).toEqual([{ agent_id: 'a', decision, process: null }]);
      expect(await roster.get('b')).toBeUndefined();
    });

    it('publish ignores what the same run told before, and takes a higher sequence, whatever the clock says', async () => {
      await roster.publish(decisionOf({ sequence: 5, at_ms: 1000, reason: 'five' }));
      const changes = changesOf();
      await roster.publish(decisionOf({ sequence: 5, at_ms: 1000, reason: 'again' }));
      await roster.publish(decisionOf({ sequence: 4, at_ms: 999, reason: 'four' }));
      expect((await roster.get('a'))?.decision.reason).toBe('five');
      expect(changes).toEqual([]);
      await roster.publish(decisionOf({ sequence: 6, at_ms: 1, reason: 'six' }));
      expect((await roster.get('a'))?.decision.reason).toBe('six');
    });

    // The daemon died after the news and before its task was done: it is done again, with what has come meanwhile.
    it('publish takes later news of the same run, whatever the sequence says', async () => {
      await roster.publish(decisionOf({ sequence: 5, at_ms: 1000, reason: 'of a task that died' }));
      await roster.publish(decisionOf({ sequence: 4, at_ms: 1001, reason: 'four' }));
      expect((await roster.get('a'))?.decision.reason).toBe('four');
      await roster.publish(decisionOf({ sequence: 5, at_ms: 1002, reason: 'five' }));
      expect((await roster.get('a'))?.decision.reason).toBe('five');
    });

    it('publish forgets the transitions of a task that died, in favour of those of the one that did them again', async () => {
      const at = (n: number, at_ms: number, reason: string): T => ({ ...transitionOf(n), at_ms, reason });
      await roster.publish(decisionOf({ sequence: 2, at_ms: 10, transitions: [at(1, 1, 'one')] }));
      const died = [at(1, 1, 'one'), at(3, 20, 'of the dead'), at(4, 20, 'of the dead'), at(5, 20, 'of the dead')];
      await roster.publish(decisionOf({ sequence: 6, at_ms: 20, transitions: died }));
      await roster.publish(decisionOf({ sequence: 4, at_ms: 30, transitions: [at(1, 1, 'one'), at(3, 30, 'three')] }));
      const reasons = (await roster.history('a', { limit: 10 })).map(({ reason }) => reason);
      expect(reasons).toEqual(['three', 'one']);
    });

    it('publish takes the newer of two runs by time, whatever the sequence says', async () => {
      await roster.publish(decisionOf({ run_id: 'old', sequence: 50, at_ms: 1000 }));
      await roster.publish(decisionOf({ run_id: 'new', sequence: 1, at_ms: 1001 }));
      await roster.publish(decisionOf({ run_id: 'old', sequence: 51, at_ms: 1000 }));
      expect((await roster.get('a'))?.decision.run_id).toBe('new');
    });

    it('publish takes a run with a higher generation also when the clock was set back', async () => {
      await roster.publish(decisionOf({ run_id: 'old', at_ms: 9000, generation: 3 }));
      await roster.publish(decisionOf({ run_id: 'new', at_ms: 1000, generation: 4 }));
      expect((await roster.get('a'))?.decision.run_id).toBe('new');
    });

    it('publish appends transitions once, also those of a decision that comes late', async () => {
      const [one, two, three] = [1, 2, 3].map((n) => transitionOf(n)) as [T, T, T];
      await roster.publish(decisionOf({ sequence: 3, transitions: [two, three] }));
      await roster.publish(decisionOf({ sequence: 2, transitions: [one, two] }));
      const entries = await roster.history('a', { limit: 10 });
      expect(new Set(entries.map((entry) => entry.sequence))).toEqual(new Set([1, 2, 3]));
      expect(entries).toHaveLength(3);
    });

    it('publish appends transitions once that a continued run carries on', async () => {
      await roster.publish(decisionOf({ sequence: 2, at_ms: 1, transitions: [transitionOf(1), transitionOf(2)] }));
      const continued = [transitionOf(1), transitionOf(2), transitionOf(3)];
      await roster.publish(decisionOf({ run_id: 'r2', sequence: 3, at_ms: 2, transitions: continued }));
      const entries = await roster.history('a', { limit: 10 });
      expect(entries.map(({ sequence, run_id }) => `${run_id} ${sequence}`)).toEqual(['r2 3', 'r 2', 'r 1']);
    });

    it('publish of a closing decision removes the row, records its transitions and notifies with it', async () => {
      await roster.publish(decisionOf({ sequence: 1 }));
      await roster.recordProcess('a', processOf());
      const changes = changesOf();
      const closing = closingOf({ sequence: 2, transitions: [transitionOf(2)] });
      await roster.publish(closing);
      expect(changes).toEqual([{ kind: 'removed', agent_id: 'a', closing }]);
      expect(await roster.get('a')).toBeUndefined();
      expect(await roster.list()).toEqual([]);
      expect(await roster.history('a', { limit: 10 })).toHaveLength(1);
    });

    it('publish of a closing decision notifies also when it is the first that is heard of the agent', async () => {
      const changes = changesOf();
      await roster.publish(closingOf({}));
      expect(changes.map((change) => change.kind)).toEqual(['removed']);
    });

    it('publish of a late decision does not bring back what is closed, and a new life does', async () => {
      await roster.publish(closingOf({ sequence: 9, at_ms: 900, generation: 2 }));
      await roster.publish(decisionOf({ sequence: 8, at_ms: 800 }));
      await roster.publish(decisionOf({ run_id: 'older', sequence: 99, at_ms: 100 }));
      await roster.recordProcess('a', processOf({ generation: 2 }));
      expect(await roster.get('a')).toBeUndefined();
      await roster.publish(decisionOf({ run_id: 'next', sequence: 1, at_ms: 1000 }));
      expect(await roster.get('a')).toMatchObject({ decision: { run_id: 'next' }, process: null });
    });

    it('closing is the last decision of who is gone, and of nobody else', async () => {
      expect(await roster.closing('a')).toBeUndefined();
      await roster.publish(decisionOf({ sequence: 1 }));
      expect(await roster.closing('a')).toBeUndefined();
      const closing = closingOf({ sequence: 9, at_ms: 900, request_id: 'q' });
      await roster.publish(closing);
      expect(await roster.closing('a')).toEqual(closing);
      await roster.publish(decisionOf({ run_id: 'next', sequence: 1, at_ms: 1000 }));
      expect(await roster.closing('a')).toBeUndefined();
      await roster.remove('a');
      expect(await roster.closing('a')).toBeUndefined();
    });

    it('recordProcess joins the row, and ignores an older generation', async () => {
      await roster.publish(decisionOf({ generation: 2 }));
      await roster.recordProcess('a', processOf({ generation: 2, pid: 20 }));
      await roster.recordProcess('a', processOf({ generation: 1, pid: 10 }));
      expect((await roster.get('a'))?.process).toEqual(processOf({ generation: 2, pid: 20 }));
      await roster.recordProcess('a', processOf({ generation: 2, pid: null }));
      expect((await roster.get('a'))?.process?.pid).toBeNull();
    });

    it('recordProcess ignores the start of a generation whose end is recorded', async () => {
      await roster.publish(decisionOf({}));
      await roster.recordProcess('a', endOf(1));
      await roster.recordProcess('a', processOf({ generation: 1, pid: 10 }));
      expect((await roster.get('a'))?.process).toEqual(endOf(1));
    });

    it('recordProcess keeps the last exit while nobody tells of a later one', async () => {
      await roster.publish(decisionOf({}));
      await roster.recordProcess('a', endOf(1));
      await roster.recordProcess('a', processOf({ generation: 2, pid: 20 }));
      expect((await roster.get('a'))?.process).toEqual({
        ...processOf({ generation: 2, pid: 20 }),
        last_exit: endOf(1).last_exit,
      });
    });

    it('recordProcess takes the end of a generation also when the next has started already', async () => {
      await roster.publish(decisionOf({}));
      await roster.recordProcess('a', processOf({ generation: 3, pid: 30 }));
      await roster.recordProcess('a', endOf(2));
      await roster.recordProcess('a', endOf(1));
      expect((await roster.get('a'))?.process).toMatchObject({ generation: 3, pid: 30, last_exit: { generation: 2 } });
    });

    it('recordProcess of an agent without a row is kept until there is one', async () => {
      const changes = changesOf();
      await roster.recordProcess('a', processOf({ pid: 7 }));
      expect(await roster.get('a')).toBeUndefined();
      expect(changes).toEqual([]);
      await roster.publish(decisionOf({}));
      expect((await roster.get('a'))?.process?.pid).toBe(7);
      expect(changes).toMatchObject([{ kind: 'row', row: { process: { pid: 7 } } }]);
    });

    it('recordProcess of facts that are known already notifies nobody', async () => {
      await roster.publish(decisionOf({}));
      await roster.recordProcess('a', processOf());
      const changes = changesOf();
      await roster.recordProcess('a', processOf());
      expect(changes).toEqual([]);
    });

    it('list is ordered by agent id', async () => {
      for (const id of ['b', 'B', 'a', 'a.1']) await roster.publish(decisionOf({ agent_id: id }));
      expect((await roster.list()).map((row) => row.agent_id)).toEqual(['B', 'a', 'a.1', 'b']);
    });

    it('history pages from newest to oldest', async () => {
      const transitions = [1, 2, 3, 4, 5].map((n) => transitionOf(n));
      await roster.publish(decisionOf({ sequence: 5, transitions }));
      const first = await roster.history('a', { limit: 2 });
      expect(first.map((entry) => entry.sequence)).toEqual([5, 4]);
      expect(first[0]).toEqual({ id: first[0]?.id, run_id: 'r', ...transitionOf(5) });
      const rest = await roster.history('a', { limit: 10, before: first[1]?.id as number });
      expect(rest.map((entry) => entry.sequence)).toEqual([3, 2, 1]);
      expect(await roster.history('b', { limit: 10 })).toEqual([]);
    });

    it('remove takes out the row and keeps the history, unless it purges', async () => {
      await roster.publish(decisionOf({ transitions: [transitionOf(1)] }));
      await roster.recordProcess('a', processOf());
      const changes = changesOf();
      await roster.remove('a');
      await roster.remove('a');
      expect(changes).toEqual([{ kind: 'removed', agent_id: 'a' }]);
      expect(await roster.get('a')).toBeUndefined();
      expect(await roster.history('a', { limit: 9 })).toHaveLength(1);
      await roster.remove('a', { purge: true });
      expect(await roster.history('a', { limit: 9 })).toEqual([]);
    });

    it('remove with purge is not undone by a late copy of the last decision', async () => {
      const closing = closingOf({ transitions: [transitionOf(1)] });
      await roster.publish(closing);
      await roster.remove('a', { purge: true });
      await roster.publish(closing);
      expect(await roster.history('a', { limit: 9 })).toEqual([]);
    });

    it('setFact replaces what getFact tells', async () => {
      expect(await roster.getFact('config')).toBeUndefined();
      await roster.setFact('config', '/a');
      await roster.setFact('config', '/b');
      expect(await roster.getFact('config')).toBe('/b');
    });

    it('subscribe hears every change in order, before the call that made it returns', async () => {
      const changes = changesOf();
      const many = Array.from({ length: 50 }, (_, n) => decisionOf({ agent_id: `a${n % 7}`, sequence: n + 1 }));
      await Promise.all(many.map((decision) => roster.publish(decision)));
      const heard = changes.map((change) => change.kind === 'row' && change.row.decision.sequence);
      expect(heard).toEqual(many.map((decision) => decision.sequence));
    });

    it('subscribe returns what ends it, and a listener that throws harms no other', async () => {
      const heard: string[] = [];
      roster.subscribe(() => {
        throw new Error('a bad listener');
      });
      const end = roster.subscribe((change) => heard.push(change.kind));
      await roster.publish(decisionOf({ sequence: 1 }));
      end();
      await roster.publish(decisionOf({ sequence: 2 }));
      expect(heard).toEqual(['row']);
    });

    it('calls of one tick see each other in order', async () => {
      const [, row, , gone] = await Promise.all([
        roster.publish(decisionOf({ sequence: 1 })),
        roster.get('a'),
        roster.publish(closingOf({ sequence: 2 })),
        roster.get('a'),
      ]);
      expect(row?.decision.sequence).toBe(1);
      expect(gone).toBeUndefined();
    });

    it('a call that cannot be recorded fails alone', async () => {
      const bad = { ...decisionOf({ agent_id: 'bad' }), run_id: null } as unknown as Decision;
      const results = await Promise.allSettled([
        roster.publish(decisionOf({ agent_id: 'good' })),
        roster.publish(bad),
        roster.publish(decisionOf({ agent_id: 'better' })),
      ]);
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await roster.list()).map((row) => row.agent_id)).toEqual(['better', 'good']);
    });

    it('close lets what was called before it finish, and refuses what comes after', async () => {
      const write = roster.publish(decisionOf({}));
      await Promise.all([roster.close(), roster.close()]);
      await expect(write).resolves.toBeUndefined();
      await expect(roster.get('a')).rejects.toMatchObject({ code: 'INTERNAL' });
    });

    it('decisions and facts in any order, however often, lead to the same rows and transitions', async () => {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(lives, fc.infiniteStream(fc.nat()), async (life, random) => {
          round += 1;
          const ids = [`ordered-${round}`, `shuffled-${round}`] as const;
          for (const [index, id] of ids.entries()) {
            const facts = life.map((fact) => rename(fact, id));
            const order = index === 0 ? facts : shuffleAndRepeat(facts, random);
            await Promise.all(order.map((fact) => apply(roster, fact)));
          }
          const [ordered, shuffled] = await Promise.all(ids.map((id) => outcome(roster, id)));
          expect(shuffled).toEqual(ordered);
        }),
        { numRuns: 100 },
      );
    });
  });
}

// ── a life to publish ───────────────────────────────────────────────────────────────────────────────────────────

type T = Decision['transitions'][number];

export const transitionOf = (sequence: number): T => ({
  sequence,
  at_ms: Date.UTC(2026, 0, 1) + sequence + recent,
  state: 'live',
  generation: 1,
  reason: `transition ${sequence}`,
});
/** Transitions of the past are pruned: these are of today. */
const recent = Date.now() - Date.UTC(2026, 0, 1);

export const decisionOf = (own: Partial<Decision>): Decision => ({
  agent_id: 'a',
  workflow_id: `agent/${own.agent_id ?? 'a'}`,
  run_id: 'r',
  sequence: 1,
  at_ms: 1000,
  phase: { kind: 'live' },
  desired: 'running',
  revision: 0,
  reason: 'created',
  generation: 1,
  restarts: 0,
  template_id: null,
  template_version: null,
  fault_domain: 'default',
  critical: false,
  host: null,
  input: { agent_id: own.agent_id ?? 'a', command: ['true'] },
  snapshot: {
    desired: 'running',
    generation: 1,
    handled: 0,
    failures: { consecutive: 0, timesMs: [] },
    episode: { number: 0, incident: false },
    restarts: 0,
    lastExit: null,
    phase: 'other',
    reason: 'created',
  },
  transitions: [],
  ...own,
});

const closingOf = (own: Partial<Decision>): Decision =>
  decisionOf({ desired: 'deleted', phase: { kind: 'closed', outcome: { kind: 'deleted' } }, ...own });

const processOf = (own: Partial<ProcessFacts> = {}): ProcessFacts => ({
  generation: 1,
  pid: 1,
  started_at: '2026-01-01T00:00:00.000Z',
  ready: true,
  log_path: '/logs/a/1.log',
  last_exit: null,
  ...own,
});

const endOf = (generation: number): ProcessFacts => ({
  generation,
  pid: null,
  started_at: null,
  ready: false,
  log_path: null,
  last_exit: {
    generation,
    code: 1,
    signal: null,
    cause: 'self',
    at: '2026-01-01T00:00:00.000Z',
    ran_ms: 10,
    reason: `generation ${generation} exited with code 1`,
    log_tail: 'bye',
  },
});

type Fact = { kind: 'decision'; decision: Decision } | { kind: 'process'; agentId: string; process: ProcessFacts };

/** Several runs, each of several decisions with the tail of transitions, and a process a generation. */
const lives: fc.Arbitrary<Fact[]> = fc
  .array(fc.record({ steps: fc.integer({ min: 1, max: 5 }), carries: fc.boolean(), closes: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((runs) => {
    const facts: Fact[] = [];
    let clock = 1000;
    let generation = 0;
    let sequence = 0;
    let tail: T[] = [];
    for (const [index, run] of runs.entries()) {
      if (!run.carries) [sequence, tail] = [0, []];
      for (let step = 1; step <= run.steps; step += 1) {
        [clock, generation, sequence] = [clock + 1, generation + 1, sequence + 1];
        tail = [...tail, { ...transitionOf(sequence), at_ms: recent + clock, reason: `${index}/${step}` }].slice(-3);
        const closes = run.closes && step === run.steps;
        const own = { run_id: `run-${index}`, sequence, at_ms: clock, generation, transitions: tail };
        facts.push({ kind: 'decision', decision: closes ? closingOf(own) : decisionOf(own) });
        facts.push({ kind: 'process', agentId: 'a', process: processOf({ generation, pid: 100 + generation }) });
        // An end that comes so late that the id is used again is told of the new life: nobody could know better.
        if (!runs.some(({ closes }) => closes))
          facts.push({ kind: 'process', agentId: 'a', process: endOf(generation) });
      }
      if (run.closes) [sequence, tail] = [0, []];
    }
    return facts;
  });

const rename = (fact: Fact, agentId: string): Fact =>
  fact.kind === 'decision' ? { ...fact, decision: { ...fact.decision, agent_id: agentId } } : { ...fact, agentId };

function apply(roster: Roster, fact: Fact): Promise<void> {
  return fact.kind === 'decision' ? roster.publish(fact.decision) : roster.recordProcess(fact.agentId, fact.process);
}

function shuffleAndRepeat(facts: Fact[], random: Iterator<number>): Fact[] {
  const next = (): number => random.next().value as number;
  return [...facts, ...facts.filter(() => next() % 3 === 0)]
    .map((fact) => ({ fact, key: next() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ fact }) => fact);
}

/** Without the ids of the history: they tell in which order things came. */
async function outcome(roster: Roster, id: string) {
  const [row, history] = await Promise.all([roster.get(id), roster.history(id, { limit: 1000 })]);
  const entries = history.map(({ at_ms, sequence, reason }) => `${at_ms} ${sequence} ${reason}`).toSorted();
  const decision = row && { ...row.decision, agent_id: '', input: null };
  return { decision, process: row?.process, entries };
}
