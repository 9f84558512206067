import { setTimeout as delay } from 'node:timers/promises';
import { describe } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos, type ChaosCase } from './chaos-case.ts';
import { kill, type Victim } from './kill.ts';
import { seeded } from './random.ts';
import { timed, Trial } from './trial.ts';

const VICTIMS: Victim[][] = [
  ['daemon'],
  ['custodian'],
  ['temporal'],
  ['daemon', 'custodian'],
  ['daemon', 'temporal'],
  ['custodian', 'temporal'],
  ['daemon', 'custodian', 'temporal'],
];
const FLEET = 12;
/** How many agents of each round are commanded while the killing goes on; the others must not notice anything. */
const COMMANDED = 4;

describe('kill -9', () => {
  chaos(
    'kill -9 of daemon, custodian, Temporal in all combinations, at random moments of starts, stops and restarts',
    async (c) => {
      const seed = Number(process.env['OPENSTARRY_CHAOS_SEED'] ?? Date.now() % 1_000_000);
      const random = seeded(seed);
      c.rounds = c.size(10, 200);
      c.figure('seed', seed);
      await using trial = await Trial.make(c, { agents: FLEET });
      await trial.daemon.start();
      await trial.untilFleetRuns(FLEET);
      const settled: number[] = [];
      for (let n = 0; n < c.rounds && c.violations.length === 0; n += 1) {
        settled.push(await round(c, trial, random, `round ${n}`));
      }
      c.spread('until all is as it should be again', settled);
      c.figure('incarnations', (await trial.observer.report()).incarnations.length);
      await trial.finish();
    },
    { timeoutMs: 3_600_000 },
  );
});

describe('the first command after kill -9 of the daemon', () => {
  chaos(
    'in the middle of another command is carried out, not answered that Temporal is unavailable',
    async (c) => {
      c.rounds = c.size(3, 30);
      await using trial = await Trial.make(c, { agents: 1 });
      await trial.daemon.start();
      const id = trial.id(0);
      const took: number[] = [];
      for (let n = 0; n < c.rounds; n += 1) {
        await trial.untilFleetRuns(1);
        // Not awaited: the daemon has a task of its workflow when it dies.
        const under = Promise.allSettled(
          ['restart', 'start'].map((v) => trial.daemon.call('POST', `/agents/${id}/${v}`)),
        );
        await delay((n * 7) % 60);
        await trial.daemon.signal('SIGKILL');
        await under;
        await trial.daemon.start();
        let status = 0;
        took.push(await timed(async () => ({ status } = await trial.daemon.call('POST', `/agents/${id}/start`))));
        c.check(status === 200, `round ${n}: answered ${status}`);
      }
      c.spread('answered and carried out in', took);
      await trial.compare('after the commands');
      await trial.finish();
    },
    { timeoutMs: 600_000 },
  );
});

/** @returns milliseconds until everything was settled again */
async function round(c: ChaosCase, trial: Trial, random: () => number, name: string): Promise<number> {
  const before = new Map((await trial.fleet()).map((view) => [view.agent_id, view]));
  const victims = VICTIMS[Math.floor(random() * VICTIMS.length)]!;
  const commanded = [...before.keys()].toSorted(() => random() - 0.5).slice(0, COMMANDED);
  const wanted = new Map<string, AgentView['desired'] | undefined>();
  const commands = Promise.allSettled(
    commanded.map(async (agentId) => {
      await delay(random() * 150);
      const verb = (['start', 'stop', 'restart'] as const)[Math.floor(random() * 3)]!;
      wanted.set(agentId, undefined); // it may have taken effect, or not
      const answer = await trial.daemon.call('POST', `/agents/${agentId}/${verb}?wait=accepted`);
      if (answer.status < 300) wanted.set(agentId, verb === 'stop' ? 'stopped' : 'running');
    }),
  );
  await delay(random() * 200);
  await kill(trial, victims);
  await commands;
  const what = `${name} (${victims.join(', ')}; ${[...wanted].map(([id, to]) => `${id} ${to}`).join(', ')})`;
  const ms = await timed(async () => {
    if (victims.includes('daemon')) await trial.daemon.start();
    await untilSettled(trial, what);
  });
  for (const view of await trial.fleet()) {
    const { agent_id: id, desired, pid, generation } = view;
    const then = before.get(id)!;
    const ordered = wanted.get(id);
    if (!commanded.includes(id))
      c.check(pid === then.pid && generation === then.generation, `${what}: ${id} went from ${then.pid} to ${pid}`);
    if (ordered !== undefined) c.check(desired === ordered, `${what}: ${id} is to be ${desired}, ordered: ${ordered}`);
    if (pid !== null) c.check(isAlive(pid), `${what}: ${id} shows pid ${pid}, which is dead`);
  }
  await trial.compare(what);
  for (const [agentId, ordered] of wanted) if (ordered === undefined) await fence(trial, agentId);
  return ms;
}

/**
 * A command of which nobody heard may take effect later than its round. One that is accepted after it and changes nothing
 * makes sure that it has, or never will: a workflow takes its commands in order.
 */
async function fence(trial: Trial, agentId: string): Promise<void> {
  const { desired } = (await trial.daemon.agent(agentId))!;
  const verb = desired === 'stopped' ? 'stop' : 'start';
  const isAccepted = async () => (await trial.daemon.call('POST', `/agents/${agentId}/${verb}`)).status === 200;
  try {
    await until(isAccepted, { deadlineMs: 75_000, what: `${verb} of ${agentId} to be carried out` });
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${await trial.describe(agentId)}`, { cause: error });
  }
  await untilSettled(trial, `the ${verb} of ${agentId}`);
}

async function untilSettled(trial: Trial, what: string): Promise<void> {
  let last: AgentView[] = [];
  const isSettled = ({ state, desired, pid }: AgentView): boolean =>
    desired === 'running' ? state === 'running' && pid !== null && isAlive(pid) : state === 'stopped';
  try {
    await until(
      async () => {
        const { entries } = await trial.daemon.custody().catch(() => ({ entries: [] }));
        last = await trial.fleet().catch(() => []);
        const generations = new Map(entries.map(({ agent, live }) => [agent, live?.generation]));
        const agrees = (view: AgentView): boolean =>
          isSettled(view) && generations.get(view.agent_id) === (view.pid === null ? undefined : view.generation);
        const { temporal } = await trial.daemon.status();
        const server = entries.find(({ agent }) => agent === '_temporal')?.live;
        const isServed = temporal.reachable && server !== undefined && isAlive(server.pid);
        return isServed && last.length === FLEET && last.every(agrees);
      },
      { deadlineMs: 75_000, what: `${what} to settle` },
    );
  } catch (error) {
    const odd = last.filter((view) => !isSettled(view));
    const details = await Promise.all(odd.map(({ agent_id: id }) => trial.describe(id)));
    const whole = await trial.describeAll();
    throw new Error(`${(error as Error).message}: ${[...details, whole].join('\n')}`, { cause: error });
  }
}
