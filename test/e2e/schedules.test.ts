import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RunView } from '../../src/contract/run-view.ts';
import type { ScheduleView } from '../../src/contract/schedule-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const FOREVER = ['sleep', '1000'];

interface Refusal {
  error: { code: string; message: string; details?: { field?: string } };
}
interface Message {
  type: string;
  from: string;
  payload: { schedule_id: string; scheduled_at: string; payload?: unknown };
  sent_at: string;
}

let daemon: TestDaemon;
const schedule = async (id: string): Promise<ScheduleView> =>
  (await daemon.call<ScheduleView>('GET', `/schedules/${id}`)).body;
const runsOf = async (agentId: string): Promise<RunView[]> =>
  (await daemon.call<{ runs: RunView[] }>('GET', `/runs?agent_id=${agentId}&limit=1000`)).body.runs.toReversed();
const mailOf = async (agentId: string): Promise<Message[]> =>
  (await daemon.call<{ messages: Message[] }>('GET', `/messages?queue=@${agentId}&limit=200`)).body.messages;
const eventsOf = async (agentId: string): Promise<{ payload: Message['payload'] }[]> =>
  (await daemon.call<{ events: { payload: Message['payload'] }[] }>('GET', `/topics/cron.${agentId}/events?max=200`))
    .body.events;
const timesOf = (messages: { payload: Message['payload'] }[]): string[] =>
  messages.map(({ payload }) => payload.scheduled_at);
/** The time that a run was meant for, which is in its id. */
const meantAt = ({ run_id }: RunView): number =>
  Date.parse(run_id.replace(/^.*\.(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
const gone = async (id: string): Promise<boolean> => (await daemon.call('GET', `/schedules/${id}`)).status === 404;
const untilDone = (agentId: string, count: number): Promise<RunView[]> =>
  until(
    async () => {
      const done = (await runsOf(agentId)).filter(({ ended_at }) => ended_at !== null);
      return done.length >= count && done;
    },
    { what: `${count} runs of ${agentId}`, deadlineMs: 30_000 },
  );

describe('schedules through the API', () => {
  beforeAll(async () => {
    daemon = await TestDaemon.make({ agents: { idle: { command: FOREVER, autostart: false } } });
    await daemon.template('Slow', { command: ['sleep', '2.6'], autostart: false, stop: { grace: '1s' } });
    await daemon.template('Quick', { command: ['sh', '-c', 'echo "did $OPENSTARRY_TASK"'] });
    await daemon.template('Called', { command: FOREVER, schedule: '0 9 * * *' });
    await daemon.start();
    await daemon.untilAgent('idle', ({ state }) => state === 'stopped', 'is there');
  }, 60_000);
  afterAll(() => daemon.end());

  it('leave a message and an event for each call, named by the time that was meant', async () => {
    const made = await daemon.call<ScheduleView>('POST', '/schedules', {
      agent_id: 'idle',
      schedule_id: 'beat',
      cron: '* * * * * * *',
      payload: { n: 1 },
    });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/schedules/beat']);
    expect(made.body).toMatchObject({
      when: '* * * * * * *',
      mode: 'message',
      overlap: 'skip',
      catch_up: '1m',
      origin: 'api',
    });
    expect(made.body.next).toHaveLength(5);
    await until(async () => (await mailOf('idle')).length >= 3, { what: 'three calls' });
    await daemon.call('POST', '/schedules/beat/pause', { note: 'enough' });
    const mail = await mailOf('idle');
    expect(mail[0]).toMatchObject({
      type: 'CRON',
      from: '_daemon',
      payload: { schedule_id: 'beat', payload: { n: 1 } },
    });
    expect(new Set(timesOf(mail)).size).toBe(mail.length);
    expect(timesOf(await eventsOf('idle'))).toEqual(timesOf(mail));
    expect(await schedule('beat')).toMatchObject({ paused: true, note: 'enough' });
    expect((await schedule('beat')).counts.made).toBeGreaterThanOrEqual(3);
    const list = (await daemon.call<{ schedules: ScheduleView[] }>('GET', '/schedules')).body.schedules;
    expect(list.map(({ schedule_id }) => schedule_id)).toContain('beat');
    expect((await daemon.call('DELETE', '/schedules/beat')).body).toEqual({ schedule_id: 'beat', deleted: true });
    expect(await gone('beat')).toBe(true);
  });

  it.each([
    [{ cron: '61 * * * *' }, 'cron', '"30 9 * * 1-5"'],
    [{ cron: '* * * *' }, 'cron', 'it has 4 fields'],
    [{ cron: '*/10 30 9 * * 1-5' }, 'cron', '"*/10 30 9 * * 1-5 *"'],
    [{ every: '10' }, 'every', '"10m"'],
    [{ cron: '@daily', timezone: 'Berlin' }, 'timezone', 'did you mean "Europe/Berlin"?'],
    [{ cron: '@daily', catch_up: '1s' }, 'catch_up', '"1m"'],
    [{ at: '2020-01-01T00:00:00Z' }, 'at', 'a time to come, such as'],
    [{}, 'cron', 'exactly one of cron, every, at, after'],
  ])('are refused as %j, naming %s and what is right', async (fields, field, says) => {
    const { status, body } = await daemon.call<Refusal>('POST', '/schedules', { agent_id: 'idle', ...fields });
    expect([status, body.error.code, body.error.details?.field]).toEqual([400, 'INVALID_REQUEST', field]);
    expect(body.error.message).toContain(says);
  });

  it('warn of six fields with the next three times', async () => {
    const { body } = await daemon.call<ScheduleView>('POST', '/schedules', {
      agent_id: 'idle',
      schedule_id: 'six',
      cron: '0 */5 * * * *',
    });
    expect(body.warnings).toEqual([expect.stringContaining(`the next times are ${body.next.slice(0, 3).join(', ')}`)]);
    const changed = await daemon.call<ScheduleView>('PUT', '/schedules/six', { agent_id: 'idle', cron: '0 */5 * * *' });
    expect(changed.body).toMatchObject({ schedule_id: 'six', when: '0 */5 * * *', warnings: [] });
    await daemon.call('DELETE', '/schedules/six');
  });

  it('need an agent, and a name of their own', async () => {
    const code = async (body: object): Promise<string> =>
      (await daemon.call<Refusal>('POST', '/schedules', body)).body.error.code;
    expect(await code({ agent_id: 'nobody', cron: '@daily' })).toBe('AGENT_NOT_FOUND');
    await daemon.call('POST', '/schedules', { agent_id: 'idle', cron: '@daily' });
    expect(await code({ agent_id: 'idle', cron: '@daily' })).toBe('SCHEDULE_EXISTS');
    expect(
      (await daemon.call<Refusal>('PUT', '/schedules/idle', { agent_id: 'other', cron: '@daily' })).body.error.code,
    ).toBe('INVALID_REQUEST');
    expect((await daemon.call<Refusal>('POST', '/schedules/none/pause')).body.error.code).toBe('SCHEDULE_NOT_FOUND');
    await daemon.call('DELETE', '/schedules/idle');
  });

  it('come and go with their agents', async () => {
    const own = await daemon.call('POST', '/agents', { agent_id: 'own', command: FOREVER, schedule: { every: '1h' } });
    expect(own.status).toBe(201);
    expect(await schedule('own')).toMatchObject({ when: 'every 1h', origin: 'agent' });
    const bad = await daemon.call<Refusal>('POST', '/agents', {
      agent_id: 'bad',
      command: FOREVER,
      schedule: '61 * * * *',
    });
    expect([bad.status, bad.body.error.details?.field]).toEqual([400, 'schedule.cron']);
    expect(await daemon.agent('bad')).toBeUndefined();
    await daemon.call('POST', '/agents', { agent_id: 'called', template_id: 'Called' });
    expect(await schedule('called')).toMatchObject({ when: '0 9 * * *', origin: 'agent' });
    await daemon.call('POST', '/schedules', { agent_id: 'own', schedule_id: 'more', cron: '@daily' });
    await Promise.all(['own', 'called'].map((id) => daemon.call('DELETE', `/agents/${id}`)));
    for (const id of ['own', 'called', 'more']) await until(() => gone(id), { what: `the end of schedule ${id}` });
  });

  it('come with an agent that is started with Temporal, from its template', async () => {
    const { address } = (await daemon.status()).temporal;
    const input = JSON.stringify({ agent_id: 'foreign', template_id: 'Called' });
    const workflow = ['--type', 'agent', '--task-queue', 'orchestrator', '-w', 'agent/foreign', '-i', input];
    await run(inject('temporalCli'), ['workflow', 'start', ...workflow, '--address', address]);
    await daemon.untilAgent('foreign', ({ state }) => state === 'running', 'runs');
    expect(await schedule('foreign')).toMatchObject({ when: '0 9 * * *', origin: 'agent' });
    await daemon.call('DELETE', '/schedules/foreign');
    await daemon.call('POST', '/agents/foreign/restart');
    expect(await gone('foreign')).toBe(true);
  });

  it('go with an agent that is deleted past the API', async () => {
    await daemon.call('POST', '/agents', { agent_id: 'past', command: FOREVER, schedule: '@daily' });
    const { address } = (await daemon.status()).temporal;
    await run(inject('temporalCli'), [
      'workflow',
      'signal',
      '-w',
      'agent/past',
      '--name',
      'delete',
      '--address',
      address,
    ]);
    await until(() => gone('past'), { what: 'the end of the schedule', deadlineMs: 20_000 });
  });

  it('call once, at a moment or after a while', async () => {
    const before = Date.now();
    await daemon.call('POST', '/agents', { agent_id: 'once', command: FOREVER, schedule: { after: '3s' } });
    const at = Math.ceil(Date.now() / 1000) * 1000 + 4000;
    const body = { agent_id: 'once', schedule_id: 'at', at: new Date(at).toISOString() };
    expect((await daemon.call('POST', '/schedules', body)).status).toBe(201);
    const mail = await until(
      async () => {
        const found = await mailOf('once');
        return found.length >= 2 && found;
      },
      { what: 'both calls', deadlineMs: 20_000 },
    );
    // Each once, whichever came first: how long it took to make them is not known.
    const calls = Object.fromEntries(mail.map((message) => [message.payload.schedule_id, message]));
    expect(mail.map(({ payload }) => payload.schedule_id).toSorted()).toEqual(['at', 'once']);
    const meant = (id: string): number => Date.parse(calls[id]!.payload.scheduled_at);
    expect(meant('at')).toBe(at);
    expect(meant('once')).toBeGreaterThanOrEqual(before + 3000);
    for (const id of ['at', 'once']) expect(Date.parse(calls[id]!.sent_at)).toBeGreaterThanOrEqual(meant(id));
    for (const id of ['at', 'once'])
      await until(async () => (await schedule(id)).counts.made === 1, { what: `the count of ${id}` });
    expect(await schedule('at')).toMatchObject({ next: [], warnings: [], counts: { made: 1 } });
    expect(await mailOf('once')).toHaveLength(2);
  }, 40_000);

  it('can be triggered, and make up for a time that is over, each call once', async () => {
    await daemon.call('POST', '/agents', {
      agent_id: 'fill',
      command: FOREVER,
      autostart: false,
      schedule: { every: '10s', paused: true },
    });
    await daemon.call('POST', '/schedules/fill/trigger');
    await until(async () => (await mailOf('fill')).length === 1, { what: 'the call' });
    // Not the time of the trigger itself.
    const to = Math.floor(Date.now() / 10_000) * 10_000 - 10_000;
    const range = { from: new Date(to - 50_000).toISOString(), to: new Date(to).toISOString() };
    for (const times of [1, 2]) {
      const { status } = await daemon.call('POST', '/schedules/fill/backfill', range);
      expect(status).toBe(200);
      await until(async () => (await schedule('fill')).counts.made === 1 + 6 * times, {
        what: 'the calls',
        deadlineMs: 20_000,
      });
    }
    await until(async () => (await schedule('fill')).counts.running === 0, { what: 'their end' });
    const wanted = Array.from({ length: 6 }, (_, n) =>
      new Date(to - 50_000 + n * 10_000).toISOString().replace('.000Z', 'Z'),
    );
    const made = timesOf(await mailOf('fill')).slice(1);
    expect(made.toSorted()).toEqual(wanted);
    const future = { from: range.from, to: new Date(Date.now() + 60_000).toISOString() };
    const refused = await daemon.call<Refusal>('POST', '/schedules/fill/backfill', future);
    expect([refused.status, refused.body.error.details?.field]).toEqual([400, 'to']);
    const years = { from: '2000-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' };
    const tooMany = await daemon.call<Refusal>('POST', '/schedules/fill/backfill', years);
    expect([tooMany.status, tooMany.body.error.message]).toEqual([
      400,
      'from 2000-01-01T00:00:00Z to 2026-01-01T00:00:00Z the schedule fill has more than 10000 calls, ' +
        'which is the limit of one backfill; backfill smaller ranges, one after the other',
    ]);
    expect((await schedule('fill')).counts.made).toBe(13);
  }, 60_000);

  it('in mode run make their agent anew each time, and delete it', async () => {
    const made = await daemon.call<ScheduleView>('POST', '/schedules', {
      agent_id: 'job',
      template_id: 'Quick',
      every: '1s',
      mode: 'run',
      task: 'the work',
      cleanup: 'delete',
    });
    expect([made.status, made.body.mode]).toEqual([201, 'run']);
    const runs = await untilDone('job', 3);
    await daemon.call('DELETE', '/schedules/job');
    for (const run of runs)
      expect(run).toMatchObject({ state: 'succeeded', schedule_id: 'job', output: 'did the work' });
    expect(new Set(runs.map(({ run_id }) => run_id)).size).toBe(runs.length);
    expect(runs[0]?.run_id).toMatch(/^job\.\d{8}T\d{6}Z$/);
    await until(async () => (await daemon.agent('job')) === undefined, { what: 'the end of the agent' });
    expect(made.body.counts.skipped_overlap).toBe(0);
  }, 60_000);

  it('in mode run stay when a run deletes an agent that ran anyway, and make it anew', async () => {
    await daemon.template('Lives', { command: ['sh', '-c', '[ -n "$OPENSTARRY_TASK" ] || exec sleep 1000'] });
    await daemon.call('POST', '/agents', { agent_id: 'lives', template_id: 'Lives' });
    await daemon.call('POST', '/schedules', {
      agent_id: 'lives',
      template_id: 'Lives',
      every: '1h',
      mode: 'run',
      task: 'the work',
      cleanup: 'delete',
      timeout: '2s',
    });
    await daemon.call('POST', '/schedules/lives/trigger');
    const [first] = await untilDone('lives', 1);
    // Its time is up, and so is that of its task: whichever is told first.
    expect(first).toMatchObject({ state: expect.stringMatching('timed_out|failed'), via: 'mailbox' });
    await until(async () => (await daemon.agent('lives')) === undefined, { what: 'the end of the agent' });
    expect((await daemon.call('POST', '/schedules/lives/trigger')).status).toBe(200);
    const [, second] = await untilDone('lives', 2);
    expect(second).toMatchObject({ via: 'process' });
    await daemon.call('DELETE', '/schedules/lives');
  }, 60_000);

  it.each(['skip', 'buffer_one', 'cancel_other'] as const)(
    'mean %s as they say it',
    async (overlap) => {
      const agent_id = overlap.replace('_', '-');
      const made = await daemon.call('POST', '/agents', {
        agent_id,
        template_id: 'Slow',
        schedule: { every: '1s', mode: 'run', overlap },
      });
      expect([made.status, (made.body as { state: string }).state]).toEqual([201, 'stopped']);
      const runs = await untilDone(agent_id, 3);
      const { counts } = await schedule(agent_id);
      await daemon.call('DELETE', `/agents/${agent_id}`);
      // One process at a time, whatever the overlap.
      const spans = runs.map((each) => [Date.parse(each.started_at), Date.parse(each.ended_at ?? '')] as const);
      for (const [n, [from]] of spans.slice(1).entries())
        expect(from).toBeGreaterThanOrEqual((spans[n]?.[1] ?? 0) - 50);
      const states = runs.map(({ state }) => state);
      if (overlap === 'cancel_other') expect(states).toContain('cancelled');
      else expect(new Set(states)).toEqual(new Set(['succeeded']));
      if (overlap === 'cancel_other') expect(counts.skipped_overlap).toBe(0);
      else expect(counts.skipped_overlap).toBeGreaterThan(0);
      // One that was buffered was meant for a time at which the one before it ran, and did not wait for a free second.
      if (overlap !== 'buffer_one') return;
      for (const [n, next] of runs.slice(1).entries()) expect(meantAt(next)).toBeLessThan(spans[n]?.[1] ?? 0);
    },
    60_000,
  );
});
