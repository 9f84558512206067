import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { IncidentView } from '../../src/contract/incident-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { Receiver } from '../support/receiver.ts';
import { until } from '../support/wait.ts';

/** Fails after a moment, each time. */
const FAILS = { command: ['sh', '-c', 'sleep 0.05; exit 7'] };
/** Seconds that no other test sleeps. */
const RUNS = { command: ['sleep', '36113'] };
const QUICKLY = { backoff: { initial: '20ms', factor: 1, jitter: 0 }, stop: { grace: '2s' } };

const isRunning = ({ state }: AgentView): boolean => state === 'running';

async function incidentsOf(daemon: TestDaemon, agentId: string): Promise<IncidentView[]> {
  const { body } = await daemon.call<{ incidents: IncidentView[] }>('GET', `/incidents?agent_id=${agentId}`);
  return body.incidents;
}

function untilIncident(
  daemon: TestDaemon,
  agentId: string,
  wanted: (view: IncidentView) => boolean,
  what: string,
): Promise<IncidentView> {
  return until(async () => (await incidentsOf(daemon, agentId)).find(wanted), {
    what: `an incident of ${agentId} ${what}`,
    deadlineMs: 20_000,
  });
}

interface Told {
  title: string;
  text: string;
  delivery_id: string;
  data: { agent_id: string; incident_id: string };
}
const told = (receiver: Receiver, agentId: string): Told[] =>
  receiver.taken.map(({ body }) => JSON.parse(body) as Told).filter(({ data }) => data.agent_id === agentId);

const escalationTo = (receiver: Receiver, more: object = {}): object => ({
  channels: [{ name: 'ops', type: 'webhook', url: receiver.url }],
  chief_ack: '1h',
  reminders: 'never',
  ...more,
});

async function metric(daemon: TestDaemon, agentId: string): Promise<string | undefined> {
  const { body } = await daemon.call<string>('GET', '/metrics');
  return new RegExp(`^agent_state\\{agent="${agentId}"\\} (\\d)`, 'm').exec(body)?.[1];
}

describe('fault domains', () => {
  let daemon: TestDaemon;
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await new Receiver().start();
    daemon = await TestDaemon.make({
      chief: 'boss',
      escalation: escalationTo(receiver),
      defaults: QUICKLY,
      agents: { boss: RUNS },
    });
    await daemon.start();
    await daemon.untilAgent('boss', isRunning, 'running');
  }, 60_000);
  afterAll(async () => {
    await daemon?.end();
    await receiver?.stop();
  });

  const spawn = (agent_id: string, more: object): Promise<unknown> =>
    daemon.call('POST', '/agents?wait=accepted', { agent_id, ...FAILS, ...more });
  interface Mail {
    type: string;
    payload: { agent_id: string; about: string; severity: string };
  }
  const mail = async (agentId: string): Promise<Mail[]> => {
    const { body } = await daemon.call<{ messages: Mail[] }>('GET', '/messages?queue=@boss&limit=100');
    return body.messages.filter(({ payload }) => payload.agent_id === agentId);
  };

  it('default: given up at the 4th failure within 5 minutes; the incident of the 3rd is the same; the chief is told of both', async () => {
    await spawn('plain', { fault_domain: 'default' });
    const gone = await daemon.untilAgent('plain', ({ state }) => state === 'disabled', 'given up');
    expect(gone).toMatchObject({ generation: 4, restarts: 3, pid: null });
    expect(gone.reason).toMatch(/^gave up: 4 failures within 5 min; generation 4 exited with code 7 after /);
    const incident = await untilIncident(daemon, 'plain', ({ kind }) => kind === 'give_up', 'of giving up');
    expect(incident).toMatchObject({
      incident_id: 'agent.plain.1',
      severity: 'critical',
      count: 2,
      value: '4 failures within 5 min',
      threshold: '4',
      tried: 'AutoHeal tried: 3 restarts, failed',
    });
    expect(await incidentsOf(daemon, 'plain')).toHaveLength(1);
    await until(async () => (await mail('plain')).length === 2, { what: 'the mail of the chief' });
    expect((await mail('plain')).map(({ type, payload }) => [type, payload.about, payload.severity])).toEqual([
      ['ESCALATION', 'opened', 'warning'],
      ['ESCALATION', 'updated', 'critical'],
    ]);
    expect(told(receiver, 'plain')).toEqual([]);
    expect(await metric(daemon, 'plain')).toBe('0');
  });

  it('strategy: disabled at the 6th failure in a row, after 5 restarts', async () => {
    await spawn('strat', { fault_domain: 'strategy' });
    const gone = await daemon.untilAgent('strat', ({ state }) => state === 'disabled', 'given up');
    expect(gone).toMatchObject({ generation: 6, restarts: 5 });
    const incident = await untilIncident(daemon, 'strat', ({ kind }) => kind === 'give_up', 'of giving up');
    expect(incident).toMatchObject({ severity: 'critical', count: 2, value: '6 failures in a row', threshold: '6' });
    expect(await incidentsOf(daemon, 'strat')).toHaveLength(1);
  });

  it('data: restarted for ever; one incident from the 3rd failure on', async () => {
    await spawn('feed', { fault_domain: 'data' });
    const seen = await daemon.untilAgent('feed', ({ generation }) => generation >= 8, 'restarted again and again');
    expect(seen.state).not.toBe('disabled');
    const incident = await untilIncident(daemon, 'feed', ({ count }) => count >= 2, 'that is told again');
    expect(incident).toMatchObject({ kind: 'failures', severity: 'warning', incident_id: 'agent.feed.1' });
    expect(incident.value).toMatch(/^(6|12|24|48) failures in a row$/);
    expect(await incidentsOf(daemon, 'feed')).toHaveLength(1);
    await daemon.call('DELETE', '/agents/feed');
    const over = await untilIncident(daemon, 'feed', ({ state }) => state === 'resolved', 'that is over');
    expect(over.resolved?.by).toBe('_daemon');
    expect(await metric(daemon, 'feed')).toBeUndefined();
  });

  it('an agent that recovers ends its incident by itself', async () => {
    const file = path.join(daemon.dir, 'recovers');
    const script = `echo x >> ${file}; if [ $(wc -l < ${file}) -le 3 ]; then exit 7; fi; exec sleep 36113`;
    await spawn('recovers', { command: ['sh', '-c', script], fault_domain: 'data', reset_after: '1s' });
    await untilIncident(daemon, 'recovers', ({ kind }) => kind === 'failures', 'of 3 failures');
    const over = await untilIncident(daemon, 'recovers', ({ state }) => state === 'resolved', 'that is over');
    expect(over.resolved).toMatchObject({ by: '_daemon', reason: 'recovers has run stably for 1 s' });
    expect(await daemon.agent('recovers')).toMatchObject({ state: 'running', generation: 4 });
    expect(await metric(daemon, 'recovers')).toBe('1');
  });

  it('a start by an operator forgives, and ends the incident', async () => {
    await daemon.call('POST', '/agents/strat/stop');
    const over = await untilIncident(daemon, 'strat', ({ state }) => state === 'resolved', 'that is over');
    expect(over.resolved).toMatchObject({ by: '_daemon', reason: 'stopped by an operator' });
    await daemon.call('POST', '/agents/strat/start?wait=accepted');
    await daemon.untilAgent('strat', ({ state, restarts }) => state === 'disabled' && restarts === 5, 'given up again');
    const again = await untilIncident(
      daemon,
      'strat',
      ({ incident_id }) => incident_id === 'agent.strat.2',
      'of its own',
    );
    expect(again.state).toBe('open');
  });

  it('people are told instead of the chief if it is the one in trouble, and told why', async () => {
    await daemon.call('POST', '/agents/boss/stop');
    await spawn('helpless', { fault_domain: 'default' });
    await until(() => told(receiver, 'helpless').length >= 1, { what: 'a notice', deadlineMs: 20_000 });
    expect(told(receiver, 'helpless')[0]?.text).toContain(
      'You are told: the chief boss is down (stopped: generation 1 was stopped on request',
    );
    await daemon.call('POST', '/agents/boss/start');
    const { pid } = await daemon.untilAgent('boss', isRunning, 'running');
    // Of the domain default like any other: at its 4th death it is given up.
    for (let last = pid, n = 0; n < 4; n += 1) {
      process.kill(last!, 'SIGKILL');
      const next = await daemon.untilAgent(
        'boss',
        (a) => a.state === 'disabled' || (a.pid !== null && a.pid !== last),
        'next',
      );
      last = next.pid;
    }
    await daemon.untilAgent('boss', ({ state }) => state === 'disabled', 'given up');
    await until(() => told(receiver, 'boss').some(({ title }) => title.startsWith('[critical]')), { what: 'a notice' });
    expect(told(receiver, 'boss')[0]?.text).toContain('You are told: the chief boss is the agent in trouble');
    await spawn('orphan', { fault_domain: 'default' });
    await until(() => told(receiver, 'orphan').length >= 1, { what: 'a notice' });
    expect(told(receiver, 'orphan')[0]?.text).toContain(
      'You are told: the chief boss is disabled (disabled: gave up: ',
    );
  });

  it('a limit that only notifies opens one incident, and its process ends it', async () => {
    await daemon.call('POST', '/agents/boss/start');
    await daemon.untilAgent('boss', isRunning, 'running');
    const limits = { memory: '1MiB', for: '0s', action: 'notify' };
    await daemon.call('POST', '/agents', {
      agent_id: 'heavy',
      ...RUNS,
      command: ['python3', '-c', 'import time; x = bytearray(2**25); time.sleep(36113)'],
      limits,
    });
    const incident = await untilIncident(daemon, 'heavy', ({ kind }) => kind === 'limit', 'of its limit');
    expect(incident).toMatchObject({ incident_id: 'agent.heavy.limit', severity: 'warning', state: 'open' });
    expect([incident.value, incident.threshold]).toEqual([
      expect.stringMatching(/^memory [\d.]+ MiB$/),
      expect.stringMatching(/^1 MiB/),
    ]);
    await daemon.call('POST', '/agents/heavy/stop');
    await untilIncident(daemon, 'heavy', ({ kind, state }) => kind === 'limit' && state === 'resolved', 'that is over');
  });
});

describe('the master domain', () => {
  let daemon: TestDaemon | undefined;
  afterEach(() => daemon?.end());

  it('is restarted for ever; its 3rd failure goes straight to people', async () => {
    const receiver = await new Receiver().start();
    daemon = await TestDaemon.make({
      master: { agent_id: 'master', ...FAILS },
      chief: 'boss',
      escalation: escalationTo(receiver),
      defaults: QUICKLY,
      agents: { boss: RUNS },
    });
    await daemon.start();
    await daemon.untilAgent('master', ({ generation }) => generation >= 7, 'restarted again and again');
    await until(() => told(receiver, 'master').length > 0, { what: 'a notice' });
    expect(told(receiver, 'master').map(({ text }) => text)).toEqual([
      expect.stringContaining('You are told: master is of the fault domain master'),
    ]);
    expect(await incidentsOf(daemon, 'master')).toMatchObject([{ kind: 'failures', severity: 'warning' }]);
    await receiver.stop();
  }, 60_000);
});

describe('the critical domain', () => {
  let daemon: TestDaemon | undefined;
  let receiver: Receiver;
  afterEach(async () => {
    await daemon?.end();
    await receiver?.stop();
  });

  const vital = async (): Promise<{ daemon: TestDaemon; pid: number; health: string }> => {
    receiver = await new Receiver().start();
    daemon = await TestDaemon.make({
      chief: 'boss',
      escalation: escalationTo(receiver),
      defaults: QUICKLY,
      agents: { boss: RUNS, vital: { ...RUNS, fault_domain: 'critical' } },
    });
    await daemon.start();
    const { pid } = await daemon.untilAgent('vital', isRunning, 'running');
    const { ports } = JSON.parse(await readFile(path.join(daemon.stateDir, 'daemon.json'), 'utf8')) as {
      ports: { health: number };
    };
    return { daemon, pid: pid!, health: `http://127.0.0.1:${ports.health}/healthz` };
  };

  it('fails once: /healthz 503, an ordered stop, exit 78; people are told before the end, and once', async () => {
    const { daemon, pid, health } = await vital();
    expect((await fetch(health)).status).toBe(200);
    const exit = once(daemon.process!, 'exit');
    const boss = await daemon.untilAgent('boss', isRunning, 'running');
    process.kill(pid, 'SIGKILL');
    const seen = await until(
      async () => {
        const answer = await fetch(health).catch(() => undefined);
        return answer?.status === 503 ? answer.text() : undefined;
      },
      { what: 'a 503' },
    );
    expect(seen).toContain('vital');
    expect((await exit)[0]).toBe(78);
    expect(isAlive(boss.pid!)).toBe(false);
    const [notice, ...more] = told(receiver, 'vital');
    expect(more).toEqual([]);
    expect(notice).toMatchObject({
      title: expect.stringMatching(
        /^\[critical\] vital: gave up: its restart policy is never; generation 1 was killed by SIGKILL/,
      ),
      text: expect.stringContaining('You are told: the whole daemon stops, and the chief with it'),
    });
    expect(notice?.text).toContain(
      '1 failure (limit 0), AutoHeal tried: nothing, it is not restarted, manual work needed',
    );

    const refused = daemon.launch(['start']);
    expect((await once(refused, 'exit'))[0]).toBe(78);
    await daemon.start(['--clear-failstop']);
    await daemon.untilAgent('vital', isRunning, 'running');
    const over = await untilIncident(daemon, 'vital', ({ state }) => state === 'resolved', 'that is over');
    expect(over).toMatchObject({ kind: 'fail_stop', severity: 'critical', count: 1 });
    await until(() => told(receiver, 'vital').length === 2, { what: 'the word that it is over' });
    expect(told(receiver, 'vital')[1]?.title).toMatch(/^\[critical\] resolved: vital: /);
    expect(over.deliveries.filter(({ about }) => about === 'opened')).toMatchObject([
      { channel: 'ops', state: 'sent' },
    ]);
  }, 120_000);

  it('does not wait for a receiver that hangs, and tells it once it does not any more', async () => {
    const { daemon, pid } = await vital();
    receiver.hangs = true;
    const exit = once(daemon.process!, 'exit');
    const before = performance.now();
    process.kill(pid, 'SIGKILL');
    expect((await exit)[0]).toBe(78);
    expect(performance.now() - before).toBeLessThan(25_000);
    expect(receiver.received).toHaveLength(1);
    receiver.hangs = false;
    receiver.received.length = 0;
    await daemon.start(['--clear-failstop']);
    await until(() => told(receiver, 'vital').length === 2, { what: 'both words', deadlineMs: 60_000 });
    expect(told(receiver, 'vital').map(({ title }) => title.replace(/vital: .*/, ''))).toEqual([
      '[critical] ',
      '[critical] resolved: ',
    ]);
  }, 150_000);

  it('is down before it ever was up: not made yet while the master is waited for, or without its template', async () => {
    daemon = await TestDaemon.make({
      master: { agent_id: 'boss', template_id: 'not_there' },
      defaults: QUICKLY,
      agents: {
        vital: { ...RUNS, fault_domain: 'critical' },
        by_template: { template_id: 'vital' },
        lost: { template_id: 'not_there', fault_domain: 'critical' },
      },
    });
    await daemon.template('vital', { id: 'vital', fault_domain: 'critical', ...RUNS });
    const started = daemon.start();
    const first = await until(
      async () => {
        const file = await readFile(path.join(daemon!.stateDir, 'daemon.json'), 'utf8').catch(() => '{}');
        const { ports } = JSON.parse(file) as { ports?: { health?: number } };
        if (ports?.health === undefined) return undefined;
        const answer = await fetch(`http://127.0.0.1:${ports.health}/healthz`).catch(() => undefined);
        return answer && { status: answer.status, text: await answer.text() };
      },
      { what: 'the first answer', deadlineMs: 30_000 },
    );
    expect(first).toEqual({
      status: 503,
      text: 'vital: not started yet\nby_template: not started yet\nlost: not started yet',
    });
    await started;
    await daemon.untilAgent('by_template', isRunning, 'running');
    await daemon.untilAgent('lost', ({ state }) => state === 'disabled', 'given up');
    const { critical_down: down } = await daemon.status();
    expect(down).toEqual([{ agent_id: 'lost', reason: expect.stringContaining('not_there') }]);
  }, 60_000);
});
