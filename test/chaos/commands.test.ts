import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { describe, inject } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { workflowIdOf } from '../../src/contract/names.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { timed, Trial } from './trial.ts';

const run = promisify(execFile);
const CLI = 'dist/cli/main.js';
const VERBS = ['start', 'stop', 'restart'] as const;
type Verb = (typeof VERBS)[number] | 'delete';

async function withClient<T>(trial: Trial, use: (client: Client) => Promise<T>): Promise<T> {
  const { temporal } = await trial.daemon.status();
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** A hundred commands at the same time through three doors; @returns how many were accepted */
async function storm(trial: Trial, id: string, verbs: readonly Verb[]): Promise<number> {
  const verbOf = (n: number): Verb => verbs[n % verbs.length]!;
  const rest = async (n: number): Promise<boolean> => {
    const verb = verbOf(n);
    const [method, route] = verb === 'delete' ? ['DELETE', ''] : ['POST', `/${verb}`];
    return (await trial.daemon.call(method!, `/agents/${id}${route}?wait=accepted`)).status < 300;
  };
  const cli = (n: number): Promise<boolean> => {
    const verb = verbOf(n) === 'delete' ? 'rm' : verbOf(n);
    return run(process.execPath, [`${inject('root')}/${CLI}`, 'agents', verb, id], { env: trial.daemon.env }).then(
      () => true,
      () => false,
    );
  };
  return withClient(trial, async (client) => {
    const handle = client.workflow.getHandle(workflowIdOf(id));
    const temporal = (n: number): Promise<boolean> =>
      handle.executeUpdate(verbOf(n)).then(
        () => true,
        () => false,
      );
    const doors = [rest, temporal, rest, temporal, rest, temporal, rest, temporal, rest, cli];
    const accepted = await Promise.all(
      Array.from({ length: 100 }, (_, n) => doors[n % 10]!(n * 7 + Math.floor(n / 10))),
    );
    return accepted.filter(Boolean).length;
  });
}

describe('commands', () => {
  for (const [title, verbs] of [
    ['start, stop and restart', VERBS],
    ['start, stop, restart and delete', [...VERBS, 'delete']],
  ] as const) {
    chaos(
      `100 concurrent ${title} on one agent from REST, CLI and Temporal: one incarnation, settled in 5 s`,
      async (c) => {
        await using trial = await Trial.make(c);
        await trial.daemon.start();
        c.rounds = c.size(1, 5);
        const took: number[] = [];
        for (let n = 0; n < c.rounds; n += 1) {
          const id = trial.id(`busy${n}`);
          await trial.daemon.call('POST', '/agents', { agent_id: id, command: ['sleep', '36066'] });
          const accepted = await storm(trial, id, verbs);
          c.figure('accepted', accepted);
          c.check(accepted >= (verbs.length === 4 ? 1 : 40), `only ${accepted} were accepted`);
          took.push(await timed(() => untilAtRest(trial, id)));
          const view = await trial.daemon.agent(id);
          const last = verbs.length === 4 ? undefined : view;
          c.check(view?.agent_id === last?.agent_id, `${id} is ${view?.state} after a delete`);
          await trial.compare(`after storm ${n}`);
        }
        c.spread('settled after the last answer', took);
        c.check(Math.max(...took) < c.size(15_000, 5_000), `settled after ${Math.max(...took)} ms`);
        await trial.finish();
      },
    );
  }

  chaos(
    'a stop during back-off and during a start: no later start',
    async (c) => {
      await using trial = await Trial.make(c, { config: { defaults: { backoff: { initial: '2s', jitter: 0 } } } });
      await trial.daemon.start();
      c.rounds = c.size(5, 50);
      /** Of each agent when its stop was settled. */
      const fences = new Map<string, number>();
      for (let n = 0; n < c.rounds; n += 1) {
        const crasher = trial.id(`crasher${n}`);
        const starter = trial.id(`starter${n}`);
        await trial.daemon.call('POST', '/agents?wait=accepted', { agent_id: crasher, command: ['false'] });
        await trial.daemon.untilAgent(crasher, (a) => a.state === 'backoff', 'in back-off');
        const stopped = await trial.daemon.call('POST', `/agents/${crasher}/stop`);
        fences.set(crasher, await custodyFence(trial, crasher));
        // Not awaited: the stop overtakes the start somewhere on its way.
        const creation = trial.daemon.call('POST', '/agents', { agent_id: starter, command: ['sleep', '36067'] });
        await until(async () => (await trial.daemon.agent(starter)) !== undefined, { what: 'the roster row' });
        const overtaking = await trial.daemon.call('POST', `/agents/${starter}/stop`);
        await creation;
        fences.set(starter, await custodyFence(trial, starter));
        c.check(stopped.status === 200 && overtaking.status === 200, `not stopped in round ${n}`);
        c.check(fences.get(crasher) === 1, `${crasher} was started ${fences.get(crasher)} times`);
        c.check(fences.get(starter)! <= 1, `${starter} was started ${fences.get(starter)} times`);
      }
      // Time enough for every back-off that was not cancelled.
      const before = (await trial.observer.report()).incarnations.length;
      const sinceMs = Date.now();
      await until(() => Date.now() - sinceMs > 3_000, { what: 'three seconds' });
      const { incarnations } = await trial.observer.report();
      c.check(incarnations.length === before, `${incarnations.length - before} started after their stop`);
      c.check(!incarnations.some(({ lives }) => lives), 'something lives');
      // What ends at once may have escaped the witness; custody counts every start.
      for (const [id, fence] of fences) {
        const now = await custodyFence(trial, id);
        c.check(now === fence, `${id} was started again after its stop: fence ${now}, it was ${fence}`);
      }
      for (const { agent_id: id, state } of await trial.daemon.agents())
        c.check(state === 'stopped', `${id} is ${state}`);
      await trial.compare('after the stops');
      await trial.finish();
    },
    { isLong: true },
  );

  chaos(
    'completed and disabled agents stay so, whatever dies',
    async (c) => {
      await using trial = await Trial.make(c, { config: { defaults: { backoff: { initial: '10ms' } } } });
      await trial.daemon.start();
      const [done, failed, lost] = [trial.id('done'), trial.id('failed'), trial.id('lost')];
      await trial.daemon.call('POST', '/agents', { agent_id: lost, command: ['sleep', '36068'] });
      await trial.daemon.call('POST', '/agents', { agent_id: done, command: ['true'] });
      await trial.daemon.call('POST', '/agents', { agent_id: failed, command: ['false'] });
      const settledIn = async (): Promise<string> => {
        const a = await trial.daemon.untilAgent(done, ({ state }) => state === 'completed', 'completed', 40_000);
        const b = await trial.daemon.untilAgent(failed, ({ state }) => state === 'disabled', 'disabled', 40_000);
        const fences = [await custodyFence(trial, done), await custodyFence(trial, failed)];
        return `generations ${a.generation}, ${b.generation}, fences ${fences.join(', ')}`;
      };
      /** The daemon has compared everything, looked twice, and acted: else the lost workflow would not be there again. */
      const reconciliations = (): number =>
        readFileSync(path.join(trial.daemon.stateDir, 'daemon.log'), 'utf8')
          .split('\n')
          .filter((line) => line.includes('"reconciled"') && line.includes(`"${lost}"`)).length;
      const before = await settledIn();
      const deaths = [
        async () => void (await trial.daemon.signal('SIGKILL')),
        async () => void (await trial.daemon.signal('SIGTERM')),
        async () => {
          const { pid, entries } = await trial.daemon.custody();
          process.kill(pid, 'SIGKILL');
          process.kill(entries.find(({ agent }) => agent === '_temporal')!.live!.pid, 'SIGKILL');
          await trial.daemon.signal('SIGKILL');
        },
      ];
      for (const die of deaths) {
        await withClient(trial, (client) => client.workflow.getHandle(workflowIdOf(lost)).terminate());
        const reconciled = reconciliations();
        await die();
        await trial.daemon.start();
        await until(() => reconciliations() > reconciled, { deadlineMs: 40_000, what: 'a whole reconciliation' });
        await trial.daemon.untilAgent(lost, ({ state }) => state === 'running', 'running', 40_000);
        const after = await settledIn();
        c.check(after === before, `${after}; before: ${before}`);
      }
      c.rounds = deaths.length;
      await trial.compare('after the deaths');
      await trial.finish();
    },
    { isLong: true },
  );

  chaos('an agent that is deleted and made again is a new one: it runs, whatever became of the first', async (c) => {
    await using trial = await Trial.make(c, { config: { defaults: { backoff: { initial: '10ms' } } } });
    await trial.daemon.start();
    for (const [name, command, end] of [
      ['done', ['true'], 'completed'],
      ['failed', ['false'], 'disabled'],
    ] as const) {
      const id = trial.id(name);
      for (let n = 0; n < 3; n += 1) {
        const before = (await trial.observer.report()).incarnations.length;
        await trial.daemon.call('POST', '/agents', { agent_id: id, command });
        await trial.daemon.untilAgent(id, ({ state }) => state === end, end);
        const ran = (await custodyFence(trial, id)) - n * (end === 'disabled' ? 4 : 1);
        c.check(
          ran === (end === 'disabled' ? 4 : 1),
          `${id}, made for the ${n + 1}th time: ran ${ran} times (${before})`,
        );
        c.check((await trial.daemon.call('DELETE', `/agents/${id}`)).status === 200, 'not deleted');
      }
    }
    await trial.finish();
  });

  chaos(
    'twenty racing first starts leave one daemon, and a later one is refused',
    async (c) => {
      c.rounds = c.size(1, 5);
      for (let n = 0; n < c.rounds; n += 1) {
        await using trial = await Trial.make(c, { agents: 3 });
        const args = ['start', '--config', `${trial.daemon.dir}/openstarry.yaml`];
        const all = Array.from({ length: 20 }, () => trial.daemon.launch(args));
        const ends = all.map((child) => new Promise<number | null>((resolve) => child.once('exit', resolve)));
        const codes: (number | null)[] = [];
        for (const end of ends) void end.then((code) => codes.push(code));
        await until(() => codes.length === 19, { deadlineMs: 60_000, what: 'nineteen refusals' });
        c.check(
          codes.every((code) => code === 5),
          `exit codes ${codes.join(', ')}`,
        );
        trial.daemon.process = all.find((child) => child.exitCode === null && child.signalCode === null)!;
        await trial.untilFleetRuns(3);
        // The survivor's host is the one that the next daemon reads: its agents obey both.
        const [first] = await trial.fleet();
        await trial.daemon.signal('SIGKILL');
        await trial.daemon.start();
        const late = trial.daemon.process;
        const refused = trial.daemon.launch(args);
        const code = await new Promise((resolve) => refused.once('exit', resolve));
        c.check(code === 5, `a second daemon ended with ${String(code)}`);
        trial.daemon.process = late;
        c.check((await trial.daemon.call('POST', `/agents/${first!.agent_id}/restart`)).status === 200, 'no restart');
        await trial.compare('after the race');
        await trial.finish();
      }
    },
    { isLong: true },
  );
});

/** The highest generation that was ever started of it. */
async function custodyFence(trial: Trial, id: string): Promise<number> {
  return (await trial.daemon.custody()).entries.find(({ agent }) => agent === id)?.custody.fence ?? 0;
}

/** Waits until what is wanted is what is, and stays for half a second. */
async function untilAtRest(trial: Trial, id: string): Promise<AgentView | undefined> {
  let view: AgentView | undefined;
  let sinceMs = Infinity;
  let last = '';
  await until(
    async () => {
      view = await trial.daemon.agent(id);
      const now = JSON.stringify([view?.state, view?.generation, view?.revision]);
      const isRest = !view || view.state === (view.desired === 'running' ? 'running' : 'stopped');
      if (!isRest || now !== last) sinceMs = Date.now();
      last = now;
      if (view?.pid && !isAlive(view.pid)) sinceMs = Date.now();
      return Date.now() - sinceMs > 500;
    },
    { deadlineMs: 30_000, what: `${id} to come to rest` },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(view)}`, { cause: error });
  });
  return view;
}
