import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { DecisionView, IncidentView } from '../../src/contract/incident-view.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { Receiver } from '../support/receiver.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const ENTRY = path.join(import.meta.dirname, '../../dist/cli/main.js');
const RUNS = { command: ['sleep', '36127'] };
const isRunning = ({ state }: AgentView): boolean => state === 'running';

/** Asks for an approval once, with its own token, and writes down what it is told. */
const ASKER = `
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
const { OPENSTARRY_API_URL: url, OPENSTARRY_TOKEN: token, OPENSTARRY_AGENT_ID: id, FOLDER } = process.env;
const call = (path, body) => fetch(url + path, {
  method: body === undefined ? 'GET' : 'POST',
  headers: { authorization: 'Bearer ' + token, 'content-type': 'application/json' },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
}).then((answer) => answer.json());
for (;;) {
  try {
    if (!existsSync(FOLDER + '/asked')) {
      const action = { command: 'restart', agent_id: 'worker' };
      await call('/incidents', { incident_id: 'restart-worker', summary: 'worker leaks', proposal: { action, reason: 'it leaks', risk: 'low' } });
      writeFileSync(FOLDER + '/asked', '');
    }
    const { messages = [] } = await call('/agents/' + id + '/messages?wait=1s');
    for (const { id: message, lease, type, payload } of messages) {
      appendFileSync(FOLDER + '/told', JSON.stringify({ type, payload }) + '\\n');
      await call('/agents/' + id + '/messages/' + message + '/ack', { lease });
    }
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 100)); // nobody is there
  }
}`;

/** The chief: acknowledges whatever it is told of. */
const BOSS = `
const { OPENSTARRY_API_URL: url, OPENSTARRY_TOKEN: token } = process.env;
const call = (path, body) => fetch(url + path, {
  method: body === undefined ? 'GET' : 'POST',
  headers: { authorization: 'Bearer ' + token, 'content-type': 'application/json' },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
}).then((answer) => answer.json());
for (;;) {
  const { messages = [] } = await call('/agents/boss/messages?wait=20s');
  for (const { id, lease, payload } of messages) {
    if (payload.about === 'opened') await call('/incidents/' + payload.incident_id + '/acknowledge', { note: 'on it' });
    await call('/agents/boss/messages/' + id + '/ack', { lease });
  }
}`;

let daemon: TestDaemon;
let receiver: Receiver | undefined;
afterEach(async () => {
  await daemon?.end();
  await receiver?.stop();
  receiver = undefined;
});

const incident = async (id: string): Promise<IncidentView> =>
  (await daemon.call<IncidentView>('GET', `/incidents/${id}`)).body;
const untilIncident = (id: string, wanted: (view: IncidentView) => boolean, what: string, deadlineMs = 20_000) =>
  until(
    async () => {
      const { status, body } = await daemon.call<IncidentView>('GET', `/incidents/${id}`);
      return status === 200 && wanted(body) ? body : undefined;
    },
    { what: `${id} ${what}`, deadlineMs },
  );

async function killEverything(): Promise<void> {
  const held = await daemon.custody();
  const temporal = held.entries.find((entry) => entry.agent === '_temporal')!.live!;
  process.kill(held.pid, 'SIGKILL');
  process.kill(temporal.pid, 'SIGKILL');
  await daemon.signal('SIGKILL');
  await until(() => !isAlive(temporal.pid), { what: 'the death of Temporal' });
}

describe('an approval', () => {
  it('asked for before kill -9 of everything is decided after it, once, by one of twenty; it is carried out once', async () => {
    receiver = await new Receiver().start();
    // The asker goes on with the address that it was given at its start.
    const ports = await choosePorts({ api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 });
    daemon = await TestDaemon.make({
      ports,
      escalation: { channels: [{ name: 'ops', type: 'webhook', url: receiver.url }] },
      defaults: { stop: { grace: '1s' } },
      agents: { worker: RUNS },
    });
    await writeFile(path.join(daemon.dir, 'asker.mjs'), ASKER);
    await daemon.start();
    const worker = await daemon.untilAgent('worker', isRunning, 'running');
    const asker = {
      agent_id: 'asker',
      command: [process.execPath, path.join(daemon.dir, 'asker.mjs')],
      env: { FOLDER: daemon.dir },
    };
    expect((await daemon.call('POST', '/agents', asker)).status).toBe(201);
    await untilIncident(
      'restart-worker',
      ({ deliveries }) => deliveries.some(({ state }) => state === 'sent'),
      'told to people',
    );
    const before = await incident('restart-worker');
    expect(before).toMatchObject({ opened_by: 'asker', decision: null, state: 'open' });

    await killEverything();
    await daemon.start();
    await daemon.untilAgent('worker', isRunning, 'adopted', 60_000);
    const pending = await incident('restart-worker');
    expect(pending).toMatchObject({ decision: null, state: 'open', count: 1, opened_at: before.opened_at });

    const { temporal } = await daemon.status();
    const word = (n: number): string => (n % 2 === 0 ? 'approve' : 'reject');
    const byApi = async (n: number): Promise<DecisionView> => {
      const { status, body } = await daemon.call<
        IncidentView & { error: { code: string; details: { decision: DecisionView } } }
      >('POST', `/incidents/restart-worker/${word(n)}`, { by: `api ${n}` });
      if (status === 200) return body.decision!;
      expect([status, body.error.code]).toEqual([409, 'ALREADY_DECIDED']);
      return body.error.details.decision;
    };
    const byCli = async (n: number): Promise<DecisionView> => {
      const args = [ENTRY, word(n), 'restart-worker', '--by', `cli ${n}`, '--json'];
      const child = spawn(process.execPath, args, {
        env: daemon.env,
        cwd: daemon.dir,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      const answer = JSON.parse(text) as IncidentView & { error: { details: { decision: DecisionView } } };
      if (code === 0) return answer.decision!;
      expect(code).toBe(5);
      return answer.error.details.decision;
    };
    const byTemporal = async (n: number): Promise<DecisionView> => {
      const call = ['workflow', 'update', 'execute', '--workflow-id', 'incident/restart-worker', '--name', word(n)];
      const input = ['--input', JSON.stringify({ by: `temporal ${n}` }), '--address', temporal.address, '-o', 'json'];
      const answer = await run(inject('temporalCli'), [...call, ...input]).catch((error: { stderr: string }) => error);
      if ('stdout' in answer && answer.stdout !== '') {
        const { result } = JSON.parse(answer.stdout) as { result?: IncidentView };
        if (result?.decision) return result.decision;
      }
      // Whose answer is an error is told in words who has decided, and when.
      const [, verdict, by, at] = /was (approved|rejected) by (.+?) at (\S+?Z)/.exec(answer.stderr) ?? [];
      return { ...(await incident('restart-worker')).decision!, verdict: verdict as 'approved', by: by!, at: at! };
    };
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n < 10 ? byApi(n) : n < 15 ? byCli(n) : byTemporal(n))),
    );
    expect(new Set(all.map(({ verdict, by, at }) => `${verdict} by ${by} at ${at}`)).size).toBe(1);

    const done = await untilIncident('restart-worker', ({ state }) => state === 'resolved', 'dealt with', 60_000);
    expect(done.decision).toMatchObject({ verdict: all[0]!.verdict, by: all[0]!.by });
    const isApproved = done.decision?.verdict === 'approved';
    const after = await daemon.untilAgent('worker', isRunning, 'running');
    expect(after.generation).toBe(isApproved ? worker.generation + 1 : worker.generation);
    expect(done.execution).toEqual(isApproved ? expect.objectContaining({ state: 'done' }) : null);
    const told = await until(
      async () => {
        const text = await readFile(path.join(daemon.dir, 'told'), 'utf8').catch(() => '');
        const lines = text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as { type: string; payload: object });
        return lines.length >= (isApproved ? 2 : 1) ? lines : undefined;
      },
      { what: 'the word for the asker' },
    );
    expect(told[0]).toMatchObject({
      type: 'APPROVAL_DECISION',
      payload: {
        incident_id: 'restart-worker',
        decision: done.decision!.verdict,
        by: done.decision!.by,
        at: done.decision!.at,
      },
    });
    // Told to people once when it was asked for, also over all of those deaths, and once when it was decided.
    const notices = receiver.taken.map(({ body }) => JSON.parse(body) as { title: string; delivery_id: string });
    await until(() => receiver!.taken.length >= 2, { what: 'the word for people' });
    expect(notices.filter(({ title }) => title === '[warning] worker leaks')).toHaveLength(1);
  }, 240_000);

  it('that was approved right before the death of everything is carried out once', async () => {
    daemon = await TestDaemon.make({ defaults: { stop: { grace: '1s' } }, agents: { worker: RUNS } });
    await daemon.start();
    const worker = await daemon.untilAgent('worker', isRunning, 'running');
    const action = { command: 'restart', agent_id: 'worker' };
    const body = { incident_id: 'again', summary: 'worker leaks', proposal: { action, reason: 'so', risk: 'low' } };
    expect((await daemon.call('POST', '/incidents', body)).status).toBe(201);
    expect((await daemon.call('POST', '/incidents/again/approve', { by: 'kim' })).status).toBe(200);
    await killEverything();
    await daemon.start();
    const done = await untilIncident('again', ({ state }) => state === 'resolved', 'carried out', 90_000);
    expect(done.execution).toMatchObject({ state: 'done' });
    const after = await daemon.untilAgent('worker', isRunning, 'running');
    expect(after.generation).toBe(worker.generation + 1);
    const answer = await daemon.call('POST', '/incidents/again/reject', { by: 'lee' });
    expect(answer).toMatchObject({
      status: 409,
      body: { error: { code: 'ALREADY_DECIDED', details: { decision: { by: 'kim' } } } },
    });
  }, 180_000);

  it('stays pending also when the database of Temporal is lost', async () => {
    daemon = await TestDaemon.make({ agents: { worker: RUNS } });
    await daemon.start();
    await daemon.untilAgent('worker', isRunning, 'running');
    const proposal = { action: { command: 'stop', agent_id: 'worker' }, reason: 'so', risk: 'low' };
    await daemon.call('POST', '/incidents', { incident_id: 'kept', summary: 'worker leaks', proposal });
    await killEverything();
    for (const name of await readdir(daemon.stateDir))
      if (/^temporal.*\.db/.test(name)) await rm(path.join(daemon.stateDir, name));
    await daemon.start();
    await daemon.untilAgent('worker', isRunning, 'adopted', 60_000);
    expect(await incident('kept')).toMatchObject({ state: 'open', decision: null, count: 1 });
    const answer = await daemon.call<IncidentView>('POST', '/incidents/kept/approve', { by: 'kim' });
    expect(answer).toMatchObject({ status: 200, body: { decision: { verdict: 'approved', by: 'kim' } } });
    await untilIncident('kept', ({ execution }) => execution?.state === 'done', 'carried out');
    await daemon.untilAgent('worker', ({ state }) => state === 'stopped', 'stopped');
  }, 180_000);
});

describe('incidents', () => {
  it('that the chief acknowledges with its own token never reach people', async () => {
    receiver = await new Receiver().start();
    daemon = await TestDaemon.make({
      chief: 'boss',
      escalation: { channels: [{ name: 'ops', type: 'webhook', url: receiver.url }], chief_ack: '3s' },
      agents: { boss: RUNS },
    });
    const script = path.join(daemon.dir, 'boss.mjs');
    await writeFile(script, BOSS);
    await daemon.configure({
      chief: 'boss',
      escalation: { channels: [{ name: 'ops', type: 'webhook', url: receiver.url }], chief_ack: '3s' },
      agents: { boss: { command: [process.execPath, script] } },
    });
    await daemon.start();
    await daemon.untilAgent('boss', isRunning, 'running');
    await daemon.call('POST', '/incidents', {
      incident_id: 'one',
      severity: 'critical',
      summary: 'the bank is on fire',
    });
    const seen = await untilIncident('one', ({ state }) => state === 'acknowledged', 'acknowledged');
    expect(seen.acknowledged).toMatchObject({ by: 'boss' });
    const since = Date.now();
    await until(() => Date.now() - since > 4_000, { what: 'the time of the chief' });
    expect(receiver.received).toEqual([]);

    // Where the chief does not, because it is gone, people hear of it; a reload may change who they are.
    await daemon.call('POST', '/agents/boss/stop');
    const second = await new Receiver().start();
    await daemon.configure({
      chief: 'boss',
      escalation: { channels: [{ name: 'other', type: 'webhook', url: second.url, secret: { from_env: 'KEY' } }] },
      agents: { boss: { command: [process.execPath, script] } },
    });
    const broken = await daemon.call('POST', '/reload');
    expect(broken).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('KEY, which is not in') as string } },
    });
    await daemon.configure({
      chief: 'boss',
      escalation: { channels: [{ name: 'other', type: 'webhook', url: second.url }] },
      agents: { boss: { command: [process.execPath, script] } },
    });
    expect((await daemon.call('POST', '/reload')).body).toMatchObject({
      settings: [{ setting: 'escalation', takes_effect: 'now' }],
    });
    await daemon.call('POST', '/incidents', { incident_id: 'two', summary: 'the bank is still on fire' });
    await until(() => second.taken.length === 1, { what: 'a notice' });
    expect(receiver.received).toEqual([]);
    const { stdout } = await run(process.execPath, [ENTRY, 'notify', 'test'], { env: daemon.env, cwd: daemon.dir });
    expect(stdout).toBe('other: sent\n');
    await second.stop();
  }, 120_000);

  it('that no channel takes are told at the terminal, and told again by the next start', async () => {
    receiver = await new Receiver().start();
    receiver.answers = Array.from({ length: 100 }, () => 410);
    const channels = [
      { name: 'ops', type: 'webhook', url: receiver.url },
      { name: 'phone', type: 'imessage', to: '+82' },
    ];
    daemon = await TestDaemon.make({ escalation: { channels, reminders: '4s' } });
    await daemon.start();
    if (process.platform !== 'darwin')
      expect(daemon.output).toContain('WARNING: The channel phone is iMessage, which needs macOS');
    await daemon.call('POST', '/incidents', { incident_id: 'silent', summary: 'nobody hears' });
    await until(() => daemon.output.includes('No channel has taken the notice of the incident silent (warning)'), {
      what: 'the word at the terminal',
    });
    const failed = await incident('silent');
    expect(failed.deliveries).toMatchObject([
      { channel: 'ops', state: 'failed', attempts: 1, reason: expect.stringMatching(/answered 410/) as string },
      { channel: 'phone', state: 'failed', reason: expect.stringContaining('iMessage needs macOS') as string },
    ]);
    await daemon.signal('SIGKILL');
    receiver.answers = [];
    await daemon.start();
    await until(() => receiver!.taken.length > 0, { what: 'the notice', deadlineMs: 30_000 });
    expect((JSON.parse(receiver.taken[0]!.body) as { title: string }).title).toBe('[warning] nobody hears');
  }, 120_000);

  it('of a night are told at the end of the quiet hours, in one; the critical at once', async () => {
    receiver = await new Receiver().start();
    // They end on a minute: at the next one that leaves time for a start.
    const end = new Date((Math.floor(Date.now() / 60_000) + (Date.now() % 60_000 > 35_000 ? 2 : 1)) * 60_000);
    const clock = (at: Date): string => at.toISOString().slice(11, 16);
    daemon = await TestDaemon.make({
      escalation: {
        channels: [{ name: 'ops', type: 'webhook', url: receiver.url }],
        quiet_hours: { start: clock(new Date(end.getTime() - 2 * 3_600_000)), end: clock(end), timezone: 'UTC' },
        reminders: 'never',
      },
    });
    await daemon.start();
    for (const [incident_id, severity] of [
      ['a', 'warning'],
      ['b', 'info'],
      ['c', 'critical'],
    ])
      await daemon.call('POST', '/incidents', { incident_id, severity, summary: `trouble ${incident_id}` });
    await until(() => receiver!.taken.length === 1, { what: 'what is critical' });
    await untilIncident('b', ({ deliveries }) => deliveries[0]?.state === 'deferred', 'deferred');
    // Also over the death of everything.
    await killEverything();
    await daemon.start();
    expect(receiver.taken).toHaveLength(1);
    await until(() => receiver!.taken.length === 2, { what: 'the end of the quiet hours', deadlineMs: 130_000 });
    expect(Date.now()).toBeGreaterThanOrEqual(end.getTime());
    const titles = receiver.taken.map(({ body }) => (JSON.parse(body) as { title: string }).title);
    expect(titles).toEqual(['[critical] trouble c', '[warning] 2 incidents during quiet hours, 2 still open']);
    for (const id of ['a', 'b'])
      await untilIncident(id, ({ deliveries }) => deliveries[0]?.state === 'sent', 'told by the digest');
  }, 240_000);
});

it('a decision is shown that comes before its proposal is written down again, whose first task died with the daemon', async () => {
  daemon = await TestDaemon.make({});
  daemon.env['OPENSTARRY_FAILPOINT'] = 'daemon.after-record';
  await daemon.start();
  const died = once(daemon.process!, 'exit');
  const proposal = { action: 'sell all', reason: 'it falls', risk: 'high' };
  await daemon.call('POST', '/incidents', { incident_id: 'sell', summary: 'sell?', proposal }).catch(() => undefined);
  await died;
  delete daemon.env['OPENSTARRY_FAILPOINT'];
  await daemon.start();
  const { address } = (await daemon.status()).temporal;
  const connection = await Connection.connect({ address });
  await new Client({ connection }).workflow.getHandle('incident/sell').signal('approve', { by: 'kim' });
  await connection.close();
  const decided = await untilIncident('sell', ({ state }) => state === 'resolved', 'decided');
  expect(decided.decision).toMatchObject({ verdict: 'approved', by: 'kim' });
}, 60_000);
