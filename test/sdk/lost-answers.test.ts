import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Agent, Message } from '../../sdk/typescript/src/index.ts';
import type { StoredMessageView, TopicEventView } from '../../src/contract/messaging-views.ts';
import { startCuttingProxy, type CuttingProxy } from '../support/cutting-proxy.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { seatOf, sit } from './seats.ts';

/** Leases hold for ten minutes here: what comes sooner does so because it was asked for again. */
const LEASE = '10m';

/** Tells what it handles on a topic; asks the seat `asked` when it is told to. */
const PYTHON_AGENT = `
import os, sys
from openstarry import Agent
agent = Agent(env={**os.environ, "OPENSTARRY_API_URL": sys.argv[1]})

@agent.on("COUNT")
def count(message):
    agent.publish("py.counted", [message.payload, message.attempt])

@agent.on("ASK")
def ask(message):
    agent.publish("py.answered", agent.request("asked", "STATUS_QUERY", {}, timeout=120).payload)

@agent.on("TASK_DELEGATE")
def hold(message):
    while agent.shared.get("py-may-end") is None:
        message.lost.wait(0.05)
    agent.publish("py.held", message.lost.is_set())

agent.run()
`;

let daemon: TestDaemon;
let proxy: CuttingProxy;
const open: Agent[] = [];

beforeAll(async () => {
  daemon = await TestDaemon.make({
    messages: { lease: LEASE },
    queues: { 'ts-brief': { members: ['ts'], lease: '3s' }, 'py-brief': { members: ['py'], lease: '3s' } },
    defaults: { stop: { grace: '2s' } },
  });
  await writeFile(path.join(daemon.dir, 'counter.py'), PYTHON_AGENT);
  await daemon.start();
}, 60_000);
beforeEach(async () => {
  proxy = await startCuttingProxy(`http://127.0.0.1:${(await daemon.status()).ports.api}`);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((agent) => agent.stop()));
  await proxy?.close();
});
afterAll(() => daemon?.end());

/** An agent in this test, that receives; `through`: by way of the proxy. */
async function running(agentId: string, prepare: (agent: Agent) => void, through: boolean, concurrency = 1) {
  const env = await seatOf(daemon, agentId);
  const agent = await sit(daemon, agentId, {
    env: through ? { ...env, OPENSTARRY_API_URL: proxy.url } : env,
    concurrency,
  });
  prepare(agent);
  open.push(agent);
  void agent.run().catch((error: unknown) => void agent.lines.push(String(error)));
  return agent;
}
const send = (agentId: string, type: string, payload: unknown) =>
  daemon.call('POST', `/agents/${agentId}/messages`, { type, payload });
const mailOf = async (agentId: string): Promise<StoredMessageView[]> =>
  (await daemon.call<{ messages: StoredMessageView[] }>('GET', `/messages?queue=@${agentId}&limit=200`)).body.messages;
const untilEmpty = (agentId: string) =>
  until(async () => (await mailOf(agentId)).length === 0, { what: `an empty mailbox of ${agentId}` });
const eventsOf = async (topic: string): Promise<unknown[]> =>
  (await daemon.call<{ events: TopicEventView[] }>('GET', `/topics/${topic}/events?after=0`)).body.events.map(
    ({ payload }) => payload,
  );
const answering = () =>
  running(
    'asked',
    (asked) => asked.on('STATUS_QUERY', (message) => asked.reply(message, 'STATUS_REPORT', { state: 'fine' })),
    false,
  );
const idOf = ({ query }: CuttingProxy['receives'][number]): string => query.get('receive_id') ?? '';
/** That a lost receive was repeated under its id, and that no other has had it. */
function expectRepeats(count: number): void {
  const { receives } = proxy;
  expect(receives.filter(({ isCut }) => isCut)).toHaveLength(count);
  for (const [at, each] of receives.entries()) {
    const next = receives.slice(at + 1).filter((other) => idOf(other) === idOf(each));
    expect([at, idOf(each).length, next.length > 0]).toEqual([at, 36, each.isCut]);
  }
}

/** That the queue's own lease was asked for, and not what happened to be left. */
function expectOwnLease(queue: string): void {
  for (const { path: asked, body } of proxy.extends)
    expect([asked.split('/messages/')[0], Object.keys(body)]).toEqual([`/queues/${queue}`, ['lease']]);
}

describe('a message whose answer was lost', () => {
  it('comes again at once in TypeScript: once, as the same attempt, in its place', async () => {
    const got: unknown[] = [];
    const count = ({ payload, attempt }: Message): void => void got.push([payload, attempt]);
    await running('ts', (agent) => agent.on('COUNT', count), true);
    proxy.cutNext(3);
    for (const n of [1, 2, 3]) await send('ts', 'COUNT', n);
    await until(() => got.length >= 3, { what: 'all of them', deadlineMs: 25_000 });
    await untilEmpty('ts');
    expect(got).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    expectRepeats(3);
  }, 60_000);

  it('is kept by the lease of its queue, however little of it was left', async () => {
    let release: (() => void) | undefined;
    let isLost: boolean | undefined;
    await running(
      'ts',
      (agent) =>
        agent.on('TASK_DELEGATE', async (_message, { signal }) => {
          await new Promise<void>((resolve) => (release = resolve));
          isLost = signal.aborted;
        }),
      true,
    );
    proxy.cutNext(2);
    await daemon.call('POST', '/queues/ts-brief/messages', { type: 'TASK_DELEGATE', payload: {} });
    await until(() => proxy.extends.length >= 3, { what: 'three extensions', deadlineMs: 25_000 });
    release!();
    await until(() => isLost !== undefined, { what: 'its end' });
    expect(isLost).toBe(false);
    expectOwnLease('ts-brief');
  }, 60_000);

  it('comes again alone: what is being handled meanwhile does not', async () => {
    const got: unknown[] = [];
    let release: (() => void) | undefined;
    const hold = async ({ payload, attempt }: Message): Promise<void> => {
      got.push([payload, attempt]);
      if (payload === 'held') await new Promise<void>((resolve) => (release = resolve));
    };
    await running('two', (agent) => agent.on('COUNT', hold), true, 2);
    await send('two', 'COUNT', 'held');
    await until(() => release, { what: 'the first' });
    proxy.cutNext(1);
    await send('two', 'COUNT', 'lost');
    await until(() => got.length >= 2, { what: 'the second', deadlineMs: 25_000 });
    release!();
    await untilEmpty('two');
    expect(got).toEqual([
      ['held', 1],
      ['lost', 1],
    ]);
    expectRepeats(1);
  }, 60_000);

  it('comes again at once to who waits for an answer', async () => {
    await answering();
    const env = await seatOf(daemon, 'asking');
    const asking = await sit(daemon, 'asking', { env: { ...env, OPENSTARRY_API_URL: proxy.url } });
    proxy.cutNext(1);
    const { payload, attempt } = await asking.request('asked', 'STATUS_QUERY', {}, { timeoutMs: 25_000 });
    expect([payload, attempt]).toEqual([{ state: 'fine' }, 1]);
    await untilEmpty('asking');
    expectRepeats(1);
  }, 60_000);

  it('comes again at once in Python, to handlers and to who waits for an answer', async () => {
    await answering();
    const made = await daemon.call('POST', '/agents', {
      agent_id: 'py',
      command: ['python3', '-B', '-u', 'counter.py', proxy.url],
      env: { PYTHONPATH: path.join(inject('root'), 'sdk', 'python') },
      cwd: daemon.dir,
    });
    expect(made.status).toBe(201);
    proxy.cutNext(3);
    for (const n of [1, 2, 3]) await send('py', 'COUNT', n);
    await until(async () => (await eventsOf('py.counted')).length >= 3, { what: 'all of them', deadlineMs: 25_000 });
    await untilEmpty('py');
    expect(await eventsOf('py.counted')).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    proxy.cutNext(2); // the question to ask, and the answer to it
    await send('py', 'ASK', null);
    await until(async () => (await eventsOf('py.answered')).length > 0, { what: 'the answer', deadlineMs: 25_000 });
    await untilEmpty('py');
    expect(await eventsOf('py.answered')).toEqual([{ state: 'fine' }]);
    expectRepeats(5);
    // What is left of a lease says nothing about how long it should be.
    await daemon.call('POST', '/queues/py-brief/messages', { type: 'TASK_DELEGATE', payload: {} });
    await until(() => proxy.extends.length >= 3, { what: 'three extensions', deadlineMs: 25_000 });
    await daemon.call('PUT', '/state/shared/py-may-end', { value: true });
    await until(async () => (await eventsOf('py.held')).length > 0, { what: 'its end', deadlineMs: 25_000 });
    expect(await eventsOf('py.held')).toEqual([false]);
    await daemon.call('DELETE', '/agents/py');
    expectOwnLease('py-brief');
  }, 90_000);
});
