import { describe } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { Trial } from './trial.ts';

const program = (end: string) => ['sh', '-c', `trap '${end}' USR1; while :; do sleep 0.05; done`];

/** How each ends while nobody but the custodian is there, and what is to come of it. */
const ENDS = {
  zero: { command: program('exit 0'), state: 'completed', generation: 1, restarts: 0, code: 0, signal: null },
  seven: { command: program('exit 7'), state: 'running', generation: 2, restarts: 1, code: 7, signal: null },
  signal: {
    command: program('kill -SEGV $$'),
    state: 'running',
    generation: 2,
    restarts: 1,
    code: null,
    signal: 'SIGSEGV',
  },
} as const;

describe('exits 0, 7 and by a signal', () => {
  for (const dead of ['the daemon', 'the daemon and Temporal']) {
    chaos(
      `while ${dead} was dead: recorded once with their true code, the policy applied once`,
      async (c) => {
        c.rounds = c.size(1, 5);
        for (let n = 0; n < c.rounds; n += 1) {
          await using trial = await Trial.make(c);
          const { daemon } = trial;
          await daemon.start();
          const pids = new Map<string, number>();
          for (const [name, { command }] of Object.entries(ENDS)) {
            const { body } = await daemon.call<AgentView>('POST', '/agents', { agent_id: trial.id(name), command });
            pids.set(name, body.pid!);
          }
          const temporal = (await trial.temporal())!;
          await daemon.signal('SIGKILL');
          if (dead !== 'the daemon') process.kill(temporal.pid, 'SIGKILL');
          for (const pid of pids.values()) process.kill(pid, 'SIGUSR1');
          await until(() => ![...pids.values()].some(isAlive), { what: 'the ends' });
          await daemon.start();
          for (const [name, { state, generation, restarts, code, signal }] of Object.entries(ENDS)) {
            const id = trial.id(name);
            const view = await daemon.untilAgent(
              id,
              (a) => a.state === state && a.generation === generation,
              state,
              60_000,
            );
            c.check(view.restarts === restarts, `${id}: ${view.restarts} restarts`);
            const { code: told, signal: by } = view.last_exit!;
            c.check(told === code && by === signal, `${id} ended with ${told} ${by}`);
            const { entries } = (
              await daemon.call<{ entries: { state: string; generation: number }[] }>('GET', `/agents/${id}/history`)
            ).body;
            const verdicts = entries.filter((entry) => entry.state === (state === 'completed' ? state : 'backoff'));
            c.check(verdicts.length === 1, `${id}: ${verdicts.length} verdicts: ${JSON.stringify(entries)}`);
          }
          await trial.compare('after the ends');
          await trial.finish();
        }
      },
      { isLong: dead !== 'the daemon', timeoutMs: 600_000 },
    );
  }
});
