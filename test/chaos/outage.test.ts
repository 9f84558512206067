import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, inject } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive } from '../support/daemon.ts';
import { startDevServer, type DevServer } from '../support/dev-server.ts';
import { until } from '../support/wait.ts';
import { chaos, type ChaosCase } from './chaos-case.ts';
import { kill } from './kill.ts';
import { scaledBuild, SCALED_HEARTBEAT_MS } from './scaled.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { Trial } from './trial.ts';

const FLEET = 6;

interface Outage {
  trial: Trial;
  begin: () => void;
  end: () => void;
  /** Default: three times the longest time-out but the heartbeat's, and short in the short version. */
  lengthMs?: number;
}

describe('Temporal cannot be reached', () => {
  chaos(
    'as its process is stopped (SIGSTOP)',
    async (c) => {
      await using trial = await Trial.make(c, { agents: FLEET });
      await trial.daemon.start();
      await trial.untilFleetRuns(FLEET);
      const { pid } = (await trial.temporal())!;
      await outage(c, {
        trial,
        begin: () => process.kill(pid, 'SIGSTOP'),
        end: () => process.kill(pid, 'SIGCONT'),
      });
      await trial.finish();
    },
    { isLong: true, timeoutMs: 600_000 },
  );

  for (const [title, how] of [
    ['as the cable is cut', 'cut'],
    ['as nothing comes through the cable', 'stall'],
  ] as const) {
    const behind = (c: ChaosCase): Promise<void> =>
      behindCable(async (cable) => {
        await using trial = await Trial.make(c, { agents: FLEET, env: { TEMPORAL_ADDRESS: cable.address } });
        await trial.daemon.start();
        await trial.untilFleetRuns(FLEET);
        await outage(c, { trial, begin: () => cable[how](), end: () => cable.mend() });
        await trial.finish();
      });
    chaos(title, behind, { isLong: how !== 'cut', timeoutMs: 600_000 });
  }

  chaos(
    'for three times the heartbeat time-out (20 s instead of 10 min): the server gives the calls up, the agents run on',
    (c) =>
      behindCable(async (cable) => {
        await using build = await scaledBuild(inject('root'));
        await using trial = await Trial.make(c, { agents: FLEET, env: { TEMPORAL_ADDRESS: cable.address } });
        trial.daemon.entry = build.entry;
        await trial.daemon.start();
        await trial.untilFleetRuns(FLEET);
        const lengthMs = 3 * SCALED_HEARTBEAT_MS;
        await outage(c, { trial, begin: () => cable.cut(), end: () => cable.mend(), lengthMs });
        c.check((await attempts(trial, trial.id(FLEET - 1))) > 1, 'the call was not given up: nothing has been tried');
        await trial.finish();
      }),
    { isLong: true, timeoutMs: 600_000 },
  );
});

/** A Temporal server of its own, behind a cable that can be cut. */
async function behindCable(run: (cable: TcpProxy) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-chaos-temporal-'));
  let server: DevServer | undefined;
  let cable: TcpProxy | undefined;
  try {
    server = await startDevServer({ cli: inject('temporalCli'), folder });
    cable = await TcpProxy.to(server.address);
    await run(cable);
  } finally {
    await cable?.end();
    await server?.connection.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The rules of an outage: agents run on, stops and deletes are obeyed and kept, everything else waits or is refused. */
async function outage(c: ChaosCase, { trial, begin, end, lengthMs = c.size(6_000, 180_000) }: Outage): Promise<void> {
  const { daemon } = trial;
  const before = await trial.untilFleetRuns(FLEET);
  const [stopped, deleted, both, crashed, again, untouched] = [...before.keys()] as [string, ...string[]];
  // It has never run, so there is nothing to stop; but the stop has to be kept.
  const never = trial.id('never');
  const waiter = { agent_id: never, command: ['sleep', '36069'], depends_on: { [untouched!]: 'completed' } };
  await daemon.call('POST', '/agents?wait=accepted', waiter);
  const linesBefore = said(trial).length;
  const command = (verb: string, id: string) =>
    daemon.call<{ error?: { code: string } }>('POST', `/agents/${id}/${verb}`);

  begin();
  const sinceMs = performance.now();
  await until(async () => (await daemon.agents()).every(({ stale }) => stale), {
    deadlineMs: 30_000,
    what: 'the outage to be noticed',
  });
  c.figure('noticed after', `${Math.round(performance.now() - sinceMs)} ms`);
  for (const verb of ['start', 'restart']) {
    const { status, body } = await command(verb, again!);
    c.check(
      status === 503 && body.error?.code === 'TEMPORAL_UNAVAILABLE',
      `${verb}: ${status} ${JSON.stringify(body)}`,
    );
  }
  const created = await daemon.call('POST', '/agents', { agent_id: trial.id('new'), command: ['sleep', '1'] });
  c.check(created.status === 503, `create: ${created.status}`);
  process.kill(before.get(crashed!)!, 'SIGKILL');
  for (const [id, act] of [
    [never, () => command('stop', never)],
    [stopped, () => command('stop', stopped)],
    [again, () => command('stop', again!)],
    [deleted, () => daemon.call('DELETE', `/agents/${deleted}`)],
    [both, () => daemon.call('DELETE', `/agents/${both}`)],
    [both, () => command('stop', both!)], // a delete is final
  ] as const) {
    const { status, body } = await act();
    c.check(status === 202, `stop or delete of ${id}: ${status} ${JSON.stringify(body)}`);
    await until(() => !isAlive(before.get(id!) ?? 0), { what: `the end of ${id}` });
  }
  await until(() => performance.now() - sinceMs > lengthMs, { deadlineMs: lengthMs + 10_000, what: 'the outage' });
  const minutes = (performance.now() - sinceMs) / 60_000;
  const perMinute = Math.round((said(trial).length - linesBefore) / Math.max(1, minutes));
  c.figure('length', `${Math.round(minutes * 60)} s`);
  c.figure('log lines a minute', perMinute);
  c.check(perMinute < 60, `${perMinute} log lines a minute: ${frequent(trial, linesBefore)}`);
  const { incarnations } = await trial.observer.report();
  const alive = incarnations.filter(({ lives }) => lives);
  c.check(alive.length === 1 && alive[0]?.agent === untouched, `alive: ${alive.map(({ agent }) => agent).join(', ')}`);

  end();
  const endedMs = performance.now();
  // What was ordered during the outage comes before this, however soon it is asked for.
  await until(async () => (await command('start', again!)).status === 200, { deadlineMs: 60_000, what: 'a start' });
  const views = async (): Promise<Map<string, AgentView>> =>
    new Map((await trial.fleet()).map((view) => [view.agent_id, view]));
  await until(
    async () => {
      const now = await views();
      return (
        now.get(stopped)?.state === 'stopped' &&
        !now.has(deleted!) &&
        !now.has(both!) &&
        (await daemon.agent(never))?.state === 'stopped' &&
        now.get(crashed!)?.state === 'running' &&
        now.get(again!)?.state === 'running'
      );
    },
    { deadlineMs: 60_000, what: 'all that was ordered' },
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify([...(await views()).values()])}`, { cause: error });
  });
  const settledMs = performance.now() - endedMs;
  c.figure('settled after', `${Math.round(settledMs)} ms`);
  c.check(settledMs < c.size(60_000, 20_000), `settled only ${Math.round(settledMs)} ms after the outage`);
  const now = await views();
  c.check(now.get(crashed!)?.restarts === 1, `the crash was charged ${now.get(crashed!)?.restarts} times`);
  c.check(now.get(untouched!)?.pid === before.get(untouched!), 'the untouched agent has a new pid');
  const started = (await trial.observer.report()).incarnations.filter(({ agent }) => agent === again);
  const story = started.length === 2 ? '' : JSON.stringify((await daemon.call('GET', `/agents/${again}/history`)).body);
  c.check(started.length === 2, `${started.length} incarnations of the agent that was stopped and started: ${story}`);
  // Whatever was sent twice has arrived by now.
  await until(() => performance.now() - endedMs > 5_000, { what: 'five seconds' });
  c.check((await views()).get(again!)?.state === 'running', 'an old stop ended what was started after it');
  c.figure('the call that watches an agent was made', `${await attempts(trial, untouched!)} times`);
  await trial.compare('after the outage');
}

/** How often the server has handed out the call that watches the agent's process: once more after each time-out. */
async function attempts(trial: Trial, id: string): Promise<number> {
  const { address } = (await trial.daemon.status()).temporal;
  const args = ['workflow', 'describe', '--workflow-id', `agent/${id}`, '--address', address, '-o', 'json'];
  const { stdout } = await promisify(execFile)(inject('temporalCli'), args);
  const { pendingActivities } = JSON.parse(stdout) as { pendingActivities: { attempt?: number }[] };
  return pendingActivities[0]?.attempt ?? 1;
}

/** What the daemon has said by itself; a line for each request is the callers' doing. */
function said(trial: Trial): string[] {
  const lines = readFileSync(path.join(trial.daemon.stateDir, 'daemon.log'), 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => String((JSON.parse(line) as { msg?: unknown }).msg)).filter((msg) => msg !== 'request');
}

/** What was said most. */
function frequent(trial: Trial, from: number): string {
  const times = new Map<string, number>();
  for (const message of said(trial).slice(from)) times.set(message, (times.get(message) ?? 0) + 1);
  return JSON.stringify([...times].toSorted((a, b) => b[1] - a[1]).slice(0, 8));
}

describe('the database of Temporal', () => {
  for (const [title, damage] of [
    ['is gone', (folder: string) => rmSync(folder, { recursive: true })],
    [
      'was made by another version',
      (folder: string) => {
        for (const name of readdirSync(folder))
          renameSync(
            path.join(folder, name),
            path.join(folder, name.replace(/^temporal-[\d.]+\.db/, 'temporal-0.1.0.db')),
          );
      },
    ],
  ] as const) {
    chaos(
      `${title}: agents are adopted, every life goes on under a new workflow`,
      async (c) => {
        await using trial = await Trial.make(c, { agents: FLEET });
        const { daemon } = trial;
        await daemon.start();
        const before = await trial.untilFleetRuns(FLEET);
        const [killed] = before.keys();
        const [stopped, done, failed] = [trial.id('stopped'), trial.id('done'), trial.id('failed')];
        await daemon.call('POST', '/agents', { agent_id: stopped, command: ['sleep', '36068'] });
        await daemon.call('POST', `/agents/${stopped}/stop`);
        await daemon.call('POST', '/agents', { agent_id: done, command: ['true'] });
        await daemon.call('POST', '/agents', { agent_id: failed, command: ['false'] });
        const rest = { [stopped]: 'stopped', [done]: 'completed', [failed]: 'disabled' };
        for (const [id, state] of Object.entries(rest)) await daemon.untilAgent(id, (a) => a.state === state, state);
        const temporal = (await trial.temporal())!;
        await daemon.signal('SIGKILL');
        process.kill(temporal.pid, 'SIGKILL');
        process.kill(before.get(killed!)!, 'SIGKILL'); // an end that no workflow will ever have heard of
        await until(() => !isAlive(temporal.pid), { what: 'the end of Temporal' });
        const folder = path.join(daemon.stateDir, 'temporal');
        damage(folder);
        if (title !== 'is gone') {
          const refused = daemon.launch(['start', '--config', `${daemon.dir}/openstarry.yaml`]);
          const code = await new Promise((resolve) => refused.once('exit', resolve));
          c.check(
            code === 6 && daemon.output.includes('TEMPORAL_DATABASE'),
            `ended with ${String(code)}: ${daemon.output}`,
          );
          renameSync(folder, `${folder}.old`); // what the message says
        }
        const startedMs = performance.now();
        await daemon.start();
        const after = await until(
          async () => {
            const views = await daemon.agents();
            const isMended = (view: AgentView): boolean =>
              rest[view.agent_id] === undefined ? view.state === 'running' : view.state === rest[view.agent_id];
            const isNew = await Promise.all(
              views.map(async ({ agent_id }) =>
                JSON.stringify((await daemon.call('GET', `/agents/${agent_id}/history`)).body).includes('was lost'),
              ),
            );
            return views.length === FLEET + 3 && views.every(isMended) && isNew.every(Boolean) ? views : undefined;
          },
          { deadlineMs: 60_000, what: 'all lives under new workflows' },
        );
        c.figure('all lives again after', `${Math.round(performance.now() - startedMs)} ms`);
        for (const { agent_id: id, pid, restarts } of after) {
          if (id === killed) c.check(restarts === 1, `${id}: ${restarts} restarts`);
          else if (before.has(id)) c.check(pid === before.get(id), `${id} has a new pid`);
        }
        for (const id of [...before.keys(), stopped]) {
          const { status } = await daemon.call('POST', `/agents/${id}/restart`);
          c.check(status === 200, `${id} cannot be restarted: ${status}`);
        }
        await trial.compare('after the loss');
        await trial.finish();
      },
      { isLong: title !== 'is gone', timeoutMs: 240_000 },
    );
  }
});

describe('the roster', () => {
  for (const title of ['is damaged', 'is gone']) {
    chaos(
      `${title} while all was dead: agents are adopted, every row comes back from its workflow, nothing is charged`,
      async (c) => {
        await using trial = await Trial.make(c, { agents: FLEET });
        const { daemon } = trial;
        await daemon.start();
        const pids = await trial.untilFleetRuns(FLEET);
        const [crashed] = [...pids.keys()] as [string];
        process.kill(pids.get(crashed)!, 'SIGKILL');
        await daemon.untilAgent(crashed, (a) => a.state === 'running' && a.generation === 2, 'replaced');
        const rest = { stopped: ['sleep', '36068'], completed: ['true'], disabled: ['false'] };
        for (const [state, command] of Object.entries(rest)) {
          await daemon.call('POST', '/agents', { agent_id: trial.id(state), command });
          if (state === 'stopped') await daemon.call('POST', `/agents/${trial.id(state)}/stop`);
          await daemon.untilAgent(trial.id(state), (a) => a.state === state, state);
        }
        const rows = async (): Promise<string[]> =>
          (await daemon.agents())
            .map(({ agent_id, state, desired, pid, generation, restarts }) =>
              JSON.stringify({ agent_id, state, desired, pid, generation, restarts }),
            )
            .toSorted();
        const before = await rows();
        c.check(before.length === FLEET + 3, `${before.length} rows`);
        await kill(trial, ['daemon', 'custodian', 'temporal']);
        const isRoster = (name: string): boolean => name.startsWith('roster.db');
        for (const name of readdirSync(daemon.stateDir).filter(isRoster))
          if (title === 'is gone') rmSync(path.join(daemon.stateDir, name));
          else writeFileSync(path.join(daemon.stateDir, name), 'no database '.repeat(10_000));
        const startedMs = performance.now();
        await daemon.start();
        let now: string[] = [];
        await until(
          async () => {
            now = await rows();
            return now.join() === before.join();
          },
          { deadlineMs: 60_000, what: 'all rows' },
        ).catch((error: unknown) => {
          throw new Error(`${String(error)}: before ${before.join()}, now ${now.join()}`, { cause: error });
        });
        c.figure('all rows back after', `${Math.round(performance.now() - startedMs)} ms`);
        const aside = readdirSync(daemon.stateDir).filter((name) => name.startsWith('roster.db.corrupt-'));
        c.check(aside.length > 0 === (title === 'is damaged'), `moved aside: ${aside.join(', ')}`);
        for (const id of [...pids.keys(), trial.id('stopped')]) {
          const { status } = await daemon.call('POST', `/agents/${id}/restart`);
          c.check(status === 200, `${id} cannot be restarted: ${status}`);
        }
        await trial.compare('after the loss');
        await trial.finish();
      },
      { isLong: title !== 'is damaged', timeoutMs: 240_000 },
    );
  }
});
