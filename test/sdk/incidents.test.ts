import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Agent, Decision, Message } from '../../sdk/typescript/src/index.ts';
import type { IncidentView } from '../../src/contract/incident-view.ts';
import type { StateEntryView, StoredMessageView } from '../../src/contract/messaging-views.ts';
import type { RunView } from '../../src/contract/run-view.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { sit } from './seats.ts';

const PYTHON = path.join(inject('root'), 'sdk', 'python');
const TYPESCRIPT = pathToFileURL(path.join(inject('root'), 'sdk', 'typescript', 'dist', 'index.js')).href;

/** Proposes, waits, and keeps what was decided; a chief that takes care of things; tasks of runs. */
const PYTHON_AGENT = `
import sys
from openstarry import Agent, DaemonError
agent = Agent()

def code(work):
    try:
        work()
    except DaemonError as error:
        return error.code

def ask():
    out = {}
    out["reported"] = agent.report("the disk is nearly full", incident_id="py-disk", value="disk 95 %", threshold="90 %", severity="info")["value"]
    out["not the chief"] = code(lambda: agent.acknowledge("py-disk"))
    out["resolved"] = agent.resolve("py-disk", "there is room again")["resolved"]["reason"]
    out["no approval"] = code(lambda: agent.decision("py-disk"))
    out["in vain"] = [code(lambda: agent.incident("py-nothing")), code(agent.finish)]
    asked = agent.propose({"command": "restart", "agent_id": "worker"}, "it leaks", "low", incident_id="py-ask")
    out["asked"] = [asked["summary"], asked["agent_id"], asked["proposal"]["risk"]]
    out["nobody yet"] = code(lambda: agent.decision("py-ask", timeout=0.2))
    agent.state.put("asked", True)
    out["decided"] = agent.decision("py-ask")
    out["again"] = agent.propose("something else", "?", "high", incident_id="py-ask")["decision"]["verdict"]
    out["known"] = agent.decision("py-ask", timeout=5)["decision"]
    agent.state.put("out", out)
    agent.run()

if sys.argv[1] == "ask":
    ask()
elif agent.task == "fail":
    agent.finish({"ok": False, "reason": "no data"})
else:
    agent.on_stop(lambda: print("ends", flush=True))
    agent.on("TEXT", lambda message: None)
    agent.begin()
    agent.finish({"said": agent.task.upper()})
    agent.wait()
`;

const NODE_AGENT = `
import { Agent } from ${JSON.stringify(TYPESCRIPT)};
const agent = new Agent();
agent.on('TEXT', () => undefined);
agent.onStop(() => console.log('ends'));
const running = agent.run();
await agent.finish(agent.task === 'fail' ? { ok: false, reason: 'no data' } : { said: agent.task.toUpperCase() });
await running;
`;

let daemon: TestDaemon;
const open: Agent[] = [];

beforeAll(async () => {
  // The environment of an agent names the port: it has to be the same after a death of the daemon.
  const { api } = await choosePorts({ api: 0 });
  daemon = await TestDaemon.make({
    ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
    chief: 'chief',
    escalation: { chief_ack: '10m' },
    agents: { chief: { command: ['sleep', '36078'] }, worker: { command: ['sleep', '36077'] } },
    defaults: { stop: { grace: '2s' } },
  });
  const python = { env: { PYTHONPATH: PYTHON } };
  await daemon.template('Ask', { command: ['python3', '-B', '-u', '-c', PYTHON_AGENT, 'ask'], ...python });
  await daemon.template('Python', { command: ['python3', '-B', '-u', '-c', PYTHON_AGENT, 'work'], ...python });
  await daemon.template('Node', { command: [process.execPath, '--input-type=module', '-e', NODE_AGENT] });
  await daemon.start();
}, 60_000);
afterEach(async () => {
  await Promise.all(open.splice(0).map((agent) => agent.stop()));
});
afterAll(() => daemon?.end());

const incident = async (id: string): Promise<IncidentView> =>
  (await daemon.call<IncidentView>('GET', `/incidents/${id}`)).body;
const decide = async (verb: 'approve' | 'reject', id: string, by = 'kim') =>
  expect((await daemon.call('POST', `/incidents/${id}/${verb}`, { by, note: 'as you like' })).status).toBe(200);
const mailOf = async (agentId: string): Promise<StoredMessageView[]> =>
  (await daemon.call<{ messages: StoredMessageView[] }>('GET', `/messages?queue=@${agentId}`)).body.messages;

async function running(agentId: string, prepare: (agent: Agent) => void) {
  const agent = await sit(daemon, agentId);
  prepare(agent);
  open.push(agent);
  void agent.run().catch((error: unknown) => void agent.lines.push(String(error)));
  return agent;
}

describe('report', () => {
  it('opens an incident, which the chief acknowledges and its reporter resolves', async () => {
    const heard: unknown[] = [];
    await daemon.untilAgent('chief', ({ state }) => state === 'running', 'running');
    await running('chief', (chief) =>
      chief.on<{ incident_id: string; about: string; summary: string }>('ESCALATION', async ({ payload }) => {
        heard.push([payload.about, payload.summary]);
        await chief.acknowledge(payload.incident_id, 'on it');
      }),
    );
    const a = await sit(daemon, 'a');
    const said = { incident_id: 'disk-full', value: 'disk 95 %', threshold: '90 %', severity: 'critical' } as const;
    const opened = await a.report('the disk is nearly full', said);
    expect(opened).toMatchObject({ ...said, state: 'open', opened_by: 'a', count: 1 });
    await until(async () => (await incident('disk-full')).state === 'acknowledged', { what: 'the chief' });
    expect((await incident('disk-full')).acknowledged).toMatchObject({ by: 'chief' });
    expect(await a.report('the disk is nearly full', said)).toMatchObject({ incident_id: 'disk-full', count: 2 });

    const b = await sit(daemon, 'b');
    for (const refused of [b.resolve('disk-full'), a.acknowledge('disk-full')])
      await expect(refused).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await a.resolve('disk-full', 'there is room again')).toMatchObject({
      state: 'resolved',
      resolved: { by: 'a', reason: 'there is room again' },
    });
    expect((await a.incident('disk-full')).state).toBe('resolved');
    await until(() => heard.length === 2, { what: 'its end' });
    expect(heard).toEqual([
      ['opened', '[critical] the disk is nearly full'],
      ['resolved', '[critical] resolved: the disk is nearly full'],
    ]);
    await expect(a.incident('nothing')).rejects.toMatchObject({ code: 'INCIDENT_NOT_FOUND' });
  }, 40_000);
});

describe('propose', () => {
  it('waits for a decision, whose command the daemon carries out', async () => {
    const a = await sit(daemon, 'a');
    const before = await daemon.untilAgent('worker', ({ state }) => state === 'running', 'running');
    const asked = await a.propose({ command: 'restart', agent_id: 'worker' }, 'it leaks', 'low');
    expect(asked).toMatchObject({ state: 'open', agent_id: 'worker', summary: 'a proposes: restart worker' });
    const { incident_id: id } = asked;
    await expect(a.decision(id, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' });
    const decision = a.decision(id);
    await decide('approve', id);
    const made: Decision = await decision;
    expect(made).toEqual({
      incident_id: id,
      decision: 'approved',
      action: { command: 'restart', agent_id: 'worker' },
      by: 'kim',
      at: expect.stringMatching(/^20\d\d-/),
      reason: 'as you like',
    });
    await until(async () => (await a.incident(id)).execution?.state === 'done', { what: 'the restart' });
    const after = await daemon.untilAgent('worker', ({ state }) => state === 'running', 'running');
    expect([after.generation, after.pid === before.pid]).toEqual([before.generation + 1, false]);
  }, 40_000);

  it('is answered by a handler, too, also of what came before it', async () => {
    const a = await sit(daemon, 'later');
    const { incident_id: id } = await a.propose('buy a disk', 'this one is full', 'medium', { expires: '1h' });
    await decide('reject', id);
    const heard: Message<Decision>[] = [];
    await running('later', (agent) => agent.on<Decision>('APPROVAL_DECISION', (message) => heard.push(message)));
    await until(() => heard.length === 1, { what: 'the decision' });
    expect(heard[0]?.payload).toMatchObject({ incident_id: id, decision: 'rejected', action: 'buy a disk' });
  });

  it('under an id is proposed once: a later process learns what has become of it', async () => {
    const options = { incident_id: 'sell-17' };
    const first = await sit(daemon, 'trader');
    await first.propose('sell 17', 'the price falls', 'high', options);
    const next = await sit(daemon, 'trader');
    expect(await next.propose('sell 17', 'it falls and falls', 'high', options)).toMatchObject({
      decision: null,
      proposal: { reason: 'the price falls' },
    });
    const waiting = next.decision('sell-17');
    await decide('approve', 'sell-17');
    expect(await waiting).toMatchObject({ decision: 'approved' });
    // Its message has been heard: the incident tells.
    expect(await mailOf('trader')).toEqual([]);
    const last = await sit(daemon, 'trader');
    expect(await last.propose('sell 17', 'still', 'high', options)).toMatchObject({ decision: { by: 'kim' } });
    expect(await last.decision('sell-17')).toEqual(await waiting);
    expect((await incident('sell-17')).count).toBe(1);
  });

  it('that nobody decides is withdrawn by resolving it, and left by a stop', async () => {
    const a = await sit(daemon, 'a');
    const left = await a.propose('paint it green', 'it is grey', 'low');
    const leaving = expect(a.decision(left.incident_id)).rejects.toMatchObject({ code: 'AGENT_STOPPING' });
    const b = await sit(daemon, 'b');
    const { incident_id: id } = await b.propose('paint it red', 'it is grey', 'low');
    const waiting = b.decision(id);
    await daemon.call('POST', `/incidents/${id}/resolve`, { by: 'kim', note: 'no paint' });
    expect(await waiting).toMatchObject({ decision: 'withdrawn', by: 'kim', reason: 'no paint' });
    await a.stop();
    await leaving;
    expect(await incident(left.incident_id)).toMatchObject({ state: 'open', decision: null });
  });

  it('leaves other messages of the same correlation id to their handlers', async () => {
    const a = await sit(daemon, 'mixed');
    const b = await sit(daemon, 'b');
    const { incident_id: id } = await a.propose('wait', 'to see', 'low');
    await b.send('mixed', 'TEXT', 'about it', { correlation_id: id });
    const waiting = a.decision(id);
    const read: unknown[] = [];
    a.on('TEXT', ({ payload }) => read.push(payload));
    open.push(a);
    void a.run();
    await until(() => read.length === 1, { what: 'the handler' });
    await decide('approve', id);
    expect((await waiting).decision).toBe('approved');
    expect(read).toEqual(['about it']);
  });

  it('bears the death of the daemon', async () => {
    const a = await sit(daemon, 'a');
    const { incident_id: id } = await a.propose('wait for it', 'it will come back', 'low');
    const waiting = a.decision(id);
    daemon.process!.kill('SIGKILL');
    await daemon.start();
    await decide('approve', id);
    expect(await waiting).toMatchObject({ incident_id: id, decision: 'approved', by: 'kim' });
  }, 60_000);

  it('has the same verbs in Python', async () => {
    const made = await daemon.call('POST', '/agents', { agent_id: 'py', template_id: 'Ask' });
    expect(made.status).toBe(201);
    const state = async <T>(key: string): Promise<T | undefined> => {
      const { status, body } = await daemon.call<StateEntryView>('GET', `/state/agents/py/${key}`);
      if (status === 200) return body.value as T;
      const agent = await daemon.agent('py');
      if (agent?.last_exit) throw new Error(agent.last_exit.log_tail);
      return undefined;
    };
    await until(() => state('asked'), { what: 'the proposal', deadlineMs: 20_000 });
    await decide('approve', 'py-ask');
    const out = await until(() => state('out'), { what: 'the results', deadlineMs: 20_000 });
    expect(out).toEqual({
      reported: 'disk 95 %',
      'not the chief': 'FORBIDDEN',
      resolved: 'there is room again',
      'no approval': 'NOT_AN_APPROVAL',
      'in vain': ['INCIDENT_NOT_FOUND', 'INVALID_REQUEST'],
      asked: ['py proposes: restart worker', 'worker', 'low'],
      'nobody yet': 'REQUEST_TIMEOUT',
      decided: {
        incident_id: 'py-ask',
        decision: 'approved',
        action: { command: 'restart', agent_id: 'worker' },
        by: 'kim',
        at: expect.any(String),
        reason: 'as you like',
      },
      again: 'approved',
      known: 'approved',
    });
    // It waits in vain for what will never come, and stops all the same.
    expect((await daemon.call<{ state: string }>('POST', '/agents/py/stop?wait=10s')).body.state).toBe('stopped');
  }, 60_000);
});

describe.each(['Node', 'Python'])('finish in %s', (template_id) => {
  const run = async (task: string) =>
    (await daemon.call<RunView>('POST', '/runs?wait=20s', { agent_id: `${template_id}-${task}`, template_id, task }))
      .body;

  it('gives the result of a run, and ends its process in order', async () => {
    expect(await run('count')).toMatchObject({
      state: 'succeeded',
      result: { ok: true, said: 'COUNT' },
      exit: { code: 0, signal: null },
      output: 'ends',
    });
    expect(await run('fail')).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('no data'),
      result: { ok: false, reason: 'no data' },
      exit: { code: 0 },
    });
  }, 60_000);
});

it('finish is for the process of a run alone', async () => {
  const a = await sit(daemon, 'a');
  expect([a.task, a.runId]).toEqual([undefined, undefined]);
  await expect(a.finish()).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
});
