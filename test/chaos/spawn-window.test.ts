import { describe } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { connectCustodian } from '../../src/host/custodian-client.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { Trial } from './trial.ts';

/** Part of `npm test`; the other points only of `npm run chaos`. */
const SHORT = ['custodian.after-fork', 'daemon.before-ring', 'stop'];
const CUSTODIAN_POINTS = ['custodian.after-intent', 'custodian.after-fork', 'custodian.after-record'];

describe('the moment of a spawn', () => {
  for (const point of CUSTODIAN_POINTS) {
    chaos(
      `the custodian dies ${point.slice('custodian.'.length)}: exactly one process comes of it`,
      async (c) => {
        c.rounds = c.size(1, 5);
        for (let n = 0; n < c.rounds; n += 1) {
          await using trial = await Trial.make(c);
          await trial.daemon.start();
          const id = trial.id('window');
          // The daemon hands its environment's failpoint to the custodian that it starts next, so that one is made to die first.
          const { pid } = await trial.daemon.custody();
          await trial.daemon.signal('SIGUSR2');
          process.kill(pid, 'SIGKILL');
          await until(() => !isAlive(pid), { what: 'the end of the custodian' });
          trial.daemon.env['OPENSTARRY_FAILPOINT'] = `${point}:${id}`;
          await trial.daemon.start();
          const doomed = (await trial.daemon.custody()).pid;
          await trial.daemon.call('POST', '/agents?wait=accepted', { agent_id: id, command: ['sleep', '36062'] });
          await until(() => !isAlive(doomed), { what: `death at ${point}` });
          // It would die again and again, at every spawn of every custodian: the next daemon has no failpoint.
          await trial.daemon.signal('SIGKILL');
          delete trial.daemon.env['OPENSTARRY_FAILPOINT'];
          const now = await trial.daemon.custody().catch(() => undefined);
          if (now) process.kill(now.pid, 'SIGKILL');
          await trial.daemon.start();
          const view = await trial.daemon.untilAgent(id, (a) => a.state === 'running', 'running', 60_000);
          const { incarnations } = await trial.observer.report();
          const lives = incarnations.filter((one) => one.lives);
          c.check(lives.length === 1 && lives[0]?.pid === view.pid, `${lives.length} live, shown is pid ${view.pid}`);
          c.check(view.restarts === 0, `charged ${view.restarts} restarts`);
          c.figure('generation in the end', view.generation);
          await trial.compare(point);
          await trial.finish();
        }
      },
      { isLong: !SHORT.includes(point), timeoutMs: 600_000 },
    );
  }

  for (const point of ['daemon.after-spawn', 'daemon.before-ring', 'daemon.after-ring', 'daemon.in-apply-config']) {
    chaos(
      `the daemon dies at ${point}: exactly one process comes of it`,
      async (c) => {
        c.rounds = c.size(1, 5);
        for (let n = 0; n < c.rounds; n += 1) {
          await using trial = await Trial.make(c, { agents: 3 });
          if (point === 'daemon.in-apply-config') {
            await dies(trial, point, 'start');
          } else {
            await trial.daemon.start();
            await trial.untilFleetRuns(3);
            await trial.daemon.signal('SIGKILL');
            trial.daemon.env['OPENSTARRY_FAILPOINT'] = point;
            await trial.daemon.start();
            const crasher = { agent_id: trial.id('crasher'), command: ['sh', '-c', 'sleep 0.3; exit 7'] };
            const died = new Promise((resolve) => trial.daemon.process!.once('exit', resolve));
            await trial.daemon.call('POST', '/agents?wait=accepted', crasher).catch(() => undefined);
            await died;
          }
          delete trial.daemon.env['OPENSTARRY_FAILPOINT'];
          await trial.daemon.start();
          await trial.untilFleetRuns(3);
          if (point !== 'daemon.in-apply-config') {
            // Four failures within five minutes, each counted once.
            const view = await trial.daemon.untilAgent(
              trial.id('crasher'),
              (a) => a.state === 'disabled',
              'disabled',
              60_000,
            );
            c.check(
              view.generation === 4 && view.restarts === 3,
              `generation ${view.generation}, ${view.restarts} restarts`,
            );
          }
          await trial.compare(point);
          await trial.finish();
        }
      },
      { isLong: !SHORT.includes(point), timeoutMs: 900_000 },
    );
  }
});

describe('a first attempt that comes late', () => {
  for (const [after, verb] of [
    ['exit', undefined],
    ['stop', 'stop'],
    ['delete', 'delete'],
  ] as const) {
    chaos(
      `is refused by the fence after ${after}`,
      async (c) => {
        await using trial = await Trial.make(c);
        await trial.daemon.start();
        const id = trial.id('late');
        const command = after === 'exit' ? ['sh', '-c', 'exit 0'] : ['sleep', '36063'];
        const { body } = await trial.daemon.call<AgentView>('POST', '/agents', { agent_id: id, command });
        if (verb === 'stop') await trial.daemon.call('POST', `/agents/${id}/stop`);
        if (verb === 'delete') await trial.daemon.call('DELETE', `/agents/${id}`);
        if (after === 'exit') await trial.daemon.untilAgent(id, (a) => a.state === 'completed', 'completed');
        // The attempt of a daemon that was held up: it speaks to the custodian as a daemon does.
        await trial.daemon.signal('SIGKILL');
        const client = await until(
          () => connectCustodian(trial.daemon.stateDir, { role: 'daemon', version: 'late' }).catch(() => undefined),
          { what: 'the custodian' },
        );
        const env = { PATH: process.env['PATH'] ?? '' };
        const spawn = { agent: id, generation: body.generation, command: ['sleep', '36063'], env, cwd: '/' };
        const answer = await client.request('spawn', { ...spawn, log: { max_bytes: 1000, keep: 1 } }).then(
          () => 'it was started',
          (error: { code?: string }) => error.code,
        );
        client.close();
        c.check(answer === 'SUPERSEDED', `the answer was ${answer}`);
        await trial.daemon.start();
        const { incarnations } = await trial.observer.report();
        c.check(!incarnations.some((one) => one.lives), 'something lives');
        await trial.compare(after);
        await trial.finish();
      },
      { isLong: !SHORT.includes(after) },
    );
  }
});

async function dies(trial: Trial, point: string, command: string): Promise<void> {
  trial.daemon.env['OPENSTARRY_FAILPOINT'] = point;
  const child = trial.daemon.launch([command, '--config', `${trial.daemon.dir}/openstarry.yaml`]);
  await new Promise((resolve) => child.once('exit', resolve));
}
