import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Reject, Retry, run, type Agent, type Message } from '../../sdk/typescript/src/index.ts';
import type { StoredMessageView } from '../../src/contract/messaging-views.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { environmentOf, seatOf, sit } from './seats.ts';

let daemon: TestDaemon;
const open: Agent[] = [];

beforeAll(async () => {
  // The environment of an agent names the port: it has to be the same after a death of the daemon.
  const { api } = await choosePorts({ api: 0 });
  daemon = await TestDaemon.make({
    ports: { api, health: 0, metrics: 0, temporal: 0, ui: 0 },
    messages: { retry: { initial: '50ms', jitter: 0 } },
    queues: { pool: { members: ['a', 'b'] }, anyone: {}, narrow: { max_messages: 1, max_per_sender: 1 } },
    defaults: { stop: { grace: '2s' } },
  });
  await daemon.start();
}, 60_000);
afterEach(async () => {
  await Promise.all(open.splice(0).map((agent) => agent.stop()));
});
afterAll(() => daemon?.end());

/** An agent in this test, that receives. */
async function running(agentId: string, prepare: (agent: Agent) => void, options: Parameters<typeof sit>[2] = {}) {
  const agent = await sit(daemon, agentId, options);
  prepare(agent);
  open.push(agent);
  void agent.run().catch((error: unknown) => void agent.lines.push(String(error)));
  return agent;
}

const stored = async (agentId: string): Promise<StoredMessageView[]> =>
  (await daemon.call<{ messages: StoredMessageView[] }>('GET', `/messages?queue=@${agentId}&limit=200`)).body.messages;
const mailOf = async (agentId: string) => (await stored(agentId)).filter(({ state }) => state !== 'dead');
const deadOf = async (agentId: string) => (await stored(agentId)).filter(({ state }) => state === 'dead');
const untilEmpty = (agentId: string) =>
  until(async () => (await mailOf(agentId)).length === 0, { what: `an empty mailbox of ${agentId}` });

describe('messages', () => {
  it('are handled by type and priority, and acknowledged', async () => {
    const a = await sit(daemon, 'a');
    await seatOf(daemon, 'b');
    await a.sendAll('b', [
      { type: 'TEXT', payload: 'low', priority: 1 },
      { type: 'TEXT', payload: 'high', priority: 9 },
      { type: 'PRICE', payload: { at: 5 }, priority: 5 },
    ]);
    const seen: unknown[] = [];
    await running('b', (b) => {
      b.on('TEXT', ({ payload, from }) => seen.push([payload, from]));
      b.on('*', ({ type }) => seen.push(type));
    });
    await untilEmpty('b');
    expect(seen).toEqual([['high', 'a'], 'PRICE', ['low', 'a']]);
  });

  it('are one message, however often they are sent under a key', async () => {
    const a = await sit(daemon, 'a');
    await seatOf(daemon, 'b');
    const first = await a.send('b', 'TEXT', 'once', { idempotency_key: 'k1' });
    const again = await a.send('b', 'TEXT', 'once', { idempotency_key: 'k1' });
    expect(again).toEqual({ id: first.id, duplicate: true });
    await running('b', (b) => b.on('*', () => undefined));
    await untilEmpty('b');
  });

  it('are answered, also while the one who asks deals with a message itself', async () => {
    await running('b', (b) =>
      b.on('STATUS_QUERY', async (message) => {
        await b.reply(message, 'TASK_PROGRESS', { progress: 'half' });
        await b.reply(message, 'STATUS_REPORT', { state: 'fine' });
      }),
    );
    const progress: unknown[] = [];
    const a = await running('a', (agent) =>
      agent.on('TASK_DELEGATE', async (message) => {
        const onProgress = ({ payload }: Message): void => void progress.push(payload);
        const { payload } = await agent.request('b', 'STATUS_QUERY', {}, { onProgress });
        await agent.reply(message, 'TASK_RESULT', { ok: true, told: payload });
      }),
    );
    const c = await sit(daemon, 'c');
    const answer = await c.request('a', 'TASK_DELEGATE', {}, { timeoutMs: 10_000 });
    expect(answer).toMatchObject({ type: 'TASK_RESULT', from: 'a', payload: { ok: true, told: { state: 'fine' } } });
    expect(progress).toEqual([{ progress: 'half' }]);
    await untilEmpty('a');
    expect(a.lines).toEqual([]);
  });

  it('come again after an error, are given up by Reject, and wait as long as Retry says', async () => {
    const attempts: string[] = [];
    await running('b', (b) =>
      b.on<string>('TEXT', ({ payload, attempt }) => {
        attempts.push(`${payload} ${attempt}`);
        if (payload === 'reject') throw new Reject('not with me');
        if (attempt === 1) throw payload === 'retry' ? new Retry('later', '0ms') : new Error('a bug');
      }),
    );
    const a = await sit(daemon, 'a');
    await a.send('b', 'TEXT', 'error');
    await a.send('b', 'TEXT', 'retry');
    const refused = a.request('b', 'TEXT', 'reject', { timeoutMs: 10_000 });
    await expect(refused).rejects.toMatchObject({
      code: 'REQUEST_UNDELIVERED',
      message: expect.stringContaining('not with me'),
    });
    await untilEmpty('b');
    expect(attempts.toSorted()).toEqual(['error 1', 'error 2', 'reject 1', 'retry 1', 'retry 2']);
    const [dead] = await deadOf('b');
    expect(dead).toMatchObject({
      payload: 'reject',
      death: { cause: 'rejected', reason: expect.stringContaining('not with me') },
    });
  });

  it('without a handler are refused, and the sender is told', async () => {
    const told: unknown[] = [];
    const teller = await running('teller', (agent) => agent.on('CONTROL', ({ payload }) => told.push(payload)));
    await running('b', (b) => b.on('TEXT', () => undefined));
    await teller.send('b', 'PRICE', 1);
    await until(() => told.length === 1, { what: 'the notice' });
    expect(told[0]).toMatchObject({
      event: 'dead_letter',
      type: 'PRICE',
      reason: expect.stringContaining('b has no handler for PRICE'),
    });
  });

  it('of which nobody answers time out', async () => {
    const a = await sit(daemon, 'a');
    await seatOf(daemon, 'c');
    await expect(a.request('c', 'STATUS_QUERY', {}, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'REQUEST_TIMEOUT',
    });
  });

  it('of work queues come to members, and of open ones to those who name them', async () => {
    const seen: unknown[] = [];
    const a = await sit(daemon, 'a');
    await running('b', (b) => b.on('TASK_DELEGATE', ({ queue }) => seen.push(queue)), { queues: ['anyone'] });
    await a.send({ queue: 'pool' }, 'TASK_DELEGATE', {});
    await a.send({ queue: 'anyone' }, 'TASK_DELEGATE', {});
    await until(() => seen.length === 2, { what: 'both tasks' });
    expect(new Set(seen)).toEqual(new Set(['anyone', 'pool']));
  });
});

describe('a call', () => {
  it('that is refused for now is tried again: a full queue takes the message when there is room', async () => {
    const a = await sit(daemon, 'a');
    const to = { queue: 'narrow' };
    await a.send(to, 'TASK_DELEGATE', { n: 1 });
    const second = a.send(to, 'TASK_DELEGATE', { n: 2 });
    await until(() => a.lines.some((line) => line.includes('QUEUE_FULL') || line.includes('narrow')), {
      what: 'a word about it', // at the fourth attempt, and the daemon asks for seconds between two
      deadlineMs: 30_000,
    });
    const seen: unknown[] = [];
    await running('b', (b) => b.on('TASK_DELEGATE', ({ payload }) => seen.push(payload)), { queues: ['narrow'] });
    await second;
    await until(() => seen.length === 2, { what: 'both' });
    expect(seen).toEqual([{ n: 1 }, { n: 2 }]);
  }, 60_000);

  it('that is refused for good is not', async () => {
    const a = await sit(daemon, 'a');
    await expect(a.send('nobody', 'TEXT', 'x')).rejects.toMatchObject({
      code: 'AGENT_NOT_FOUND',
      remedy: expect.stringContaining('GET /agents'),
    });
    await expect(a.send('a', 'TASK_DELEGTE', {})).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

describe('leases', () => {
  it('are extended while a handler works', async () => {
    let handled = 0;
    await running(
      'b',
      (b) =>
        b.on('TEXT', async (_message, { signal }) => {
          handled += 1;
          await until(async () => (await mailOf('b'))[0]?.state === 'leased' && Date.now() > begun + 5000, {
            what: 'more than two leases',
          });
          expect(signal.aborted).toBe(false);
        }),
      { lease: '2s' }, // a machine may stand still for a second
    );
    const a = await sit(daemon, 'a');
    const begun = Date.now();
    await a.send('b', 'TEXT', 'slow');
    await untilEmpty('b');
    expect(handled).toBe(1);
  }, 30_000);

  it('that are lost abort the handler, and the message comes again', async () => {
    const attempts: [number, boolean][] = [];
    const b = await running(
      'b',
      (agent) =>
        agent.on('TEXT', async ({ attempt }, { signal }) => {
          if (attempt === 1) {
            const end = performance.now() + 1600;
            while (performance.now() < end); // the process stands still
            await until(() => signal.aborted, { what: 'the loss' });
          }
          attempts.push([attempt, signal.aborted]);
        }),
      { lease: '1500ms', concurrency: 2 },
    );
    const a = await sit(daemon, 'a');
    await a.send('b', 'TEXT', 'x');
    await untilEmpty('b');
    await until(() => attempts.length === 2, { what: 'both attempts' });
    expect(attempts.toSorted(([x], [y]) => x - y)).toEqual([
      [1, true],
      [2, false],
    ]);
    // Said after its acknowledgement was refused, which is later than the second attempt's own.
    await until(() => b.lines.join().includes('its lease had run out'), { what: 'a word about it' });
  }, 30_000);
});

describe('topics', () => {
  it('are read by pattern from where they were left', async () => {
    const a = await sit(daemon, 'a');
    const b = await sit(daemon, 'b');
    const seen: unknown[] = [];
    const first = await b.subscribe('team.*', ({ payload }) => void seen.push(payload), { name: 'news' });
    await a.publish('team.news', 1);
    await a.publish('other.news', 0);
    await a.publish('team.more', 2);
    await until(() => seen.length === 2, { what: 'two events' });
    await first.close();
    await a.publish('team.news', 3);
    const next = await b.subscribe('team.*', ({ payload }) => void seen.push(payload), { name: 'news' });
    await a.publish('team.news', 4, 'once');
    await a.publish('team.news', 4, 'once');
    await until(() => seen.length >= 4, { what: 'four events' });
    await next.close();
    expect(seen).toEqual([1, 2, 3, 4]);
    await expect(a.publish('agent.a.state', {})).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('state', () => {
  it('is written, compared, listed and deleted', async () => {
    const a = await sit(daemon, 'a');
    const b = await sit(daemon, 'b');
    expect(await a.shared.get('lock')).toBeUndefined();
    const held = await a.shared.compareAndSet('lock', 0, { by: 'a' });
    await expect(b.shared.compareAndSet('lock', 0, { by: 'b' })).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
      details: { version: held.version },
    });
    await b.shared.compareAndSet('lock', held.version, { by: 'b' }, { ttl: '1h' });
    expect(await a.shared.get('lock')).toMatchObject({ value: { by: 'b' } });
    await Promise.all(Array.from({ length: 120 }, (_, n) => a.state.put(`page/${n}`, n)));
    expect((await a.state.list('page/')).map(({ value }) => value as number).toSorted((x, y) => x - y)).toEqual(
      Array.from({ length: 120 }, (_, n) => n),
    );
    expect(await b.state.list('page/')).toEqual([]);
    expect([await a.shared.delete('lock'), await a.shared.delete('lock')]).toEqual([true, false]);
  });

  it('has the snapshot for the next process', async () => {
    const a = await sit(daemon, 'snap');
    expect(a.snapshot()).toBeUndefined();
    await a.saveSnapshot({ round: 7, text: '…' });
    await daemon.call('POST', '/agents/snap/restart');
    await daemon.untilAgent('snap', (agent) => agent.state === 'running' && agent.generation === 2, 'restarted');
    expect((await sit(daemon, 'snap')).snapshot()).toEqual({ round: 7, text: '…' });
  });
});

describe('an agent', () => {
  it('stops receiving, lets the handler end, and leaves the rest', async () => {
    let release: (() => void) | undefined;
    const done: unknown[] = [];
    const b = await running('b', (agent) =>
      agent
        .on('TEXT', async ({ payload }) => {
          await new Promise<void>((resolve) => (release = resolve));
          done.push(payload);
        })
        .onStop(() => done.push('end')),
    );
    const a = await sit(daemon, 'a');
    await a.sendAll('b', [
      { type: 'TEXT', payload: 'first', priority: 9 },
      { type: 'TEXT', payload: 'left', priority: 1 },
    ]);
    // Leased is not begun: it may be on its way to the process.
    const end = await until(() => release, { what: 'the first' });
    const stopped = b.stop();
    end();
    await stopped;
    expect(done).toEqual(['first', 'end']);
    expect(await mailOf('b')).toMatchObject([{ payload: 'left', state: 'ready', attempt: 0 }]);
    await running('b', (agent) => agent.on('*', () => undefined));
    await untilEmpty('b');
  });

  it('reads its own lines', async () => {
    await seatOf(daemon, 'writer', { command: ['sh', '-c', 'echo one; echo two; exec sleep 36074'] });
    const writer = await sit(daemon, 'writer');
    await until(async () => (await writer.logs()).length === 2, { what: 'two lines' });
    expect([await writer.logs(1), await writer.logs()]).toEqual([['two'], ['one', 'two']]);
  });

  it('of an earlier process cannot go on', async () => {
    const env = await seatOf(daemon, 'old');
    await daemon.call('POST', '/agents/old/restart');
    const next = await daemon.untilAgent(
      'old',
      (agent) => agent.state === 'running' && agent.generation === 2,
      'restarted',
    );
    const agent = await sit(daemon, 'old', { env });
    agent.on('*', () => undefined);
    await expect(agent.run()).rejects.toMatchObject({ code: 'STALE_INCARNATION' });
    expect((await environmentOf(next))['OPENSTARRY_TOKEN']).not.toBe(env['OPENSTARRY_TOKEN']);
  });

  it('may be a class', async () => {
    const env = await seatOf(daemon, 'classy');
    const calls: unknown[] = [];
    class Own {
      readonly agent: Agent;
      constructor(agent: Agent) {
        this.agent = agent;
      }
      start() {
        calls.push('start');
      }
      handleCron() {
        calls.push('cron');
      }
      async handleMessage({ payload }: Message) {
        calls.push(payload);
        void this.agent.stop();
      }
      stop() {
        calls.push('stop');
      }
    }
    await daemon.call('POST', '/agents/classy/messages', { type: 'CRON', payload: {}, priority: 9 });
    await daemon.call('POST', '/agents/classy/messages', { type: 'TEXT', payload: 'hello' });
    await run(Own, { env, heartbeats: false });
    expect(calls).toEqual(['start', 'cron', 'hello', 'stop']);
    class Failing {
      start() {
        throw new Error('no data');
      }
    }
    await expect(run(Failing, { env, heartbeats: false, log: () => undefined })).rejects.toThrow('no data');
  });

  it('bears the death of the daemon: what is sent meanwhile is sent once, and it goes on receiving', async () => {
    const got: unknown[] = [];
    await running('b', (b) => b.on('COUNT', ({ payload }) => got.push(payload)));
    const a = await sit(daemon, 'a');
    const sending = (async () => {
      for (let n = 0; n < 60; n += 1) await a.send('b', 'COUNT', n);
    })();
    await until(() => got.length > 10, { what: 'some of them' });
    daemon.process!.kill('SIGKILL');
    await daemon.start();
    await sending;
    await until(() => got.length >= 60, { what: 'all of them', deadlineMs: 60_000 });
    await untilEmpty('b');
    const firsts = got.filter((n, at) => got.indexOf(n) === at);
    expect(firsts).toEqual(Array.from({ length: 60 }, (_, n) => n));
    // Handled, but not acknowledged when the daemon died: at most the one that was in hand.
    expect(got.length).toBeLessThanOrEqual(61);
  }, 90_000);
});
