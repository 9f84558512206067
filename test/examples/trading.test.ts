import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { DaemonView } from '../../src/contract/daemon-view.ts';
import type { IncidentView } from '../../src/contract/incident-view.ts';
import type { StateEntryView, TopicEventView } from '../../src/contract/messaging-views.ts';
import type { ScheduleView } from '../../src/contract/schedule-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const EXAMPLE = path.join(inject('root'), 'examples', 'trading');
const AGENTS = ['chief', 'data_market', 'investor', 'risk', 'strategy'];
const DEADLINE_MS = 40_000;
const isRunning = ({ state }: AgentView): boolean => state === 'running';

interface Portfolio {
  position: number;
  cash: number;
  orders: number;
  last: number | null;
}

type Event<Payload> = Omit<TopicEventView, 'payload'> & { payload: Payload };

interface Told {
  title: string;
  text: string;
  data: { incident_id: string };
}

/** The shell blocks of the page: how to start it faster, and what to look at. */
async function blocks(): Promise<string[]> {
  const readme = await readFile(path.join(EXAMPLE, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block as string);
}

async function series(): Promise<number[]> {
  const rows = (await readFile(path.join(EXAMPLE, 'trading', 'prices.csv'), 'utf8')).split('\n');
  return rows.filter((row) => /^\d/.test(row)).map((row) => Number(row.split(',')[2]));
}

/** What the three rules make of the prices up to `last`: written down once more, from what the page says. */
function traded(prices: number[], last: number): Portfolio {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const portfolio: Portfolio = { position: 0, cash: 0, orders: 0, last: null };
  let side = 0;
  for (let n = 7; n <= last; n += 1) {
    const seen = prices.slice(n - 7, n + 1);
    const next = mean(seen.slice(-3)) > mean(seen) ? 1 : -1;
    if (next === side) continue;
    side = next;
    if (Math.abs(portfolio.position + side) > 3) continue;
    portfolio.position += side;
    portfolio.cash -= side * (prices[n] ?? 0);
    portfolio.orders += 1;
    portfolio.last = n;
  }
  return portfolio;
}

it('stands as it is on the usual ports, and calls by the minute and by the hour', async () => {
  const { PATH } = process.env;
  const config = await loadConfig(path.join(EXAMPLE, 'openstarry.yaml'), { PATH });
  expect(config.ports).toMatchObject({ api: 5050, health: 8000, metrics: 8001 });
  expect(config.agents.map(({ agent_id }) => agent_id).toSorted()).toEqual(AGENTS);
  expect(config.schedules).toMatchObject([
    { agent_id: 'data_market', cron: '*/1 * * * *' },
    { agent_id: 'investor', cron: '0 */1 * * *' },
  ]);
  // Not by a command of its own: the package says what they are.
  expect(await readFile(path.join(EXAMPLE, 'openstarry.yaml'), 'utf8')).not.toMatch(/python3|command: \[python/);
  expect(await readFile(path.join(EXAMPLE, 'trading', 'prices.csv'), 'utf8')).toMatch(
    /^# Self-measured, no market data/,
  );
  const readme = await readFile(path.join(EXAMPLE, 'README.md'), 'utf8');
  for (const id of AGENTS) expect(readme).toContain(`\`${id}\``);
  expect(readme).toContain('a series that we measured ourselves');
});

describe('examples/trading', () => {
  let daemon: TestDaemon;
  let folder: string;
  beforeEach(async () => {
    const ports = { API_PORT: '0', HEALTH_PORT: '0', METRICS_PORT: '0', UI_PORT: '0', TEMPORAL_PORT: '0' };
    // Seconds in place of minutes and hours, as the page has it: that is all that differs from the example as it stands.
    const [faster = ''] = await blocks();
    const clock = Object.fromEntries([...faster.matchAll(/(\w+)='([^']+)'/g)].map(([, name, value]) => [name, value]));
    expect(Object.keys(clock)).toEqual(['DATA_CRON', 'INVESTOR_CRON']);
    daemon = await TestDaemon.make({}, { env: { ...ports, ...clock } });
    folder = path.join(daemon.dir, 'trading');
    cpSync(EXAMPLE, folder, { recursive: true });
  });
  afterEach(() => daemon.end());

  async function launch(...args: string[]): Promise<void> {
    daemon.launch(['start', '--config', path.join(folder, 'openstarry.yaml'), ...args]);
    await until(() => daemon.output.includes('runs (pid '), { deadlineMs: DEADLINE_MS, what: 'the banner' });
    for (const id of AGENTS) await daemon.untilAgent(id, isRunning, 'running', DEADLINE_MS);
  }

  const events = async <T>(topic: string): Promise<Event<T>[]> =>
    (await daemon.call<{ events: Event<T>[] }>('GET', `/topics/${topic}/events?after=0&max=1000`)).body.events;
  const shared = async <T>(key: string): Promise<T | undefined> => {
    const { status, body } = await daemon.call<StateEntryView>('GET', `/state/shared/${encodeURIComponent(key)}`);
    return status === 200 ? (body.value as T) : undefined;
  };
  const probe = async (port: 'health' | 'metrics', route: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${(await daemon.status()).ports[port]}${route}`);
    return { status: response.status, text: await response.text() };
  };
  const incidentsOf = async (agentId: string): Promise<IncidentView[]> =>
    (await daemon.call<{ incidents: IncidentView[] }>('GET', `/incidents?agent_id=${agentId}`)).body.incidents;
  /** What the chief says that it was told of an incident. */
  const untilChief = (incidentId: string, says: string) =>
    until(
      async () => {
        const heard = await shared<{ told: string[] }>(`chief/${incidentId}`);
        return heard?.told.some((each) => each.includes(says)) ? heard.told : undefined;
      },
      { what: `the chief to hear "${says}" of ${incidentId}`, deadlineMs: DEADLINE_MS },
    );
  /** What people were told. */
  const people = async (): Promise<Told[]> => {
    const text = await readFile(path.join(folder, 'told.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Told);
  };
  const logged = async (): Promise<Record<string, unknown>[]> => {
    const text = await readFile(path.join(daemon.stateDir, 'daemon.log'), 'utf8');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  /** Every price of the series from the first on, each once, each for another call of the schedule. */
  async function checkPrices(): Promise<number[]> {
    const prices = await events<{ n: number; price: number; at: string }>('market.price');
    const calls = await events<{ scheduled_at: string }>('cron.data_market');
    const known = await series();
    expect(prices.map(({ payload }) => payload.n)).toEqual(prices.map((_, n) => n));
    expect(prices.map(({ payload }) => payload.price)).toEqual(prices.map((_, n) => known[n % known.length]));
    const times = prices.map(({ payload }) => payload.at);
    expect(new Set(times).size).toBe(times.length);
    const called = new Set(calls.map(({ payload }) => payload.scheduled_at));
    expect(called.size).toBe(calls.length);
    expect(times.filter((time) => !called.has(time))).toEqual([]);
    return prices.map(({ payload }) => payload.price);
  }

  /** Kills the process of an agent, and waits for what comes of it. */
  async function kill(agentId: string, then: (agent: AgentView) => boolean, what: string): Promise<AgentView> {
    const { pid, generation } = await daemon.untilAgent(agentId, isRunning, 'running', DEADLINE_MS);
    process.kill(pid as number, 'SIGKILL');
    return daemon.untilAgent(
      agentId,
      (agent) =>
        agent.last_exit?.signal === 'SIGKILL' &&
        (agent.generation > generation || agent.state === 'disabled') &&
        then(agent),
      what,
      DEADLINE_MS,
    );
  }

  /** The lines that the page has for another terminal, but for the ports, and for what goes on until Ctrl-C. */
  async function look(): Promise<string> {
    const [, lines = ''] = await blocks();
    const { ports } = await daemon.status();
    const bin = path.join(daemon.dir, 'bin');
    await mkdir(bin);
    const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');
    await writeFile(path.join(bin, 'openstarry-daemon'), `#!/bin/sh\nexec ${process.execPath} ${entry} "$@"\n`);
    await chmod(path.join(bin, 'openstarry-daemon'), 0o755);
    const script = lines
      .replaceAll(':8000/', `:${ports.health}/`)
      .replaceAll(':8001/', `:${ports.metrics}/`)
      .replaceAll(/^(.* tail .*?)#.*$/gm, 'timeout -s INT 4 $1 || true');
    const env = { ...daemon.env, PATH: `${bin}:${process.env['PATH']}` };
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await once(child, 'close');
    expect([child.exitCode, child.exitCode === 0 ? '' : out]).toEqual([0, '']);
    return out;
  }

  it('trades by the clock, and tells how it stands', async () => {
    await launch();
    const { phase, phases } = (await daemon.call<DaemonView>('GET', '/status')).body;
    expect([phase, phases.map((mark) => mark.phase)]).toEqual(['run', ['init', 'start', 'run', 'supervise']]);
    expect(await probe('health', '/healthz')).toEqual({ status: 200, text: 'ok' });
    const metrics = (await probe('metrics', '/metrics')).text;
    for (const agent of await daemon.agents()) {
      expect(metrics).toMatch(new RegExp(`^agent_state\\{agent="${agent.agent_id}"\\} 1$`, 'm'));
      // What the entry point names is what runs.
      const started = await readFile(`/proc/${agent.pid}/cmdline`, 'utf8');
      expect(started).toMatch(new RegExp(`\\0trading\\.${agent.agent_id}:[A-Z]\\w+\\0`));
    }
    const { schedules } = (await daemon.call<{ schedules: ScheduleView[] }>('GET', '/schedules')).body;
    const known = schedules.toSorted((a, b) => (a.agent_id < b.agent_id ? -1 : 1));
    expect(known).toMatchObject([
      { agent_id: 'data_market', mode: 'message', when: daemon.env['DATA_CRON'] },
      { agent_id: 'investor', mode: 'message', when: daemon.env['INVESTOR_CRON'] },
    ]);

    const portfolio = await until(
      async () => {
        const now = await shared<Portfolio>('portfolio');
        return now && now.orders >= 2 ? now : undefined;
      },
      { what: 'two orders that were carried out', deadlineMs: DEADLINE_MS },
    );
    const expected = traded(await checkPrices(), portfolio.last as number);
    expect(portfolio).toEqual({ ...expected, cash: expect.closeTo(expected.cash, 2) });

    // The clock: an event and a message for each time; what a slow machine has left out is counted.
    const words = await until(
      async () => {
        const all = await events<Portfolio>('desk.portfolio');
        return all.length > 2 ? all : undefined;
      },
      { what: 'three words of the investor', deadlineMs: DEADLINE_MS },
    );
    const calls = await events<{ scheduled_at: string }>('cron.investor');
    const times = calls.map(({ payload }) => Date.parse(payload.scheduled_at));
    const steps = times.slice(1).map((time, n) => (time - (times[n] as number)) / 3000);
    const { counts } = (await daemon.call<ScheduleView>('GET', '/schedules/investor')).body;
    const leftOut = steps.reduce((sum, step) => sum + step - 1, 0);
    expect(steps.filter((step) => step < 1 || !Number.isInteger(step))).toEqual([]);
    expect(leftOut).toBeLessThanOrEqual(counts.skipped_overlap + counts.missed);
    expect(words.map(({ key }) => key)).toEqual(
      calls.slice(0, words.length).map(({ payload }) => payload.scheduled_at),
    );

    // Too much is refused by risk, and what is no order by the daemon.
    const much = { type: 'ORDER', payload: { side: 'buy', quantity: 9, price: 1, n: 100_000 } };
    expect((await daemon.call('POST', '/agents/risk/messages', much)).status).toBe(201);
    const [refused] = await until(
      async () => {
        const all = await events<{ why: string }>('desk.refused');
        return all.length > 0 ? all : undefined;
      },
      { what: 'the refusal', deadlineMs: DEADLINE_MS },
    );
    expect(refused?.payload.why).toMatch(/^a position of (8|9|10) \(limit 3\)$/);
    const wrong = { type: 'ORDER', payload: { side: 'hold', quantity: 1, price: 1, n: 1 } };
    expect((await daemon.call('POST', '/agents/risk/messages', wrong)).status).toBe(400);

    const seen = await look();
    for (const each of ['"supervise"', '"position"', 'market.price ← data_market', '\nok', ...AGENTS])
      expect(seen).toContain(each);
    expect(await daemon.signal('SIGINT')).toBe(0);
    const marks = (await logged()).flatMap((line) => (line['phase'] === undefined ? [] : [line['phase']]));
    expect(marks).toEqual(['init', 'start', 'run', 'supervise', 'shutdown']);
  }, 120_000);

  it('gives up by the rules of each domain, and tells the chief; people only where it cannot', async () => {
    await launch();
    const chief = await daemon.untilAgent('chief', isRunning, 'running');
    // strategy: three in a row are told, the sixth is the end.
    for (let n = 1; n <= 3; n += 1) await kill('strategy', isRunning, `restarted ${n}`);
    const [opened] = await until(
      async () => {
        const all = await incidentsOf('strategy');
        return all.length > 0 ? all : undefined;
      },
      { what: 'the incident', deadlineMs: DEADLINE_MS },
    );
    expect(opened).toMatchObject({ kind: 'failures', value: '3 failures in a row', opened_by: '_daemon' });
    await untilChief('agent.strategy.1', '[warning] strategy: ');
    for (let n = 4; n <= 5; n += 1) await kill('strategy', isRunning, `restarted ${n}`);
    const strategy = await kill('strategy', ({ state }) => state === 'disabled', 'disabled');
    expect([strategy.generation, strategy.restarts, strategy.pid]).toEqual([6, 5, null]);
    await untilChief('agent.strategy.1', 'gave up: 6 failures');

    // default: the fourth within five minutes is the end.
    for (let n = 1; n <= 3; n += 1) await kill('investor', isRunning, `restarted ${n}`);
    const investor = await kill('investor', ({ state }) => state === 'disabled', 'disabled');
    expect([investor.generation, investor.restarts, investor.pid]).toEqual([4, 3, null]);
    await untilChief('agent.investor.1', 'gave up: 4 failures within 5 min');

    // data: it always comes back; three in a row are told.
    for (let n = 1; n <= 4; n += 1) await kill('data_market', isRunning, `restarted ${n}`);
    await untilChief('agent.data_market.1', '[warning] data_market: ');
    expect((await probe('metrics', '/metrics')).text).toMatch(/^agent_state\{agent="strategy"\} 0$/m);

    // One incident each; the chief has acknowledged it in time, so nobody else was told.
    for (const id of ['strategy', 'investor', 'data_market']) {
      const [incident, ...others] = await incidentsOf(id);
      expect([others, incident?.state]).toEqual([[], 'acknowledged']);
      expect(incident?.acknowledged).toMatchObject({ by: 'chief' });
      expect(incident?.deliveries.filter(({ channel }) => channel !== 'chief')).toEqual([]);
    }
    expect((await people()).filter(({ data }) => data.incident_id.startsWith('agent.'))).toEqual([]);
    expect((await daemon.agent('chief'))?.pid).toBe(chief.pid);
    expect(await probe('health', '/healthz')).toEqual({ status: 200, text: 'ok' });
    await checkPrices();

    // Without the chief people are told at once, and told why.
    await daemon.call('POST', '/agents/chief/stop');
    await daemon.call('POST', '/agents/strategy/start');
    for (let n = 1; n <= 3; n += 1) await kill('strategy', isRunning, `restarted ${n}`);
    const [notice, ...more] = await until(
      async () => {
        // Also a schedule that a slow machine does not keep up with would be told.
        const told = (await people()).filter(({ data }) => data.incident_id.startsWith('agent.'));
        return told.length > 0 ? told : undefined;
      },
      { what: 'people to be told', deadlineMs: DEADLINE_MS },
    );
    expect(more).toEqual([]);
    expect(notice?.data.incident_id).toBe('agent.strategy.2');
    expect(notice?.title).toMatch(/^\[warning\] strategy: /);
    expect(notice?.text).toContain('3 failures in a row (limit 3), AutoHeal tried: 2 restarts, failed');
    expect(notice?.text).toContain('You are told: the chief chief is down (stopped: ');
  }, 180_000);

  it('stops for good when risk dies', async () => {
    await launch();
    await until(async () => (await events('market.price')).length > 2, { what: 'prices', deadlineMs: DEADLINE_MS });
    const { ports } = await daemon.status();
    const before = await daemon.agents();
    const exit = new Promise<number | null>((resolve) => daemon.process?.once('exit', resolve));
    const sick = until(
      () =>
        fetch(`http://127.0.0.1:${ports.health}/healthz`).then(
          async (answer) => (answer.status === 503 ? await answer.text() : undefined),
          () => undefined,
        ),
      { what: '503', deadlineMs: DEADLINE_MS },
    );
    process.kill((await daemon.agent('risk'))?.pid as number, 'SIGKILL');
    expect(await sick).toMatch(/^risk: (gave up: .*; )?generation 1 was killed by SIGKILL/);
    expect(await exit).toBe(78);
    expect(before.map(({ pid }) => pid as number).filter(isAlive)).toEqual([]);
    expect(daemon.output).toContain('FAIL-STOP because of risk');

    // The bus was closed last, in its time, and what it could not send was counted: nothing.
    const lines = await logged();
    const closed = lines.find(({ msg }) => String(msg).startsWith('the message bus '));
    expect(closed).toMatchObject({ unsent: 0, msg: 'the message bus is closed' });
    const down = lines.find(({ phase }) => phase === 'shutdown');
    expect(Number(closed?.['time']) - Number(down?.['time'])).toBeLessThan(20_000);

    // People were told, once, before it went.
    const isOfRisk = ({ data }: Told): boolean => data.incident_id.startsWith('agent.risk.');
    expect((await people()).filter(isOfRisk)).toHaveLength(1);

    const refused = daemon.launch(['start', '--config', path.join(folder, 'openstarry.yaml')]);
    expect(await new Promise((resolve) => refused.once('exit', resolve))).toBe(78);
    await launch('--clear-failstop');
    expect(await probe('health', '/healthz')).toEqual({ status: 200, text: 'ok' });
    expect((await people()).filter(isOfRisk).filter(({ title }) => !title.includes('resolved: '))).toHaveLength(1);

    // They had all ended by themselves when they were asked to: who needs others first, the chief last.
    const ends = new Map((await daemon.agents()).map((agent) => [agent.agent_id, agent.last_exit]));
    const at = (id: string): number => Date.parse(ends.get(id)?.at ?? '');
    for (const id of ['strategy', 'investor', 'data_market', 'chief']) expect(ends.get(id)?.code).toBe(0);
    expect(ends.get('risk')?.signal).toBe('SIGKILL');
    expect(at('strategy')).toBeLessThanOrEqual(at('investor'));
    for (const id of ['strategy', 'investor', 'data_market']) expect(at(id)).toBeLessThanOrEqual(at('chief'));

    // Nothing that was on the bus is lost, and it goes on with the next price.
    const known = (await checkPrices()).length;
    await until(async () => (await checkPrices()).length > known, { what: 'the next price', deadlineMs: DEADLINE_MS });
  }, 120_000);
});
