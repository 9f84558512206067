import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { StateEntryView, StoredMessageView, TopicEventView } from '../../src/contract/messaging-views.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { sit } from './seats.ts';

const SDK = path.join(inject('root'), 'sdk', 'python');

/** Does one thing after the other with the verbs of the SDK, and keeps what came of it in its state. */
const VERBS = `
from openstarry import Agent, DaemonError, Reject, Retry
agent = Agent()
out = {}
note = lambda name, value: out.__setitem__(name, value)

def code(work):
    try:
        work()
    except DaemonError as error:
        return error.code

once = agent.send("peer", "TEXT", "once", idempotency_key="k1")
note("once", agent.send("peer", "TEXT", "once", idempotency_key="k1") == {"id": once["id"], "duplicate": True})
note("batch", len(agent.send_all("peer", [{"type": "TEXT", "payload": "low", "priority": 1}, {"type": "TEXT", "payload": "high", "priority": 9}])))
note("queue", agent.send({"queue": "anyone"}, "TASK_DELEGATE", {})["duplicate"])
note("unknown", code(lambda: agent.send("nobody", "TEXT", "x")))
progress = []
answer = agent.request("peer", "STATUS_QUERY", {}, timeout=20, on_progress=lambda message: progress.append(message.payload))
note("answer", [answer.type, answer.sender, answer.payload, progress])
note("rejected", code(lambda: agent.request("peer", "TEXT", "reject", timeout=20)))
note("timeout", code(lambda: agent.request("still", "STATUS_QUERY", {}, timeout=0.2)))
version = agent.shared.compare_and_set("lock", 0, {"by": "py"}).version
note("conflict", code(lambda: agent.shared.compare_and_set("lock", 0, 1)))
agent.shared.compare_and_set("lock", version, "mine", ttl="1h")
note("lock", agent.shared.get("lock").value)
note("deleted", [agent.shared.delete("lock"), agent.shared.delete("lock"), agent.shared.get("lock")])
for n in range(105):
    agent.state.put("page/%03d" % n, n)
note("listed", [entry.value for entry in agent.state.list("page/")] == list(range(105)))
import threading
events, two = [], threading.Event()
def seen(event):
    events.append([event.topic, event.payload, event.sender])
    if len(events) == 2:
        two.set()
subscription = agent.subscribe("team.*", seen, name="news")
agent.publish("team.news", 1)
agent.publish("other.news", 0)
agent.publish("team.more", {"n": 2}, key="once")
agent.publish("team.more", {"n": 2}, key="once")
two.wait(20)
subscription.close()
note("events", events)
note("reserved", code(lambda: agent.publish("agent.x.state", {})))
agent.heartbeat(progress="all but the end", usage={"tokens": 3})
note("text", agent.send("still", "TEXT", "\\ud800 \\x00 é")["duplicate"])
print("a line of my own", flush=True)
import time
while "a line of my own" not in agent.logs(tail=5):
    time.sleep(0.05)
note("snapshot", agent.snapshot())
agent.save_snapshot({"round": 7})
agent.state.put("out", out)
agent.on("CONTROL", lambda message: None)
agent.run()
`;

/** The one it talks to: also written with the SDK, by decorators, with threads. */
const PEER = `
from openstarry import Agent, Reject, Retry
agent = Agent(concurrency=2, queues=["anyone"])

@agent.on("STATUS_QUERY")
def tell(message):
    agent.reply(message, "TASK_PROGRESS", {"progress": "half"})
    agent.reply(message, "STATUS_REPORT", {"state": "fine"})

@agent.on("TEXT")
def read(message):
    if message.payload == "reject":
        raise Reject("not with me")
    if message.payload == "slow":
        agent.stopping.wait(5)
        agent.publish("peer.lost", message.lost.is_set())
    if message.payload == "error" and message.attempt == 1:
        raise ValueError("a bug")
    if message.payload == "retry" and message.attempt == 1:
        raise Retry("later", "0ms")
    agent.publish("peer.read", [message.payload, message.attempt])

@agent.on("TASK_DELEGATE")
async def work(message):
    agent.publish("peer.worked", message.queue)

agent.on_stop(lambda: agent.publish("peer.ended", None))
agent.run()
`;

/** Its handlers raise what is meant to end a process. */
const STUBBORN = `
import asyncio, sys
from openstarry import Agent
agent = Agent()
agent.on("CONTROL", lambda message: None)

@agent.on("TEXT")
def read(message):
    if message.payload == "exit" and message.attempt == 1:
        sys.exit(3)
    agent.publish("stubborn.read", [message.payload, message.attempt])

@agent.on("TASK_DELEGATE")
async def work(message):
    if message.attempt == 1:
        raise asyncio.CancelledError()
    agent.publish("stubborn.read", [message.payload, message.attempt])

def seen(event):
    if event.payload == "exit":
        sys.exit(4)
    agent.publish("stubborn.seen", event.payload)

agent.subscribe("stubborn.told", seen)
agent.publish("stubborn.ready", None)
agent.run()
`;

const CLASSY = `
import os, threading
class Whole:
    def __init__(self, agent):
        self.agent = agent
        self.on = True
        self.woken = threading.Event()
    def start(self):
        self.agent.publish("classy.calls", ["start", os.environ.get("EXTRA")])
        self.woken.wait()          # goes on until it is stopped
        self.agent.publish("classy.calls", ["start has returned"])
    def handle_cron(self):
        self.agent.publish("classy.calls", ["cron"])
    async def handle_message(self, message):
        self.agent.publish("classy.calls", ["message", message.payload])
        self.agent.reply(message, "TEXT", "read")
    def stop(self):
        self.agent.save_snapshot("saved at the end")
        self.agent.publish("classy.calls", ["stop"])
        self.woken.set()

class Small:
    def handle_cron(self, message):
        self.agent.publish("small.calls", [message.type, message.sender, self.agent.snapshot()])

class Finite:
    def start(self):
        self.agent.publish("finite.calls", "start")

class Broken:
    def start(self):
        raise RuntimeError("no data")
`;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await TestDaemon.make({
    messages: { retry: { initial: '50ms', jitter: 0 }, lease: '2s' },
    queues: { anyone: {} },
    registry: { python_entry_points: 'test.agents' },
    agents: {
      still: { command: ['sleep', '36072'] },
      peer: { command: ['python3', '-u', 'peer.py'], env: { PYTHONPATH: SDK } },
      stubborn: { command: ['python3', '-B', '-u', 'stubborn.py'], env: { PYTHONPATH: SDK } },
      whole: { command: ['python3', '-u', '-m', 'openstarry', 'classy:Whole'], env: { PYTHONPATH: SDK } },
      finite: {
        command: ['python3', '-u', '-m', 'openstarry', 'classy:Finite'],
        env: { PYTHONPATH: SDK },
        restart: 'on-failure',
      },
      broken: {
        command: ['python3', '-u', '-m', 'openstarry', 'classy:Broken'],
        env: { PYTHONPATH: SDK },
        restart: 'never',
      },
      small: { env: { PYTHONPATH: '.' } },
    },
  });
  const site = path.join(daemon.dir, 'site');
  daemon.env['PYTHONPATH'] = site; // where the entry points are declared; agents do not inherit it
  await mkdir(path.join(site, 'trading-1.0.dist-info'), { recursive: true });
  await writeFile(
    path.join(site, 'trading-1.0.dist-info', 'METADATA'),
    'Metadata-Version: 2.1\nName: trading\nVersion: 1.0\n',
  );
  await writeFile(
    path.join(site, 'trading-1.0.dist-info', 'entry_points.txt'),
    '[test.agents]\nsmall = classy:Small\n',
  );
  await writeFile(path.join(daemon.dir, 'classy.py'), CLASSY);
  await writeFile(path.join(daemon.dir, 'peer.py'), PEER);
  await writeFile(path.join(daemon.dir, 'verbs.py'), VERBS);
  await writeFile(path.join(daemon.dir, 'stubborn.py'), STUBBORN);
  await daemon.start();
}, 60_000);
afterAll(() => daemon?.end());

const eventsOf = async (pattern: string): Promise<unknown[]> =>
  (await daemon.call<{ events: TopicEventView[] }>('GET', `/topics/${pattern}/events?after=0&max=100`)).body.events.map(
    ({ payload }) => payload,
  );
const untilEvents = (pattern: string, count: number) =>
  until(
    async () => {
      const events = await eventsOf(pattern);
      return events.length >= count ? events : undefined;
    },
    { what: `${count} events of ${pattern}`, deadlineMs: 20_000 },
  );

describe('the SDK for Python', () => {
  it('has every verb', async () => {
    await daemon.untilAgent('peer', (agent) => agent.state === 'running', 'running');
    const body = { agent_id: 'py', command: ['python3', '-u', 'verbs.py'], env: { PYTHONPATH: SDK }, cwd: daemon.dir };
    expect((await daemon.call('POST', '/agents', body)).status).toBe(201);
    const out = await until(
      async () => {
        const { status, body: entry } = await daemon.call<StateEntryView>('GET', '/state/agents/py/out');
        if (status === 200) return entry.value;
        const agent = await daemon.agent('py');
        if (agent?.last_exit) throw new Error(agent.last_exit.log_tail);
        return undefined;
      },
      { what: 'the results', deadlineMs: 30_000 },
    );
    expect(out).toEqual({
      once: true,
      batch: 2,
      queue: false,
      unknown: 'AGENT_NOT_FOUND',
      answer: ['STATUS_REPORT', 'peer', { state: 'fine' }, [{ progress: 'half' }]],
      rejected: 'REQUEST_UNDELIVERED',
      timeout: 'REQUEST_TIMEOUT',
      conflict: 'VERSION_CONFLICT',
      lock: 'mine',
      deleted: [true, false, null],
      listed: true,
      events: [
        ['team.news', 1, 'py'],
        ['team.more', { n: 2 }, 'py'],
      ],
      reserved: 'FORBIDDEN',
      text: false,
      snapshot: null,
    });
    const { heartbeat } = await daemon.untilAgent('py', (agent) => agent.heartbeat?.progress !== undefined, 'beating');
    expect(heartbeat).toMatchObject({ progress: 'all but the end', usage: { tokens: 3 } });
    expect(await untilEvents('peer.worked', 1)).toEqual(['anyone']);
    const { body: mail } = await daemon.call<{ messages: StoredMessageView[] }>(
      'GET',
      '/messages?queue=@still&from=py',
    );
    expect(mail.messages.at(-1)?.payload).toBe('\ud800 \u0000 é');
  }, 60_000);

  it('extends leases, and brings a message again after an error', async () => {
    const admin = (payload: string) => daemon.call('POST', '/agents/peer/messages', { type: 'TEXT', payload });
    for (const payload of ['error', 'retry', 'slow']) await admin(payload);
    expect(await untilEvents('peer.lost', 1)).toEqual([false]);
    await until(async () => (await eventsOf('peer.read')).length >= 6, { what: 'all that is read' });
    expect(await eventsOf('peer.read')).toEqual(
      expect.arrayContaining([
        ['error', 2],
        ['retry', 2],
        ['slow', 1],
      ]),
    );
  }, 30_000);

  it('goes on after a handler that raises what is meant to end a process', async () => {
    await untilEvents('stubborn.ready', 1);
    const tell = (type: string, payload: unknown) =>
      daemon.call('POST', '/agents/stubborn/messages', { type, payload });
    await tell('TEXT', 'exit');
    await tell('TASK_DELEGATE', { n: 1 });
    await tell('TEXT', 'later');
    const read = await untilEvents('stubborn.read', 3);
    expect(read).toHaveLength(3);
    expect(read).toEqual(
      expect.arrayContaining([
        ['exit', 2],
        [{ n: 1 }, 2],
        ['later', 1],
      ]),
    );
    for (const payload of ['exit', 'next']) await daemon.call('POST', '/topics/stubborn.told', { payload });
    expect(await untilEvents('stubborn.seen', 1)).toEqual(['next']);
    const { body: log } = await daemon.call<string>('GET', '/agents/stubborn/logs');
    expect(log).toContain('failed: SystemExit: 3');
    expect(log).toContain('failed: CancelledError');
  }, 30_000);

  it('runs a class, to its end in order', async () => {
    expect(await untilEvents('classy.calls', 1)).toEqual([['start', null]]);
    await daemon.call('POST', '/agents/whole/messages', { type: 'CRON', payload: {} });
    const asking = await sit(daemon, 'asking');
    expect((await asking.request('whole', 'TEXT', 'hello', { timeoutMs: 10_000 })).payload).toBe('read');
    const { body } = await daemon.call<{ state: string }>('POST', '/agents/whole/stop?wait=15s');
    expect(body.state).toBe('stopped');
    const calls = await untilEvents('classy.calls', 5);
    expect(calls).toEqual([['start', null], ['cron'], ['message', 'hello'], ['stop'], ['start has returned']]);
    expect(await daemon.agent('whole')).toMatchObject({ last_exit: { code: 0 } });
    await daemon.call('POST', '/agents/whole/start');
    expect((await daemon.call<StateEntryView>('GET', '/state/agents/whole/snapshot')).body.value).toBe(
      'saved at the end',
    );
  }, 40_000);

  it('ends with the start of a class that handles nothing, and fails with it', async () => {
    expect(await daemon.untilAgent('finite', ({ state }) => state === 'completed', 'completed')).toMatchObject({
      last_exit: { code: 0 },
    });
    const broken = await daemon.untilAgent('broken', ({ last_exit: exit }) => exit !== null, 'failed');
    expect(broken.last_exit).toMatchObject({ code: 1, log_tail: expect.stringContaining('no data') });
  }, 30_000);

  it('runs a class that is an entry point, without being installed', async () => {
    await daemon.untilAgent('small', ({ state }) => state === 'running', 'running');
    await daemon.call('POST', '/agents/small/messages', { type: 'CRON', payload: {} });
    expect(await untilEvents('small.calls', 1)).toEqual([['CRON', 'admin', null]]);
  }, 30_000);

  it('ends in order on SIGTERM, and leaves what it has not begun', async () => {
    await daemon.call('POST', '/agents/peer/stop?wait=15s');
    expect(await untilEvents('peer.ended', 1)).toEqual([null]);
    expect(await daemon.agent('peer')).toMatchObject({ state: 'stopped', last_exit: { code: 0 } });
  }, 30_000);
});
