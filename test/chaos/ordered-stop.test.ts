import { setTimeout as delay } from 'node:timers/promises';
import { describe } from 'vitest';
import { chaos } from './chaos-case.ts';
import { timed, Trial } from './trial.ts';

describe('an ordered stop', () => {
  chaos(
    'while Temporal is dead or being started again: all agents stopped, nothing left',
    async (c) => {
      c.rounds = c.size(2, 20);
      const took: number[] = [];
      for (let n = 0; n < c.rounds; n += 1) {
        await using trial = await Trial.make(c, { agents: 4 });
        await trial.daemon.start();
        await trial.untilFleetRuns(4);
        process.kill((await trial.temporal())!.pid, 'SIGKILL');
        await delay((n * 211) % 900);
        took.push(await timed(() => trial.finish()));
      }
      c.spread('stopped in', took);
    },
    { isLong: true, timeoutMs: 600_000 },
  );

  chaos(
    'while the custodian is being started again: all agents stopped, nothing left',
    async (c) => {
      c.rounds = c.size(2, 20);
      const took: number[] = [];
      for (let n = 0; n < c.rounds; n += 1) {
        await using trial = await Trial.make(c, { agents: 4 });
        await trial.daemon.start();
        await trial.untilFleetRuns(4);
        const held = await trial.daemon.custody();
        process.kill(held.pid, 'SIGKILL');
        await delay((n * 41) % 300);
        took.push(await timed(() => trial.finish(held)));
        const card = await trial.daemon.custody().catch(() => undefined);
        c.check(card === undefined, `the custodian ${card?.pid} lives`);
      }
      c.spread('stopped in', took);
    },
    { timeoutMs: 600_000 },
  );
});
