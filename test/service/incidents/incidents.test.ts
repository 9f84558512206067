import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import type { IncidentView } from '../../../src/contract/incident-view.ts';
import { incidentWorkflowIdOf } from '../../../src/contract/incident-view.ts';
import type { Call } from '../../../src/service/caller.ts';
import { executeApproved } from '../../../src/service/incidents/approved-actions.ts';
import { Incidents } from '../../../src/service/incidents/incidents.ts';
import { IncidentUpkeep } from '../../../src/service/incidents/incident-upkeep.ts';
import { Receiver, type Received } from '../../support/receiver.ts';
import { until } from '../../support/wait.ts';
import { ADMIN } from '../lives.ts';
import { incidentFixture, type IncidentFixture } from './incident-fixture.ts';

const REPORT = {
  summary: 'the disk is nearly full',
  value: 'CPU 95 %',
  threshold: '90 %',
  tried: 'AutoHeal tried: failed',
  needed: 'manual work needed',
};

let fixture: IncidentFixture;
let receiver: Receiver;
let n = 0;
let id = '';

beforeAll(async () => {
  const bundle = inject('workflowBundle');
  if (bundle === undefined) throw new Error('The build failed');
  fixture = await incidentFixture({ cli: inject('temporalCli'), bundle });
});
afterAll(() => fixture?.end());
beforeEach(async () => {
  receiver = await new Receiver().start();
  receiver.answersFor = (body) => body.includes(`"incident_id":"i${n}x`);
  fixture.channels({ name: 'ops', type: 'webhook', url: receiver.url, secret: null });
  Object.assign(fixture.settings, { chiefAckMs: 300_000, remindersMs: 3_600_000, quietHours: null, autoApprove: [] });
  fixture.chief.id = null;
  fixture.clock.now = Date.now;
  id = `i${(n += 1)}x`;
});
afterEach(() => receiver.stop());

const agentCall = (agent_id: string): Call => ({
  caller: { kind: 'agent', agent_id, generation: fixture.lives.host.liveGeneration(agent_id) ?? 0, may: { start: [] } },
  request_id: 'test',
});
const start = (agent_id: string): Promise<unknown> =>
  fixture.lives.orchestrator.create(ADMIN, { agent_id, template_id: 'ok' });
const report = async (more: object = {}, call: Call = ADMIN): Promise<IncidentView> =>
  (await fixture.incidents.report(call, { incident_id: id, ...REPORT, ...more })).incident;
/** What is about this test: the end of an earlier one may be told late. */
const taken = (): Received[] => receiver.taken.filter(({ body }) => body.includes(`"incident_id":"i${n}x`));
const bodies = (): { title: string; text: string; delivery_id: string }[] =>
  taken().map(({ body }) => JSON.parse(body) as { title: string; text: string; delivery_id: string });
const titles = (): string[] => bodies().map(({ title }) => title);
const untilTold = (count: number, deadlineMs = 10_000): Promise<unknown> =>
  until(() => taken().length >= count, { what: `${count} notices`, deadlineMs });
const runsOf = async (incidentId: string): Promise<string> =>
  (await fixture.lives.client.workflow.getHandle(incidentWorkflowIdOf(incidentId)).describe()).status.name;

describe('an incident', () => {
  it('is reported once under one id, counted, told to people, and resolved', async () => {
    const first = await fixture.incidents.report(ADMIN, { incident_id: id, ...REPORT });
    expect(first).toMatchObject({
      created: true,
      settled: true,
      incident: { state: 'open', opened_by: 'admin', count: 1 },
    });
    const second = await fixture.incidents.report(ADMIN, { incident_id: id, ...REPORT });
    expect(second).toMatchObject({ created: false, settled: true, incident: { count: 2 } });
    await untilTold(1);
    expect(bodies()[0]).toMatchObject({
      title: '[warning] the disk is nearly full',
      text: expect.stringContaining(
        'CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed\nYou are told: no chief',
      ),
    });
    await fixture.incidents.act(ADMIN, 'resolve', id, { by: 'kim', note: 'cleaned up' });
    await untilTold(2);
    expect(titles()[1]).toBe('[warning] resolved: the disk is nearly full');
    const done = await fixture.untilIncident(id, ({ deliveries }) => deliveries.length === 2, 'told');
    expect(done.deliveries).toMatchObject([
      { channel: 'ops', about: 'opened', state: 'sent', attempts: 1 },
      { channel: 'ops', about: 'resolved', attempts: expect.any(Number) },
    ]);
    expect(done).toMatchObject({ state: 'resolved', resolved: { by: 'kim', reason: 'cleaned up' } });
    await until(async () => (await runsOf(id)) === 'COMPLETED', { what: 'the end of its workflow' });
  });

  it('opens again by a report, and by reopen, with what it was', async () => {
    await report();
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await until(async () => (await runsOf(id)) === 'COMPLETED', { what: 'the end of its workflow' });
    expect(await report()).toMatchObject({ state: 'open', count: 2, resolved: null });
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await until(async () => (await runsOf(id)) === 'COMPLETED', { what: 'the end of its workflow' });
    expect(await fixture.incidents.act(ADMIN, 'resolve', id, {})).toMatchObject({ state: 'resolved' });
    const opened = await fixture.incidents.act(ADMIN, 'reopen', id, { by: 'kim', note: 'not yet' });
    expect(opened).toMatchObject({ state: 'open', count: 2 });
    expect(opened.history.map(({ says }) => says).join()).toContain('reopened by kim: not yet');
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
  });

  it('is told once to a receiver that fails three times', async () => {
    receiver.answers = [500, 503, 429];
    await report();
    await untilTold(1, 20_000);
    const view = await fixture.untilIncident(id, ({ deliveries }) => deliveries[0]?.state === 'sent', 'sent');
    expect(view.deliveries).toMatchObject([{ state: 'sent', attempts: 4 }]);
    expect(receiver.received.map(({ status }) => status)).toEqual([500, 503, 429, 200]);
    expect(new Set(receiver.received.map(({ headers }) => headers['x-openstarry-delivery'])).size).toBe(1);
    await fixture.incidents.act(ADMIN, 'acknowledge', id, {});
  });

  it('goes to the next channel when one fails for good, and says so when all do', async () => {
    const second = await new Receiver().start();
    const hook = { type: 'webhook', secret: null } as const;
    fixture.channels({ ...hook, name: 'gone', url: receiver.url }, { ...hook, name: 'next', url: second.url });
    receiver.answers = [404, 404];
    await report();
    const view = await fixture.untilIncident(id, ({ deliveries }) => deliveries[1]?.state === 'sent', 'sent');
    expect(view.deliveries).toMatchObject([
      { channel: 'gone', state: 'failed', attempts: 1, reason: expect.stringMatching(/answered 404/) },
      { channel: 'next', state: 'sent' },
    ]);
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    fixture.channels({ ...hook, name: 'gone', url: receiver.url });
    id = `${id}.all`;
    receiver.answers = Array.from({ length: 20 }, () => 404);
    await report();
    const failed = await fixture.untilIncident(id, ({ history }) => history.length > 2, 'failed');
    expect(failed.history.map(({ says }) => says).join()).toContain('no channel has taken the notice to people');
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await second.stop();
  });

  it('tells a critical one on the next channel while the first does not answer, and comes back to the first', async () => {
    const second = await new Receiver().start();
    const hook = { type: 'webhook', secret: null } as const;
    fixture.channels({ ...hook, name: 'mute', url: receiver.url }, { ...hook, name: 'next', url: second.url });
    receiver.hangs = true;
    const reportedAtMs = Date.now();
    await report({ severity: 'critical' });
    await until(() => second.taken.length > 0, { what: 'the notice on the second channel', deadlineMs: 20_000 });
    expect(Date.now() - reportedAtMs).toBeLessThan(16_000);
    const view = await fixture.untilIncident(id, ({ deliveries }) => deliveries[1]?.state === 'sent', 'sent');
    expect(view.deliveries).toMatchObject([
      { channel: 'mute', state: 'failed', attempts: 1, reason: expect.stringContaining('did not answer within 10000') },
      { channel: 'next', state: 'sent', attempts: 1 },
    ]);
    await fixture.incidents.act(ADMIN, 'resolve', id, {});

    // A round in which nobody takes it: those that may still take it are tried again, the others are not.
    receiver.hangs = false;
    id = `${id}.again`;
    // Not for the end of the one before.
    receiver.answersFor = second.answersFor = (body) => body.includes(id);
    receiver.answers = [503];
    second.answers = [404];
    await report({ severity: 'critical' });
    const again = await fixture.untilIncident(id, ({ deliveries }) => deliveries[0]?.state === 'sent', 'sent');
    expect(again.deliveries).toMatchObject([
      { channel: 'mute', state: 'sent' },
      { channel: 'next', state: 'failed', attempts: 1, reason: expect.stringMatching(/answered 404/) },
    ]);
    expect(second.received.filter(({ body }) => body.includes(id))).toHaveLength(1);
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await second.stop();
  }, 60_000);

  it('does not send again what was delivered before, whatever Temporal has heard of it', async () => {
    const { incidents, lives } = fixture;
    await report();
    await untilTold(1);
    const { deliveries } = await fixture.untilIncident(id, (view) => view.deliveries[0]?.state === 'sent', 'sent');
    expect(await lives.roster.isDelivered(`${deliveries[0]!.id}#ops`)).toBe(true);
    await incidents.act(ADMIN, 'acknowledge', id, {});
  });
});

describe('the chief', () => {
  it('is told first; what it acknowledges in time, people never hear of', async () => {
    await start('boss');
    fixture.chief.id = 'boss';
    fixture.settings.chiefAckMs = 60_000;
    await report({ severity: 'critical' });
    const mail = await until(async () => (await fixture.mailOf('boss')).find((m) => m.correlationId === id), {
      what: 'the mail',
    });
    expect(mail).toMatchObject({ type: 'ESCALATION', from: '_daemon' });
    const acknowledged = await fixture.incidents.act(agentCall('boss'), 'acknowledge', id, {});
    expect(acknowledged).toMatchObject({ state: 'acknowledged', acknowledged: { by: 'boss' } });
    expect(taken()).toEqual([]);
    await fixture.incidents.act(agentCall('boss'), 'resolve', id, {});
  });

  it('that does not acknowledge in time does not keep people from hearing of it, with why', async () => {
    fixture.chief.id = 'boss';
    fixture.settings.chiefAckMs = 500;
    await report();
    await untilTold(1);
    expect(bodies()[0]?.text).toContain('You are told: the chief boss has not acknowledged it in time');
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await until(async () => (await fixture.mailOf('boss')).filter((m) => m.correlationId === id).length === 2, {
      what: 'the word that it is resolved',
    });
  });

  it('that is down is not waited for', async () => {
    fixture.chief.id = 'nobody';
    await report();
    await untilTold(1);
    expect(bodies()[0]?.text).toContain('You are told: the chief nobody does not exist');
    await fixture.lives.orchestrator.command(ADMIN, 'stop', 'boss', {});
    fixture.chief.id = 'boss';
    id = `${id}.down`;
    await report();
    await untilTold(2);
    expect(bodies()[1]?.text).toMatch(/You are told: the chief boss is down \(stopped: /);
    await fixture.lives.orchestrator.command(ADMIN, 'start', 'boss', {});
  });
});

describe('reminders', () => {
  it('come to people until somebody acknowledges', async () => {
    fixture.settings.remindersMs = 400;
    await report();
    await untilTold(3);
    expect(titles().slice(0, 3)).toEqual([
      '[warning] the disk is nearly full',
      '[warning] reminder: the disk is nearly full',
      '[warning] reminder: the disk is nearly full',
    ]);
    await fixture.incidents.act(ADMIN, 'acknowledge', id, { by: 'kim' });
    await until(async () => (await fixture.incidents.get(ADMIN, id)).deliveries.every((d) => d.state !== 'under_way'), {
      what: 'quiet',
    });
    const told = taken().length;
    const since = Date.now();
    await until(() => Date.now() - since > 1_500, { what: 'three reminders that do not come' });
    expect(taken().length).toBe(told);
    expect(new Set(bodies().map((body) => body.delivery_id)).size).toBe(told);
  });
});

describe('quiet hours', () => {
  /** Around now, by the clock of UTC; over in `seconds`. */
  const quietFor = (seconds: number): void => {
    const end = Date.now() + seconds * 1000;
    const minute = (ms: number): number => Math.floor(ms / 60_000) % 1440;
    fixture.settings.quietHours = { startMinute: minute(end - 7_200_000), endMinute: minute(end), timezone: 'UTC' };
    // Their end is on the minute: the clock is put so that it comes when it is wanted.
    const shift = Math.ceil(end / 60_000) * 60_000 - end;
    fixture.clock.now = () => Date.now() + shift - 60_000;
  };

  it('hold back all but the critical, and tell all of it at their end, in one', async () => {
    quietFor(50);
    await report();
    await report({ incident_id: `${id}.b`, severity: 'info', summary: 'a log is large' });
    await report({ incident_id: `${id}.c`, severity: 'critical', summary: 'the bank is on fire' });
    await untilTold(1);
    expect(titles()).toEqual(['[critical] the bank is on fire']);
    const deferred = await fixture.untilIncident(
      id,
      ({ deliveries }) => deliveries[0]?.state === 'deferred',
      'deferred',
    );
    expect(deferred.deliveries[0]?.reason).toMatch(/^quiet hours \(.* UTC\) until /);
    await fixture.incidents.act(ADMIN, 'resolve', `${id}.b`, {});
    // That it is resolved is held back, too, while it is quiet.
    await fixture.untilIncident(
      `${id}.b`,
      ({ deliveries }) => deliveries.some(({ about, state }) => about === 'resolved' && state === 'deferred'),
      'resolved and held back',
    );
    fixture.settings.quietHours = null;
    expect(await fixture.workflows.reconsider('ops')).toBe(true);
    await untilTold(2);
    const digest = bodies()[1]!;
    expect(digest.title).toBe('[warning] 2 incidents during quiet hours, 1 still open');
    expect(digest.text).toContain('[warning] the disk is nearly full (now open)');
    expect(digest.text).toContain('a log is large (now resolved)');
    await fixture.untilIncident(id, ({ deliveries }) => deliveries[0]?.state === 'sent', 'told by the digest');
    // It waits for the word of its digest, and ends then.
    await until(async () => (await runsOf(`${id}.b`)) === 'COMPLETED', { what: 'the end of its workflow' });
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await fixture.incidents.act(ADMIN, 'resolve', `${id}.c`, {});
  });
});

describe('an approval', () => {
  const proposal = (agent_id: string, more: object = {}) => ({
    proposal: { action: { command: 'restart', agent_id }, reason: 'it leaks', risk: 'low', ...more },
  });

  it('is decided once, by whoever comes first of twenty; the others hear who, and when', async () => {
    await start('leaky');
    await start('asker');
    await report(proposal('leaky'), agentCall('asker'));
    const before = (await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation;
    const calls = Array.from({ length: 20 }, (_, k) =>
      fixture.incidents.act(ADMIN, k % 2 === 0 ? 'approve' : 'reject', id, { by: `person ${k}`, note: 'now' }),
    );
    const ended = await Promise.allSettled(calls);
    const won = ended.filter((one) => one.status === 'fulfilled');
    expect(won).toHaveLength(1);
    const { decision } = (won[0] as PromiseFulfilledResult<IncidentView>).value;
    for (const one of ended) {
      if (one.status === 'fulfilled') continue;
      expect(one.reason).toMatchObject({ code: 'ALREADY_DECIDED', details: { decision } });
      expect((one.reason as Error).message).toContain(`${decision!.verdict} by ${decision!.by} at ${decision!.at}`);
    }
    const done = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'resolved');
    const after = (await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation;
    const isApproved = decision!.verdict === 'approved';
    expect([after - before, done.execution?.state ?? null]).toEqual(isApproved ? [1, 'done'] : [0, null]);
    const mail = (await fixture.mailOf('asker')).filter((m) => m.correlationId === id);
    expect(mail[0]).toMatchObject({
      type: 'APPROVAL_DECISION',
      payload: { incident_id: id, decision: decision!.verdict, by: decision!.by, reason: 'now' },
    });
  });

  it('that is approved is carried out once, and its result stands in the incident', async () => {
    await report(proposal('leaky'), agentCall('asker'));
    const before = (await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation;
    const answer = await fixture.incidents.act(ADMIN, 'approve', id, { by: 'kim' });
    expect(answer).toMatchObject({ decision: { verdict: 'approved', by: 'kim', via: 'api' } });
    const done = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'resolved');
    expect(done.execution).toMatchObject({ state: 'done', message: expect.stringMatching(/^leaky is running: /) });
    expect((await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation).toBe(before + 1);
    await until(async () => (await fixture.mailOf('asker')).filter((m) => m.correlationId === id).length === 2, {
      what: 'the outcome for the asker',
    });
    expect((await fixture.mailOf('asker')).at(-1)).toMatchObject({
      type: 'CONTROL',
      payload: { event: 'approval_executed', state: 'done' },
    });
  });

  it('that was carried out has succeeded, also if the daemon dies before it has said so', async () => {
    const before = (await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation;
    const action = { command: 'restart', agent_id: 'leaky' } as const;
    const request = { incident_id: id, action, by: 'kim', once: 'd1' };
    for (const attempt of [1, 2, 3]) {
      expect(await executeApproved(fixture.lives.orchestrator, request, attempt)).toMatchObject({ ok: true });
      expect((await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation).toBe(before + 1);
    }
  });

  it('that cannot be carried out needs a person', async () => {
    await report(proposal('no-such-agent'));
    await fixture.incidents.act(ADMIN, 'approve', id, { by: 'kim' });
    const failed = await fixture.untilIncident(id, ({ execution }) => execution?.state === 'failed', 'failed');
    expect(failed).toMatchObject({
      state: 'open',
      needed: 'manual intervention needed',
      execution: { message: 'There is no agent no-such-agent' },
    });
    await until(() => titles().some((title) => title.includes('update: ')), { what: 'the word for people' });
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
  });

  it('is decided by rules and by nobody else who is not asked', async () => {
    fixture.settings.autoApprove = [{ command: 'restart', agentId: 'leak?', risk: 'low' }];
    await report(proposal('leaky'), agentCall('asker'));
    const done = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'resolved');
    expect(done.decision).toMatchObject({ verdict: 'approved', by: 'rule 1', via: 'rule' });
    expect(taken()).toEqual([]);
    id = `${id}.risky`;
    await report(proposal('leaky', { risk: 'high' }), agentCall('asker'));
    await untilTold(1);
    expect(await fixture.incidents.get(ADMIN, id)).toMatchObject({ decision: null, state: 'open' });
    await expect(fixture.incidents.act(agentCall('asker'), 'approve', id, {})).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await fixture.incidents.act(agentCall('asker'), 'resolve', id, {});
    await expect(fixture.incidents.act(ADMIN, 'approve', id, {})).rejects.toMatchObject({ code: 'ALREADY_DECIDED' });
  });

  it('under an id that had one before is told and carried out like the first, also while that is still to be told', async () => {
    fixture.settings.quietHours = { startMinute: 0, endMinute: 1439, timezone: 'UTC' };
    const mail = async () => (await fixture.mailOf('asker')).filter((m) => m.correlationId === id);
    const generation = async () => (await fixture.lives.orchestrator.get(ADMIN, 'leaky')).generation;
    const before = await generation();
    for (const times of [1, 2]) {
      await report(proposal('leaky', { expires: '1s', on_expiry: 'approve' }), agentCall('asker'));
      const done = await fixture.untilIncident(
        id,
        ({ state, count }) => state === 'resolved' && count === times,
        `approved ${times} times`,
      );
      expect(done.execution?.state).toBe('done');
      expect(await generation()).toBe(before + times);
      await until(async () => (await mail()).length === 2 * times, { what: `the asker's messages` });
    }
    expect((await mail()).map(({ type }) => type)).toEqual([
      'APPROVAL_DECISION',
      'CONTROL',
      'APPROVAL_DECISION',
      'CONTROL',
    ]);
  });

  it('expires as it says', async () => {
    await report(proposal('leaky', { expires: '1s', on_expiry: 'reject' }));
    const rejected = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'expired');
    expect(rejected.decision).toMatchObject({ verdict: 'rejected', by: 'expiry', via: 'expiry' });
    id = `${id}.kept`;
    await report(proposal('leaky', { expires: '500ms' }));
    const kept = await fixture.untilIncident(
      id,
      ({ history }) => history.some(({ says }) => says.includes('run out')),
      'over',
    );
    expect(kept).toMatchObject({ state: 'open', decision: null });
    await fixture.incidents.act(ADMIN, 'reject', id, {});
  });

  it('is only what has a proposal', async () => {
    await report();
    await expect(fixture.incidents.act(ADMIN, 'approve', id, {})).rejects.toMatchObject({ code: 'NOT_AN_APPROVAL' });
    await expect(report(proposal('leaky'))).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await expect(fixture.incidents.act(ADMIN, 'approve', 'never', {})).rejects.toMatchObject({
      code: 'INCIDENT_NOT_FOUND',
    });
  });
});

describe('rights', () => {
  it('of agents end where the daemon, the chief and people begin', async () => {
    const worker = agentCall('asker');
    await expect(fixture.incidents.report(worker, { incident_id: 'agent.boss.1', summary: 'x' })).rejects.toMatchObject(
      {
        code: 'INVALID_REQUEST',
      },
    );
    await expect(fixture.incidents.report(worker, { kind: 'fail_stop', summary: 'x' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await report();
    for (const verb of ['acknowledge', 'resolve', 'reopen', 'approve'] as const)
      await expect(fixture.incidents.act(worker, verb, id, {})).rejects.toMatchObject({ code: 'FORBIDDEN' });
    fixture.chief.id = 'asker';
    expect(await fixture.incidents.act(worker, 'resolve', id, { by: 'somebody else' })).toMatchObject({
      resolved: { by: 'asker' },
    });
    const stale: Call = { ...worker, caller: { kind: 'agent', agent_id: 'asker', generation: 99, may: { start: [] } } };
    await expect(fixture.incidents.list(stale, { limit: 1 })).rejects.toMatchObject({ code: 'STALE_INCARNATION' });
  });
});

describe('Temporal', () => {
  it('is a way to report, decide and ask, by signals and updates of the same names', async () => {
    const { client } = fixture.lives;
    const workflowId = incidentWorkflowIdOf(id);
    const body = { ...REPORT, proposal: { action: 'buy a disk', reason: 'it is full', risk: 'low' } };
    const handle = await client.workflow.start('incident', { workflowId, taskQueue: 'orchestrator', args: [body] });
    await fixture.untilIncident(id, ({ opened_by }) => opened_by === 'temporal', 'open');
    for (const bad of [null, 'x', { verdict: 1 }, { summary: 7 }]) await handle.signal('report', bad);
    await expect(handle.executeUpdate('report', { args: [{ summary: '' }] })).rejects.toMatchObject({
      cause: { type: 'INVALID_REQUEST' },
    });
    await handle.signal('approve', { by: 'lee', note: 'do it' });
    const done = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'decided');
    expect(done.decision).toMatchObject({ verdict: 'approved', by: 'lee', via: 'temporal', note: 'do it' });
    expect(await handle.query('status')).toMatchObject({ incident_id: id, state: 'resolved' });
  });

  it('refuses what is no incident, and leaves nothing behind', async () => {
    const { client } = fixture.lives;
    const bad = [
      ['incident/ bad', [{ summary: 'x' }]],
      ['other/x', [{ summary: 'x' }]],
      [incidentWorkflowIdOf(id), [{ summary: 7 }]],
      [incidentWorkflowIdOf(id), [{ restore: { incidentId: id } }]],
    ] as const;
    for (const [workflowId, args] of bad) {
      const handle = await client.workflow.start('incident', {
        workflowId,
        taskQueue: 'orchestrator',
        args: [...args],
      });
      await expect(handle.result()).rejects.toBeDefined();
    }
  });
});

describe('upkeep', () => {
  it('resolves the incidents of a deleted agent', async () => {
    fixture.upkeep.start();
    await start('shortlived');
    await report({ agent_id: 'shortlived' });
    await fixture.lives.orchestrator.remove(ADMIN, 'shortlived', {});
    const over = await fixture.untilIncident(id, ({ state }) => state === 'resolved', 'resolved');
    expect(over.resolved).toMatchObject({ by: '_daemon', reason: 'shortlived is deleted' });
  });

  it('goes on with an incident whose workflow was lost', async () => {
    const { client, roster } = fixture.lives;
    const proposal = { action: 'a text', reason: 'so', risk: 'low', expires: '1h', on_expiry: 'reject' } as const;
    const before = await report({ proposal });
    await client.workflow.getHandle(incidentWorkflowIdOf(id)).terminate('test');
    const { workflows } = fixture;
    await new IncidentUpkeep({ records: roster, roster, workflows, warn: () => undefined, freshMs: 0 }).sweep();
    expect(await workflows.standing(id)).toBe('running');
    const after = await fixture.untilIncident(id, ({ history }) => history.length > before.history.length, 'restored');
    expect(after).toMatchObject({ state: 'open', decision: null, proposal: before.proposal });
    expect(await fixture.incidents.act(ADMIN, 'approve', id, { by: 'kim' })).toMatchObject({
      decision: { verdict: 'approved', by: 'kim' },
    });
  });

  it('brings what the records have missed', async () => {
    const { workflows, lives } = fixture;
    const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'openstarry-upkeep-')), 'roster.db');
    const records = await openSqliteRoster(file);
    await report();
    await records.publishRecord((await lives.roster.getRecord('incident', id))!);
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
    await until(async () => (await runsOf(id)) === 'COMPLETED', { what: 'the end of its workflow' });
    await new IncidentUpkeep({ records, roster: records, workflows, warn: () => undefined, freshMs: 0 }).sweep();
    expect(await records.getRecord('incident', id)).toMatchObject({ done: true, state: 'resolved' });
    await records.close();
    await rm(path.dirname(file), { recursive: true });
    // One that runs is asked to say again what it is.
    id = `${id}.again`;
    await report();
    await fixture.untilIncident(id, ({ deliveries }) => deliveries.some(({ state }) => state === 'sent'), 'told');
    const { sequence } = (await lives.roster.getRecord('incident', id))!;
    await until(async () => (await workflows.running(100)).includes(id), { what: 'the list of Temporal' });
    expect(await workflows.refresh(id)).toBe(true);
    await until(async () => ((await lives.roster.getRecord('incident', id))?.sequence ?? 0) > sequence, {
      what: 'its word',
    });
    await fixture.incidents.act(ADMIN, 'resolve', id, {});
  });

  it('is not needed to know that what is over, and has not been recorded so, is over', async () => {
    const { workflows, lives } = fixture;
    const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'openstarry-stale-')), 'roster.db');
    const records = await openSqliteRoster(file);
    await report({ proposal: { action: 'a text', reason: 'so', risk: 'low' } });
    await records.publishRecord((await lives.roster.getRecord('incident', id))!);
    await fixture.incidents.act(ADMIN, 'approve', id, { by: 'kim' });
    await until(async () => (await runsOf(id)) === 'COMPLETED', { what: 'the end of its workflow' });
    // The proposal is still pending there: it must not be decided again.
    const late = new Incidents({
      records,
      workflows,
      live: () => Promise.resolve(undefined),
      chief: () => null,
      testNotice: () => Promise.resolve([]),
    });
    await expect(late.act(ADMIN, 'reject', id, { by: 'lee' })).rejects.toMatchObject({
      code: 'ALREADY_DECIDED',
      details: { decision: { verdict: 'approved', by: 'kim' } },
    });
    expect([await runsOf(id), await records.getRecord('incident', id)]).toMatchObject(['COMPLETED', { done: true }]);
    await records.close();
    await rm(path.dirname(file), { recursive: true });
  });

  it('is not needed for the next word to an incident whose workflow was lost', async () => {
    const { client } = fixture.lives;
    const proposal = { action: 'a text', reason: 'so', risk: 'low' } as const;
    await report({ proposal });
    await client.workflow.getHandle(incidentWorkflowIdOf(id)).terminate('test');
    expect(await fixture.incidents.act(ADMIN, 'approve', id, { by: 'kim' })).toMatchObject({
      decision: { verdict: 'approved', by: 'kim' },
    });
  });
});
