import { cpSync, readFileSync } from 'node:fs';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type {
  QueueView,
  StateEntryView,
  StoredMessageView,
  TopicEventView,
} from '../../src/contract/messaging-views.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/wait.ts';

const EXAMPLE = path.join(inject('root'), 'examples', 'team');
const AGENTS = ['alice', 'bob', 'lead', 'worker-1', 'worker-2', 'worker-3'];
const TASKS = 6;
const binary = inject('redisServer');
const DEADLINE_MS = 40_000;

interface Round {
  shares: Record<string, number>;
  results: Record<string, { ok: boolean; worker: string; result: number }>;
}

/** What the team and the daemon publish. */
type Event = Omit<TopicEventView, 'payload'> & {
  payload: Record<'by' | 'from' | 'text' | 'agent_id' | 'state' | 'reason', string> & { priority: number };
};

/** How many there are, counted in another way than the workers do. */
function primesBelow(below: number): number {
  const found: number[] = [];
  for (let n = 2; n < below; n += 1) if (found.every((p) => p * p > n || n % p !== 0)) found.push(n);
  return found.length;
}

describe('examples/team', () => {
  let daemon: TestDaemon;
  let redis: RedisServer | undefined;
  afterEach(async () => {
    await daemon.end();
    await redis?.stop();
    redis = undefined;
  });

  const ports = { API_PORT: '0', HEALTH_PORT: '0', METRICS_PORT: '0', UI_PORT: '0', TEMPORAL_PORT: '0' };

  async function launch(config: string): Promise<void> {
    const child = daemon.launch(['start', '--config', config]);
    await until(() => daemon.output.includes('runs (pid ') || child.exitCode !== null, {
      deadlineMs: DEADLINE_MS,
      what: 'the banner',
    });
    expect([child.exitCode, child.exitCode === null ? '' : daemon.output]).toEqual([null, '']);
  }

  const eventsOf = async (topic: string) =>
    (await daemon.call<{ events: Event[] }>('GET', `/topics/${topic}/events?after=0&max=1000`)).body.events;
  const shared = async <T>(prefix: string): Promise<Map<string, T>> => {
    const { body } = await daemon.call<{ entries: StateEntryView[] }>(
      'GET',
      `/state/shared?prefix=${prefix}&limit=200`,
    );
    return new Map(body.entries.map(({ key, value }) => [key.slice(prefix.length), value as T]));
  };
  const says = (text: string | RegExp): Promise<boolean> =>
    until(() => (typeof text === 'string' ? daemon.output.includes(text) : text.test(daemon.output)), {
      what: `${String(text)} in ${daemon.output}`,
      deadlineMs: DEADLINE_MS,
    });

  /** All that the team shows, seen through the API. @returns the pids */
  async function story(store: string): Promise<Map<string, number>> {
    const greeted = await until(
      async () => {
        const read = await eventsOf('team.read');
        const heard = (by: string, from: string) => read.filter((e) => e.payload.by === by && e.payload.from === from);
        const enough = heard('alice', 'bob').length >= 3 && heard('bob', 'alice').length >= 3;
        return enough
          ? { alice: heard('alice', 'bob'), bob: heard('bob', 'alice'), lead: heard('alice', 'lead') }
          : undefined;
      },
      { what: 'three greetings of each', deadlineMs: DEADLINE_MS },
    );

    expect(daemon.output).toMatch(new RegExp(`^  Queue +${store}: \\w`, 'm'));
    // Six agents, six processes, each of which has said so.
    const agents = await daemon.agents();
    expect(agents.map(({ agent_id }) => agent_id).toSorted()).toEqual(AGENTS);
    const pids = new Map(agents.flatMap(({ agent_id, pid }) => (pid === null ? [] : [[agent_id, pid] as const])));
    expect(new Set(pids.values()).size).toBe(pids.size);
    for (const id of ['alice', 'bob', 'worker-1', 'worker-2'])
      await says(`lead │ [${id}] started, pid ${pids.get(id)}`);
    await says(`lead │ [lead] started, pid ${pids.get('lead')}`);

    // They greet each other in order, every two seconds.
    for (const [friend, heard] of [
      ['alice', greeted.alice],
      ['bob', greeted.bob],
    ] as const) {
      const texts = heard.map(({ payload }) => payload.text);
      expect(texts).toEqual(texts.map((_, n) => `hello ${friend}, this is number ${n + 1}`));
      const times = heard.map(({ at }) => Date.parse(at));
      for (let n = 1; n < times.length; n += 1) expect((times[n] ?? 0) - (times[n - 1] ?? 0)).toBeGreaterThan(1000);
    }

    // Sent together as 1, 9, 5.
    expect(greeted.lead.map(({ payload }) => payload.priority)).toEqual([9, 5, 1]);

    // worker-3 crashes at every task: three restarts, then never again; the lead is told why.
    const lost = await until(async () => (await shared<{ reason: string }>('team/lost/')).get('worker-3'), {
      what: 'the loss of worker-3',
      deadlineMs: DEADLINE_MS,
    });
    const gone = await daemon.untilAgent('worker-3', ({ state }) => state === 'disabled', 'disabled');
    expect([gone.generation, gone.restarts, gone.pid]).toEqual([4, 3, null]);
    expect(lost.reason).toBe(gone.reason);
    expect(gone.last_exit).toMatchObject({ code: 1, log_tail: expect.stringContaining('worker.py: a bug') });
    const states = await eventsOf('agent.worker-3.state');
    expect(states.filter(({ payload }) => payload.state === 'backoff')).toHaveLength(3);
    expect(states.at(-1)?.payload).toMatchObject({ agent_id: 'worker-3', state: 'disabled', reason: gone.reason });
    expect(states.every(({ from }) => from === '_daemon')).toBe(true);
    await says('worker-3 is gone for good');

    // The team goes on without it: rounds that began afterwards are done, by both of the others.
    const begun = Math.max(...[...(await shared<Round>('team/rounds/')).keys()].map(Number));
    const rounds = await until(
      async () => {
        const all = await shared<Round>('team/rounds/');
        return all.has(String(begun + 2)) ? all : undefined;
      },
      { what: 'two more rounds', deadlineMs: DEADLINE_MS },
    );
    const totals: Record<string, number> = {};
    for (let round = 1; round <= begun + 2; round += 1) {
      const { shares, results } = rounds.get(String(round)) ?? { shares: {}, results: {} };
      // Every task of every round once, also those that worker-3 took along.
      expect(Object.keys(results).toSorted()).toEqual(Array.from({ length: TASKS }, (_, n) => String(n + 1)));
      for (const [worker, tasks] of Object.entries(shares)) totals[worker] = (totals[worker] ?? 0) + tasks;
    }
    expect(rounds.get('1')?.results['1']?.result).toBe(primesBelow(100_001));
    expect(Object.keys(totals).toSorted()).toEqual(['worker-1', 'worker-2']);
    const all = TASKS * (begun + 2);
    for (const tasks of Object.values(totals)) expect(tasks).toBeGreaterThan(all / 5);
    const { body: queue } = await daemon.call<QueueView>('GET', '/queues/analysis');
    expect(queue.dead).toBe(0);
    return pids;
  }

  /** Ctrl-C: agents first, each of which says goodbye and saves; then the queue; nothing is left. */
  async function end(pids: Map<string, number>): Promise<void> {
    expect(await daemon.signal('SIGINT')).toBe(0);
    expect([...pids.values()].filter(isAlive)).toEqual([]);
    for (const id of ['alice', 'bob'])
      expect(daemon.output).toMatch(new RegExp(`lead │ \\[${id}\\] stops after \\d+ greetings`));
    for (const id of ['worker-1', 'worker-2'])
      expect(daemon.output).toMatch(new RegExp(`lead │ \\[${id}\\] stops after \\d+ tasks`));
    const said = ['[lead] stops after', 'The agents are stopped.', 'The queue is closed.', 'Stopped.'];
    const places = said.map((text) => daemon.output.lastIndexOf(text));
    expect(places).toEqual(places.filter((place) => place >= 0).toSorted((a, b) => a - b));
    expect(daemon.output).not.toContain('Not everything');
  }

  async function again(config: string): Promise<void> {
    await launch(config);
    // What they had saved is given to them, and the rounds go on.
    await says(/lead │ \[alice\] started, pid \d+, [1-9]\d* greetings so far/);
    await says(/lead │ \[bob\] started, pid \d+, [1-9]\d* greetings so far/);
    await says(/lead │ \[lead\] started, pid \d+, [1-9]\d* rounds so far/);
    const before = (await eventsOf('team.read')).filter(({ payload }) => payload.by === 'bob').length;
    await until(
      async () => (await eventsOf('team.read')).filter(({ payload }) => payload.by === 'bob').length > before,
      { what: 'another greeting', deadlineMs: DEADLINE_MS },
    );
    const { body } = await daemon.call<{ messages: StoredMessageView[] }>('GET', '/messages?queue=@alice&state=dead');
    expect(body.messages).toEqual([]);
    expect(await daemon.agent('worker-3')).toMatchObject({ state: 'disabled' } satisfies Partial<AgentView>);
    expect(await daemon.signal('SIGINT')).toBe(0);
  }

  it('works through messages in SQLite, ends in order, and goes on where it was', async () => {
    daemon = await TestDaemon.make({}, { env: ports });
    const config = path.join(EXAMPLE, 'openstarry.yaml');
    await launch(config);
    await end(await story('sqlite'));
    await again(config);
  }, 180_000);

  it.skipIf(binary === undefined)(
    'does the same with Redis, by one line of its configuration',
    async () => {
      redis = await startRedis(binary as string);
      daemon = await TestDaemon.make({}, { env: ports });
      // Two folders up is the clone, as for the example itself.
      const folder = path.join(daemon.dir, 'examples', 'team');
      cpSync(EXAMPLE, folder, { recursive: true });
      for (const name of ['sdk', 'node_modules', 'package.json'])
        await symlink(path.join(inject('root'), name), path.join(daemon.dir, name));
      const config = path.join(folder, 'openstarry.yaml');
      const text = readFileSync(config, 'utf8');
      const changed = text.replace(/^plugins: .*$/m, `plugins: { bus: { use: redis, url: '${redis.url}' } }`);
      expect(changed.split('\n').filter((line, n) => line !== text.split('\n')[n])).toHaveLength(1);
      await writeFile(config, changed);
      await launch(config);
      await end(await story('redis'));
      await again(config);
    },
    180_000,
  );

  it('names in its README what is there', async () => {
    const readme = await readFile(path.join(EXAMPLE, 'README.md'), 'utf8');
    for (const id of AGENTS) expect(readme).toContain(`\`${id}\``);
    expect(readme).toContain('plugins: { bus: { use: redis } }');
  });
});
