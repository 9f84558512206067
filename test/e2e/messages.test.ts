import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { DaemonView } from '../../src/contract/daemon-view.ts';
import type { QueueSizeView, StoredMessageView, TopicEventView } from '../../src/contract/messaging-views.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const MAIL = fileURLToPath(new URL('../fixtures/agents/mail.mjs', import.meta.url));

/** What an agent of the fixture has noted. */
interface Note {
  agent: string;
  life: number;
  started?: true;
  snapshot?: unknown;
  file?: string | null;
  there?: boolean;
  got?: Record<string, unknown>;
  type?: string;
  from?: string;
  attempt?: number;
  queue?: string;
  left?: number[];
}

let daemon: TestDaemon;
let log: string;
const agent = (more: Record<string, unknown> = {}) => ({
  command: [process.execPath, MAIL],
  env: { MAIL_LOG: '${MAIL_LOG}' },
  ...more,
});

beforeAll(async () => {
  // Agents that live on over the death of the daemon find the next one where the first was.
  const { api } = await choosePorts({ api: 0 });
  daemon = await TestDaemon.make({
    ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
    defaults: { backoff: { initial: '50ms', max: '50ms' }, stop: { grace: '5s' } },
    queues: { tasks: { members: { labels: { role: 'worker' } }, per_consumer: 5 } },
    messages: { attempts: 3 },
    agents: {
      witness: { command: ['sleep', '36200'] },
      reader: agent({ restart: 'on-failure' }),
      sleeper: agent({ restart: 'on-failure', wake_on_message: true }),
      ...Object.fromEntries(['w1', 'w2', 'w3'].map((id) => [id, agent({ labels: { role: 'worker' } })])),
    },
  });
  log = path.join(daemon.dir, 'notes');
  daemon.env['MAIL_LOG'] = log;
  await daemon.start();
  await untilStarted('reader', 1);
}, 90_000);
afterAll(() => daemon?.end());

function notes(): Note[] {
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  // The last line may be being written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Note);
}
const untilNoted = (wanted: (note: Note) => boolean, what: string, deadlineMs = 15_000): Promise<Note> =>
  until(() => notes().findLast(wanted), { what, deadlineMs });
const untilStarted = (agentId: string, life: number): Promise<Note> =>
  untilNoted((note) => note.agent === agentId && note.started === true && note.life >= life, `${agentId}/${life}`);
const send = (agentId: string, payload: unknown, more: Record<string, unknown> = {}) =>
  daemon.call<{ id: string }>('POST', `/agents/${agentId}/messages`, { type: 'TEXT', payload, ...more });
const size = async (queue: string): Promise<QueueSizeView> =>
  (await daemon.call<QueueSizeView>('GET', `/queues/${queue}/messages/size`)).body;

describe('a mailbox', () => {
  it('keeps mail while its agent is down, over the death of the daemon', async () => {
    await daemon.call('POST', '/agents/reader/stop');
    await send('reader', { n: 1 });
    await daemon.signal('SIGKILL');
    await daemon.start();
    await send('reader', { n: 2 });
    expect((await size('@reader')).ready).toBe(2);
    await daemon.call('POST', '/agents/reader/start');
    await untilNoted(({ got }) => got?.['n'] === 2, 'the second message');
    const got = notes().flatMap((note) => (note.agent === 'reader' && note.got?.['n'] ? [note.got['n']] : []));
    expect(got).toEqual([1, 2]);
    await until(async () => (await size('@reader')).size === 0, { what: 'the acknowledgements' });
  });

  it('gives what a crashed process held to the next one at once', async () => {
    const { life } = await untilStarted('reader', 1);
    await send('reader', { do: 'hold', mark: 'held' });
    await untilNoted(({ got }) => got?.['mark'] === 'held', 'the message that is held');
    const begun = performance.now();
    const { pid } = (await daemon.agent('reader'))!;
    process.kill(pid!, 'SIGKILL');
    const again = await untilNoted((note) => note.got?.['mark'] === 'held' && note.life > life, 'it, again');
    expect(again.attempt).toBe(2);
    // Its lease would have held for a minute.
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  it('gives up what kills its reader each time, and tells the sender', async () => {
    await send('w1', { do: 'send', to: '@reader', message: { type: 'TEXT', payload: { do: 'crash' } } });
    const notice = await untilNoted(({ agent: id, type }) => id === 'w1' && type === 'CONTROL', 'the notice', 30_000);
    expect(notice).toMatchObject({
      from: '_daemon',
      got: { event: 'dead_letter', queue: '@reader', cause: 'attempts' },
    });
    const { body } = await daemon.call<{ messages: StoredMessageView[] }>('GET', '/queues/@reader/dead');
    expect(body.messages).toContainEqual(
      expect.objectContaining({ from: 'w1', payload: { do: 'crash' }, attempt: 3, state: 'dead' }),
    );
  }, 45_000);

  it('wakes an agent that is at rest, if it wants that', async () => {
    const { life } = await untilStarted('sleeper', 1);
    await send('sleeper', { do: 'exit' });
    await daemon.untilAgent('sleeper', (view) => view.state === 'completed', 'completed');
    await send('sleeper', { mark: 'wake up' });
    const woken = await untilNoted(({ got }) => got?.['mark'] === 'wake up', 'the message');
    expect(woken.life).toBe(life + 1);
    // Stopped by somebody, it is started for what comes from then on.
    await daemon.call('POST', '/agents/sleeper/stop');
    await send('sleeper', { mark: 'once more' });
    await untilNoted(({ got }) => got?.['mark'] === 'once more', 'the message');
    // Others stay as they are.
    await daemon.call('POST', '/agents/reader/stop');
    await send('reader', { mark: 'nothing' });
    await until(async () => (await size('@reader')).ready === 1, { what: 'the message' });
    expect(await daemon.agent('reader')).toMatchObject({ state: 'stopped' });
    await daemon.call('POST', '/agents/reader/start');
  });
});

describe('a work queue', () => {
  it('gives each task to the worker that has the fewest', async () => {
    for (const id of ['w1', 'w2', 'w3']) await untilStarted(id, 1);
    const held = (): Note[] => notes().filter(({ queue }) => queue === 'tasks');
    for (let n = 0; n < 9; n += 1) {
      const task = { type: 'TASK_DELEGATE', payload: { do: 'hold', task: n }, correlation_id: `t${n}` };
      await daemon.call('POST', '/queues/tasks/messages', task);
      await until(() => held().length > n, { what: `task ${n}` });
    }
    const count = (id: string): number => held().filter((note) => note.agent === id).length;
    const counts = ['w1', 'w2', 'w3'].map(count);
    // Exactly three for each, but for one that was between two polls.
    expect([counts, Math.max(...counts) - Math.min(...counts) <= 2]).toEqual([counts, true]);
  });

  it('gives the tasks of a worker that dies to the others', async () => {
    const { pid } = (await daemon.agent('w3'))!;
    const its = notes().filter(({ agent: id, queue }) => id === 'w3' && queue === 'tasks').length;
    expect(its).toBeGreaterThan(0);
    process.kill(pid!, 'SIGKILL');
    const again = (): Note[] => notes().filter(({ queue, attempt }) => queue === 'tasks' && attempt === 2);
    await until(() => again().length === its, { what: `its ${its} tasks, again` });
    expect((await size('tasks')).leased).toBe(9);
  });

  it('follows the file when it is read again', async () => {
    const { body: before } = await daemon.call<Record<string, unknown>>('GET', '/queues/tasks');
    expect(before).toMatchObject({ members: { labels: { role: 'worker' } }, settings: { per_consumer: 5 } });
    const file = path.join(daemon.dir, 'openstarry.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('per_consumer: 5', 'per_consumer: 7'));
    const { body: view } = await daemon.call<{ settings: unknown[] }>('POST', '/reload');
    expect(view.settings).toContainEqual({ setting: 'queues.tasks', takes_effect: 'now' });
    const { body: after } = await daemon.call('GET', '/queues/tasks');
    expect(after).toMatchObject({ settings: { per_consumer: 7 } });
  });
});

describe('what belongs to an agent', () => {
  const keep = (agentId: string) => daemon.call('PUT', `/state/agents/${agentId}/k`, { value: 1 });
  const spawn = (agent_id: string) => daemon.call('POST', '/agents', { agent_id, command: ['sleep', '36201'] });

  it('goes with it, before the delete is answered', async () => {
    await spawn('gone');
    await keep('gone');
    await send('w2', { do: 'send', to: '@gone', message: { type: 'TEXT', payload: 'unread' } });
    await until(async () => (await size('@gone')).ready === 1, { what: 'the message' });
    expect(await daemon.call('DELETE', '/agents/gone')).toMatchObject({ status: 200, body: { settled: true } });
    expect((await daemon.call('GET', '/state/agents/gone/k')).status).toBe(404);
    await spawn('gone');
    expect(await size('@gone')).toMatchObject({ size: 0 });
    expect((await daemon.call('GET', '/state/agents/gone/k')).body).toMatchObject({
      error: { code: 'STATE_NOT_FOUND' },
    });
    await untilNoted(({ agent: id, got }) => id === 'w2' && got?.['queue'] === '@gone', 'the notice');
  });

  it('goes with it also where Temporal deletes it', async () => {
    await spawn('gone2');
    await keep('gone2');
    await send('gone2', 'unread');
    const { temporal } = await daemon.status();
    const args = ['workflow', 'signal', '--workflow-id', 'agent/gone2', '--name', 'delete', '--input', '{}'];
    await run(inject('temporalCli'), [...args, '--address', temporal.address]);
    await until(async () => (await daemon.agent('gone2')) === undefined, { what: 'its deletion' });
    // Its id is free when its workflow is closed.
    await until(async () => (await spawn('gone2')).status === 201, { what: 'another of that name' });
    expect(await size('@gone2')).toMatchObject({ size: 0 });
    expect((await daemon.call('GET', '/state/agents/gone2/k')).status).toBe(404);
  });

  it('is given back at its next start, in a file that goes with the process', async () => {
    const { life } = notes().findLast(({ agent: id, started }) => id === 'sleeper' && started === true)!;
    await send('sleeper', { do: 'keep', value: { step: 3, text: '\0 \ud800' } });
    await until(async () => (await daemon.call('GET', '/state/agents/sleeper/snapshot')).status === 200, {
      what: 'the snapshot',
    });
    await send('sleeper', { do: 'crash' });
    const note = await untilStarted('sleeper', life + 1);
    expect(note).toMatchObject({ snapshot: { step: 3, text: '\0 \ud800' }, there: true });
    expect(statSync(note.file!).mode & 0o777).toBe(0o600);
    await until(async () => (await daemon.agent('sleeper'))?.state === 'running', { what: 'sleeper' });
    await daemon.call('POST', '/agents/sleeper/stop');
    await until(() => !existsSync(note.file!), { what: 'the end of the file' });
  });
});

describe('the daemon', () => {
  it('says what keeps messages and state, and counts', async () => {
    const { body } = await daemon.call<DaemonView>('GET', '/status');
    expect(body.plugins).toMatchObject({
      bus: { use: 'sqlite', survives_power_loss: true, durability: expect.stringContaining('disk') },
      state: { use: 'sqlite', survives_power_loss: true },
    });
    const { body: metrics } = await daemon.call<string>('GET', '/metrics');
    expect(metrics).toMatch(/^openstarry_messages_sent_total\{to="mailbox"\} [1-9]/m);
    expect(metrics).toMatch(/^openstarry_queue_messages\{queue="tasks",state="leased"\} 9$/m);
    expect(metrics).toMatch(/^openstarry_messages_dead_total\{cause="deleted"\} [1-9]/m);
  });

  it('tells on topics what becomes of the agents', async () => {
    const events = async (): Promise<TopicEventView[]> =>
      (await daemon.call<{ events: TopicEventView[] }>('GET', '/topics/agent.sleeper.state/events')).body.events;
    await until(async () => (await events()).at(-1)?.payload !== undefined, { what: 'events' });
    const states = (await events()).map(({ payload }) => (payload as { state: string }).state);
    expect(states).toEqual(expect.arrayContaining(['starting', 'running', 'completed', 'stopped']));
  });

  it('carries messages while Temporal is away', async () => {
    const { entries } = await daemon.custody();
    const server = entries.find(({ agent: id }) => id === '_temporal')!.live!.pid;
    process.kill(server, 'SIGSTOP');
    try {
      await send('reader', { mark: 'without Temporal' });
      await untilNoted(({ got }) => got?.['mark'] === 'without Temporal', 'the message');
      await until(async () => (await size('@reader')).size === 0, { what: 'its acknowledgement' });
    } finally {
      process.kill(server, 'SIGCONT');
    }
  });

  it('ends the streams of a process with it', async () => {
    const file = path.join(daemon.dir, 'token');
    const script = `printf %s "$OPENSTARRY_TOKEN" > '${file}.new' && mv '${file}.new' '${file}'; exec sleep 36207`;
    await daemon.call('POST', '/agents', { agent_id: 'follower', command: ['sh', '-c', script], restart: 'never' });
    await until(() => existsSync(file), { what: 'the token' });
    const headers = { authorization: `Bearer ${readFileSync(file, 'utf8')}`, accept: 'text/event-stream' };
    const { ports } = await daemon.status();
    const open = (place: string) => fetch(`http://127.0.0.1:${ports['api']}${place}`, { headers });
    const places = ['/events', '/topics/%3E/events', '/agents/follower/logs?follow=true'];
    const streams = await Promise.all(places.map(open));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    const texts = Promise.all(streams.map((stream) => stream.text()));
    await daemon.call('POST', '/agents/follower/stop');
    await texts;
    expect((await open('/events')).status).toBe(409);
    await daemon.call('DELETE', '/agents/follower');
  });

  it('stops its agents before it closes what they talk through', async () => {
    const before = notes().length;
    for (const id of ['reader', 'w1', 'w2', 'w3']) {
      const { generation } = await daemon.untilAgent(id, (view) => view.state === 'running', 'running');
      await untilStarted(id, generation);
    }
    expect(await daemon.signal('SIGTERM')).toBe(0);
    const left = notes()
      .slice(before)
      .filter((note) => note.left !== undefined);
    expect(left.map((note) => note.agent).toSorted()).toEqual(['reader', 'w1', 'w2', 'w3']);
    // Acknowledged, sent, published, kept: nothing was refused.
    for (const note of left)
      expect([note.agent, note.left?.every((status) => status < 300)]).toEqual([note.agent, true]);
    const lines = readFileSync(path.join(daemon.stateDir, 'daemon.log'), 'utf8');
    expect(lines).toMatch(/"unsent":0.*the message bus is closed/);
    expect(lines).toMatch(/"unsent":0.*the state store is closed/);

    await daemon.start();
    expect((await size('tasks')).size).toBe(0);
    const { body } = await daemon.call<{ messages: StoredMessageView[] }>('GET', '/messages?queue=@witness&limit=200');
    for (const { agent: id, life } of left) {
      expect(body.messages).toContainEqual(expect.objectContaining({ from: id, payload: { last_word_of: id, life } }));
      const started = await untilStarted(id, life + 1);
      expect(started.snapshot).toEqual({ life });
    }
    const words = await daemon.call<{ events: TopicEventView[] }>('GET', '/topics/last.words/events');
    expect(
      words.body.events.filter(({ payload }) => left.some(({ agent: id }) => id === (payload as { of: string }).of))
        .length,
    ).toBeGreaterThanOrEqual(4);
  }, 60_000);
});
