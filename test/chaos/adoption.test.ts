import { describe } from 'vitest';
import { chaos } from './chaos-case.ts';
import { kill, type Victim } from './kill.ts';
import { timed, Trial } from './trial.ts';

describe('kill -9', () => {
  chaos(
    'fifty agents are adopted after kill -9 of everything but the agents',
    async (c) => {
      const count = 50;
      c.rounds = c.size(1, 5);
      await using trial = await Trial.make(c, { agents: count });
      await trial.daemon.start();
      const pids = await trial.untilFleetRuns(count);
      const took: number[] = [];
      let newPids = 0;
      for (let n = 0; n < c.rounds; n += 1) {
        for (const victims of [['daemon'], ['daemon', 'custodian', 'temporal']] satisfies Victim[][]) {
          await kill(trial, victims);
          const ms = await timed(async () => {
            await trial.daemon.start();
            const now = await trial.untilFleetRuns(count);
            const strangers = [...pids].filter(([agent, pid]) => now.get(agent) !== pid).map(([agent]) => agent);
            newPids += strangers.length;
            c.check(strangers.length === 0, `${strangers.join(', ')}: a new pid`);
          });
          took.push(ms);
          const limitMs = c.size(20_000, 5_000); // in the short version, other tests want the processors too
          c.check(ms < limitMs, `adopted ${ms} ms after the start of the daemon, at most ${limitMs} are allowed`);
          await trial.compare(`after the death of ${victims.join(', ')}`);
        }
      }
      c.spread('from the start to all adopted', took);
      c.figure('new pids', newPids);
      await trial.finish();
    },
    { timeoutMs: 300_000 },
  );
});
