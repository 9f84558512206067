import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, inject } from 'vitest';
import type { DeliveryView, SentView } from '../../src/contract/messaging-views.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { issueAgentToken } from '../../src/trust/agent-token.ts';
import { loadKeys } from '../../src/trust/keys.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { startRedis } from '../support/redis.ts';
import { chaos, type ChaosCase } from './chaos-case.ts';
import { seeded } from './random.ts';
import { Trial } from './trial.ts';

const BINARY = inject('redisServer');
const SENDERS = ['s1', 's2', 's3', 's4'];
const PRIORITIES = [2, 7];
/** Between two sends of one sender: all together about 200 a second. */
const PAUSE_MS = 15;

/** What a sender says, and what it was told each time that it said it. */
interface Letter {
  sender: string;
  priority: number;
  n: number;
  ids: string[];
}

describe('kill -9 of the daemon while messages are sent', () => {
  chaos('kill -9 of the daemon every 1-3 s during sends to a mailbox and a work queue', (c) => storm(c, {}), {
    timeoutMs: 1_800_000,
  });

  chaos(
    'kill -9 of the daemon every 1-3 s during sends, on a Redis with appendfsync always',
    async (c) => {
      const redis = await startRedis(BINARY as string);
      try {
        const plugin = { use: 'redis', url: redis.url };
        await storm(c, { plugins: { bus: plugin, state: plugin } });
      } finally {
        await redis.stop();
      }
    },
    {
      timeoutMs: 1_800_000,
      isLong: true,
      skip: BINARY === undefined ? 'there is no redis-server here' : undefined,
    },
  );
});

async function storm(c: ChaosCase, config: Record<string, unknown>): Promise<void> {
  const seed = Number(process.env['OPENSTARRY_CHAOS_SEED'] ?? Date.now() % 1_000_000);
  const random = seeded(seed);
  const total = c.size(2_000, 10_000);
  const leastKills = c.size(5, 20);
  c.figure('seed', seed);
  // Agents that live on over the deaths of the daemon, and their tokens, find the next one where the first was.
  const { api } = await choosePorts({ api: 0 });
  await using trial = await Trial.of(c, (name) => ({
    ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
    queues: { work: { members: [name('worker')], lease: '1s', attempts: 1000 } },
    agents: Object.fromEntries(
      [...SENDERS, 'box', 'worker'].map((one) => [name(one), { command: ['sleep', '36210'] }]),
    ),
    ...config,
  }));
  const { daemon } = trial;
  await daemon.start();
  for (const one of [...SENDERS, 'box', 'worker'])
    await daemon.untilAgent(trial.id(one), (view) => view.state === 'running', 'running');
  const client = await clientOf(trial, api);
  const letters = new Map<string, Letter[]>(['@box', 'work'].map((queue) => [queue, []]));
  const over = { sending: false };
  const sending = Promise.all(SENDERS.map((sender) => send(client, sender, letters, total, over)));
  const working = work(client, over);
  const kills = await killing(daemon, random, { leastKills, isDone: () => count(letters) >= total });
  over.sending = true;
  await sending;
  const worked = await working;
  c.rounds = kills;
  c.figure('kills', kills);
  c.figure('messages', count(letters));
  judgeMailbox(c, letters.get('@box') as Letter[], await drain(client, 'box'));
  judgeWork(c, letters.get('work') as Letter[], worked);
  await trial.compare('after the messages');
  await trial.finish();
  const log = readFileSync(path.join(daemon.stateDir, 'daemon.log'), 'utf8');
  c.check(/"unsent":0[^\n]*the message bus is closed/.test(log), 'the bus was not closed in order');
}

const count = (letters: Map<string, Letter[]>): number =>
  [...letters.values()].reduce((sum, all) => sum + all.length, 0);

type Client = (
  who: string,
  method: string,
  route: string,
  body?: unknown,
) => Promise<{ status: number; body: unknown } | undefined>;

/** Calls with the token of an agent; undefined if nobody answers. Only here the agents have the names that the trial gave them. */
async function clientOf(trial: Trial, port: number): Promise<Client> {
  const { daemon } = trial;
  const { key } = await loadKeys(daemon.stateDir);
  const generations = new Map((await daemon.agents()).map((view) => [view.agent_id, view.generation]));
  return async (who, method, to, body) => {
    const agentId = trial.id(who);
    const route = to.replace(/(?<=@|agents\/)box/, trial.id('box'));
    const generation = generations.get(agentId) ?? 0;
    const token = issueAgentToken({ agent_id: agentId, generation, may: { start: [] } }, key);
    try {
      const response = await fetch(`http://127.0.0.1:${port}${route}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json() };
    } catch {
      return undefined;
    }
  };
}

/** One after the other, each until it is acknowledged: some are acknowledged and nobody hears of it. */
async function send(
  client: Client,
  sender: string,
  letters: Map<string, Letter[]>,
  total: number,
  over: { sending: boolean },
): Promise<void> {
  for (let n = 0; !over.sending; n += 1) {
    const queue = n % 2 === 0 ? '@box' : 'work';
    const priority = PRIORITIES[Math.floor(n / 2) % PRIORITIES.length] as number;
    const letter: Letter = { sender, priority, n, ids: [] };
    const body = { type: 'TEXT', payload: { sender, n }, priority, idempotency_key: `${sender}-${n}` };
    // Now and then it is said again although it was heard.
    const wanted = n % 10 === 0 ? 2 : 1;
    while (letter.ids.length < wanted) {
      const answer = await client(sender, 'POST', `/queues/${queue}/messages`, body);
      if (answer?.status === 201) letter.ids.push((answer.body as SentView).id);
      else await delay(20);
    }
    letters.get(queue)?.push(letter);
    // The rest of the storm is quieter: the mailbox must not overflow while daemons start.
    await delay(count(letters) < total ? PAUSE_MS : PAUSE_MS * 10);
  }
}

interface Worked {
  seen: Map<string, DeliveryView>;
  /** Acknowledged, and told so. */
  done: Set<string>;
  /** Handed out again after that. */
  undead: string[];
}

/** Takes and acknowledges all the time. */
async function work(client: Client, over: { sending: boolean }): Promise<Worked> {
  const worked: Worked = { seen: new Map(), done: new Set(), undead: [] };
  for (let quiet = 0; !over.sending || quiet < 3;) {
    const answer = await client('worker', 'GET', '/queues/work/messages?max=10&wait=1s');
    if (answer?.status !== 200) {
      await delay(20);
      continue;
    }
    const { messages } = answer.body as { messages: DeliveryView[] };
    quiet = messages.length === 0 ? quiet + 1 : 0;
    for (const message of messages) {
      if (worked.done.has(message.id)) worked.undead.push(message.id);
      worked.seen.set(message.id, message);
      const ack = await client('worker', 'POST', `/queues/work/messages/${message.id}/ack`, { lease: message.lease });
      if (ack?.status === 200) worked.done.add(message.id);
    }
  }
  return worked;
}

/** @returns how often */
async function killing(
  daemon: TestDaemon,
  random: () => number,
  { leastKills, isDone }: { leastKills: number; isDone: () => boolean },
): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    if (kills >= leastKills && isDone()) return kills;
    await delay(1000 + random() * 2000);
    await daemon.signal('SIGKILL');
    await daemon.start();
  }
}

async function drain(client: Client, agentId: string): Promise<DeliveryView[]> {
  const all: DeliveryView[] = [];
  for (;;) {
    const answer = await client(agentId, 'GET', `/agents/${agentId}/messages?max=100&wait=1s&lease=10m`);
    if (answer?.status !== 200) throw new Error(`cannot drain ${agentId}: ${JSON.stringify(answer)}`);
    const { messages } = answer.body as { messages: DeliveryView[] };
    if (messages.length === 0) return all;
    all.push(...messages);
  }
}

/** Nobody has taken anything before: all of it is there once, in the order of each sender and priority. */
function judgeMailbox(c: ChaosCase, letters: Letter[], received: DeliveryView[]): void {
  judgeIds(c, letters);
  const places = new Map(received.map(({ id }, place) => [id, place]));
  c.check(places.size === received.length, `${received.length - places.size} messages came twice`);
  const lost = letters.filter(({ ids }) => !places.has(ids[0] as string));
  c.check(lost.length === 0, `${lost.length} acknowledged messages are lost: ${JSON.stringify(lost.slice(0, 3))}`);
  const surplus = received.length - letters.length;
  c.check(surplus === 0, `${surplus} messages that nobody was told of`);
  for (const sender of SENDERS) {
    for (const priority of PRIORITIES) {
      const own = letters.filter((letter) => letter.sender === sender && letter.priority === priority);
      const order = own.map(({ ids }) => places.get(ids[0] as string) ?? -1);
      const wrong = order.findIndex((place, n) => n > 0 && place < (order[n - 1] as number));
      c.check(
        wrong < 0,
        `${sender}'s message ${own[wrong]?.n} of priority ${priority} came before the one that was sent before it`,
      );
    }
  }
  c.figure('in the mailbox', received.length);
}

/** Each was seen; what was acknowledged was not seen again. */
function judgeWork(c: ChaosCase, letters: Letter[], { seen, done, undead }: Worked): void {
  judgeIds(c, letters);
  const lost = letters.filter(({ ids }) => !seen.has(ids[0] as string));
  c.check(
    lost.length === 0,
    `${lost.length} acknowledged tasks were never handed out: ${JSON.stringify(lost.slice(0, 3))}`,
  );
  c.check(undead.length === 0, `${undead.length} tasks were handed out after their acknowledgement was answered`);
  c.figure('tasks worked', `${done.size}, again ${[...seen.values()].filter(({ attempt }) => attempt > 1).length}`);
}

function judgeIds(c: ChaosCase, letters: Letter[]): void {
  const twins = letters.filter(({ ids }) => new Set(ids).size > 1);
  c.check(twins.length === 0, `one message has two ids: ${JSON.stringify(twins.slice(0, 3))}`);
  const all = new Set(letters.map(({ ids }) => ids[0]));
  c.check(all.size === letters.length, `${letters.length - all.size} messages share an id with another`);
}
