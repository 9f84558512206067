import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { QueueView, StateEntryView, StoredMessageView } from '../../../src/contract/messaging-views.ts';
import { sit } from '../../sdk/seats.ts';
import { TestDaemon } from '../../support/daemon.ts';
import { until } from '../../support/wait.ts';

const ENTRY = path.join(inject('root'), 'dist', 'cli', 'main.js');

let daemon: TestDaemon;
const children: ChildProcess[] = [];

beforeAll(async () => {
  daemon = await TestDaemon.make({ queues: { analysis: { members: ['w1'], per_consumer: 1 } } });
  await daemon.start();
  for (const agent_id of ['w1', 'w2']) await daemon.call('POST', '/agents', { agent_id, command: ['sleep', '36073'] });
}, 60_000);
beforeEach(async () => {
  for (const queue of ['@w1', '@w2', 'analysis']) await drain(queue);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exit = once(child, 'exit');
    child.kill();
    await exit;
  }
});
afterAll(() => daemon?.end());

/** Everything out of a queue, and out of its dead letters. */
async function drain(queue: string): Promise<void> {
  const path = `/queues/${encodeURIComponent(queue)}`;
  for (;;) {
    const { body } = await daemon.call<{ messages?: { id: string; lease: string }[] }>(
      'GET',
      `${path}/messages?max=100`,
    );
    if (!body.messages?.length) break;
    for (const { id, lease } of body.messages) await daemon.call('POST', `${path}/messages/${id}/ack`, { lease });
  }
  await daemon.call('POST', `${path}/dead/discard`, {});
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: daemon.env,
    cwd: daemon.dir,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.push(child);
  const ran = { code: null as number | null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  return { child, ran };
}

async function cli(args: string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const { child, ran } = start(...args);
  child.stdin.end(input);
  await once(child, 'close');
  return { ...ran, code: child.exitCode };
}

async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await cli([...args, '--json']);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as T;
}

const mail = async (queue = '@w1') =>
  (await daemon.call<{ messages: StoredMessageView[] }>('GET', `/messages?queue=${queue}`)).body.messages;

describe('agents send', () => {
  it('puts a text into the mailbox, once for a key', async () => {
    const first = await cli(['agents', 'send', 'w1', 'hello there', '--key', 'k1', '--priority', '9', '--ttl', '1h']);
    expect([first.code, first.err]).toEqual([0, '']);
    expect(first.out).toMatch(/^\S+ is sent to w1\n$/);
    const again = await cli(['agents', 'send', 'w1', 'hello there', '--key', 'k1', '--priority', '9', '--ttl', '1h']);
    expect(again.out).toMatch(/^\S+ had been sent to w1 before\n$/);
    expect(await mail()).toMatchObject([{ type: 'TEXT', payload: 'hello there', priority: 9, from: 'admin' }]);
  });

  it('takes a payload as JSON, from a file or the standard input, and where the answer is wanted', async () => {
    await writeFile(path.join(daemon.dir, 'task.json'), '{"task":"from a file"}');
    const send = ['agents', 'send', 'w1', '--type', 'TASK_DELEGATE', '--payload'];
    await cli([...send, '{"task":"typed"}', '--correlation-id', 'c1', '--reply-to', 'analysis']);
    await cli([...send, '@task.json']);
    await cli([...send, '@-'], '{"task":"piped"}');
    const messages = await mail();
    expect(messages.map(({ payload }) => (payload as { task: string }).task)).toEqual([
      'typed',
      'from a file',
      'piped',
    ]);
    expect(messages[0]).toMatchObject({ correlation_id: 'c1', reply_to: 'analysis' });
  });

  it.each([
    [['w1'], 2, 'needs a text, or a --payload'],
    [['w1', 'x', '--payload', '1', '--type', 'X'], 2, 'not both'],
    [['w1', '--payload', '1'], 2, 'needs a --type'],
    [['w1', '--payload', 'hello', '--type', 'TEXT'], 2, `'"hello"'`],
    [['w1', '--payload', '@/no/such/file', '--type', 'TEXT'], 2, 'Cannot read --payload @/no/such/file'],
    [['w1', 'x', '--priority', 'high'], 2, '--priority is "high"; expected a whole number'],
    [['w1', 'x', '--priority', '10'], 2, 'priority'],
    [['w1', '--type', 'TASK_DELEGTE', '--payload', '{}'], 2, 'did you mean TASK_DELEGATE'],
    [['nobody', 'x'], 3, 'AGENT_NOT_FOUND'],
  ] as const)('%j exits %i: %s', async (args, code, message) => {
    const ran = await cli(['agents', 'send', ...args]);
    expect([ran.code, ran.out]).toEqual([code, '']);
    expect(ran.err).toContain(message);
  });
});

describe('sessions', () => {
  it('list shows who runs, with unread mail', async () => {
    await cli(['agents', 'send', 'w1', 'one']);
    await daemon.call('POST', '/agents/w2/stop');
    const { sessions } = await json<{ sessions: { agent_id: string; unread: number }[] }>('sessions', 'list');
    expect(sessions).toMatchObject([
      { agent_id: 'w1', state: 'running', unread: 1, oldest_unread_at: expect.any(String) },
    ]);
    const { out } = await cli(['sessions', 'list', '--all']);
    expect(out).toMatch(/^AGENT +STATE +PID +UNREAD +OLDEST\nw1 +running +\d+ +1 +\S.*\nw2 +stopped +- +0 +-\n$/);
    await daemon.call('POST', '/agents/w2/start');
  });

  it('send --wait prints the answer', async () => {
    const agent = await sit(daemon, 'w1');
    agent.on('TEXT', async (message) => {
      await agent.reply(message, 'TASK_PROGRESS', { progress: 'thinking' });
      await agent.reply(message, 'TEXT', { text: `you said ${JSON.stringify(message.payload)}` });
    });
    const running = agent.run();
    const human = await cli(['sessions', 'send', 'w1', 'How far are you?', '--wait', '20s']);
    expect(human).toMatchObject({ code: 0, out: 'you said "How far are you?"\n' });
    expect(human.err).toBe('w1: TASK_PROGRESS {"progress":"thinking"}\n');
    const both = await Promise.all(
      ['a', 'b'].map((text) => cli(['sessions', 'send', 'w1', text, '--wait', '20s', '--json'])),
    );
    expect(both.map(({ out }) => (JSON.parse(out) as { answer: { payload: unknown } }).answer.payload)).toEqual([
      { text: 'you said "a"' },
      { text: 'you said "b"' },
    ]);
    await agent.stop();
    await running;
    expect(await mail('admin-replies')).toEqual([]);
  });

  it('send --wait says where the message is if nobody answers', async () => {
    const { code, out } = await cli(['sessions', 'send', 'w1', 'Hello?', '--wait', '300ms']);
    expect(code).toBe(7);
    expect(out).toMatch(
      /^w1 has not answered within 300ms: the message waits in its mailbox, and the agent is running/,
    );
  });
});

describe('messages', () => {
  it('ls, dead, requeue and discard', async () => {
    const { id } = await json<{ id: string }>(
      'queues',
      'send',
      'analysis',
      '--type',
      'TASK_DELEGATE',
      '--payload',
      '{"n":1}',
    );
    const ls = await cli(['messages', 'ls', '--queue', 'analysis']);
    expect(ls.out).toMatch(new RegExp(`^ID .*\n${id} +analysis +ready +TASK_DELEGATE +4 +admin +0 .*\\{"n":1\\}\n$`));
    const { body } = await daemon.call<{ messages: { lease: string }[] }>('GET', '/queues/analysis/messages');
    const nack = { lease: body.messages[0]?.lease, dead: true, reason: 'cannot be done' };
    expect((await daemon.call('POST', `/queues/analysis/messages/${id}/nack`, nack)).status).toBe(200);
    expect((await cli(['messages', 'dead', 'analysis'])).out).toMatch(
      new RegExp(`${id} .*rejected.*cannot be done\n$`),
    );
    expect(await cli(['messages', 'requeue', 'analysis', id])).toMatchObject({ code: 0, out: '1 requeued\n' });
    expect((await json<{ messages: [] }>('messages', 'dead', 'analysis')).messages).toEqual([]);
    expect(
      (await json<{ messages: [] }>('messages', 'ls', '--queue', 'analysis', '--state', 'ready')).messages,
    ).toHaveLength(1);
    expect(await cli(['messages', 'discard', 'analysis'])).toMatchObject({ code: 0, out: '0 discarded\n' });
  });

  it('tail shows what is sent from then on', async () => {
    await cli(['agents', 'send', 'w1', 'before']);
    const one = start('messages', 'tail', '@w1');
    const all = start('messages', 'tail', '--json');
    // Nothing tells that they have begun: so there is news until they have seen some.
    let sent = 0;
    await until(
      async () => {
        if (one.ran.out !== '' && all.ran.out !== '') return true;
        sent += 1;
        await daemon.call('POST', '/agents/w2/messages', { type: 'TEXT', payload: 'elsewhere' });
        await daemon.call('POST', '/agents/w1/messages', { type: 'TEXT', payload: `news ${sent}`, priority: 9 });
        return false;
      },
      { what: 'the tails' },
    );
    expect(one.ran.out).toMatch(/^\d\d:\d\d:\d\d @w1 ← admin TEXT p9 "news \d+"\n/);
    expect(one.ran.out).not.toMatch(/before|elsewhere/);
    expect(JSON.parse(all.ran.out.split('\n')[0] ?? '')).toMatchObject({ type: 'TEXT', from: 'admin', state: 'ready' });
  });
});

describe('queues', () => {
  it('set, ls, show and rm', async () => {
    const made = await json<QueueView>(
      'queues',
      'set',
      'fresh',
      '--member-label',
      'role=analyst',
      '--lease',
      '5m',
      '--attempts',
      '3',
      '--concurrency',
      '2',
    );
    expect(made).toMatchObject({
      name: 'fresh',
      members: { labels: { role: 'analyst' } },
      settings: { lease: '5m', attempts: 3, concurrency: 2 },
    });
    const changed = await json<QueueView>(
      'queues',
      'set',
      'fresh',
      '--member',
      'w1',
      '--member',
      'w2',
      '--concurrency',
      'none',
      '--ttl',
      'never',
      '--retry',
      '{"initial":"2s"}',
    );
    expect(changed).toMatchObject({
      members: ['w1', 'w2'],
      settings: { concurrency: null, ttl: null, retry: { initial: '2s' } },
    });
    const kept = await json<QueueView>('queues', 'set', 'fresh', '--attempts', '7');
    expect(kept).toEqual({ ...changed, settings: { ...changed.settings, attempts: 7 } });
    expect((await cli(['queues', 'ls'])).out).toMatch(/^QUEUE +READY .*\n(.*\n)*fresh +0 +0 +0 +0 +- +w1, w2\n/);
    expect((await cli(['queues', 'show', 'fresh'])).out).toMatch(/\n {2}ttl: none\n/);
    const watch = start('queues', 'ls', '--watch');
    await until(() => watch.ran.out.includes('fresh'), { what: 'the list' });
    await cli(['queues', 'send', 'fresh', 'x']);
    await until(() => /\nfresh +1 /.test(watch.ran.out), { what: 'the change' });
    expect(await cli(['queues', 'rm', 'fresh'])).toMatchObject({ code: 0, out: 'fresh is deleted\n' });
    expect((await cli(['messages', 'dead', 'fresh'])).out).toMatch(/ deleted .*fresh was deleted\n$/);
    await cli(['messages', 'discard', 'fresh']);
    expect((await cli(['queues', 'show', 'fresh'])).code).toBe(3);
    expect((await cli(['queues', 'set', 'x', '--member', 'a', '--member-label', 'b=c'])).code).toBe(2);
  });
});

describe('topics', () => {
  it('publish, ls and tail', async () => {
    const first = await cli(['topics', 'publish', 'team.news', '{"text":"done"}', '--key', 'n1']);
    expect(first.out).toMatch(/^\d+ is published on team\.news\n$/);
    const again = await cli(['topics', 'publish', 'team.news', '{"text":"done"}', '--key', 'n1']);
    expect(again.out).toMatch(/^\d+ had been published before on team\.news\n$/);
    expect((await cli(['topics', 'ls'])).out).toMatch(/\nteam\.news +1 +\d+ /);
    const tail = start('topics', 'tail', 'team.>', '--after', '0');
    await until(() => tail.ran.out.includes('{"text":"done"}'), { what: 'the first event' });
    await cli(['topics', 'publish', 'team.more']);
    await until(() => tail.ran.out.includes('team.more ← admin null'), { what: 'the second' });
    expect((await cli(['topics', 'publish', 'not a topic', '1'])).code).toBe(2);
  });
});

describe('state', () => {
  it('put, get, ls and rm, shared and of an agent', async () => {
    const put = await json<StateEntryView>('state', 'put', 'limits', '{"max":5}');
    expect((await cli(['state', 'get', 'limits'])).out).toBe('{\n  "max": 5\n}\n');
    expect(await cli(['state', 'put', 'limits', '6', '--if-version', String(put.version)])).toMatchObject({ code: 0 });
    const late = await cli(['state', 'put', 'limits', '7', '--if-version', String(put.version)]);
    expect([late.code, late.err]).toEqual([5, expect.stringContaining('VERSION_CONFLICT')]);
    await cli(['state', 'put', 'a/motto', '--text', 'Do one thing', '--agent', 'w1', '--ttl', '1h']);
    expect((await cli(['state', 'put', 'a/plan', '--agent', 'w1'], '[1, 2]')).code).toBe(0);
    const { entries } = await json<{ entries: StateEntryView[] }>('state', 'ls', 'a/', '--agent', 'w1');
    expect(entries.map(({ key, value }) => [key, value])).toEqual([
      ['a/motto', 'Do one thing'],
      ['a/plan', [1, 2]],
    ]);
    expect((await cli(['state', 'ls'])).out).toMatch(/^KEY +VERSION +AGE +EXPIRES +VALUE\nlimits +\d+ .* 6\n$/);
    expect(await cli(['state', 'rm', 'limits'])).toMatchObject({ code: 0, out: 'limits is deleted\n' });
    expect((await cli(['state', 'get', 'limits'])).code).toBe(3);
    expect((await cli(['state', 'put', 'limits', 'six'])).err).toContain(`'"hello"'`);
  });
});

describe('completion', () => {
  it('suggests agents and queues', async () => {
    const suggested = async (...args: string[]) => (await cli(['complete', '--', ...args])).out;
    expect(await suggested('agents', 'send', '')).toContain('w1');
    expect(await suggested('sessions', 'send', '')).toContain('w2');
    expect(await suggested('messages', 'dead', '')).toContain('analysis');
  });
});
