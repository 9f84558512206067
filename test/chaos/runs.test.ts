import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe } from 'vitest';
import type { RunView } from '../../src/contract/run-view.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { Trial } from './trial.ts';

const ended = (trial: Trial, runId: string, deadlineMs = 90_000): Promise<RunView> =>
  until(
    async () => {
      const { status, body } = await trial.daemon.call<RunView>('GET', `/runs/${runId}`);
      return status === 200 && body.ended_at !== null && body;
    },
    { what: `the end of ${runId}`, deadlineMs },
  );

describe('a run', () => {
  for (const dead of ['the daemon', 'the daemon and Temporal']) {
    chaos(
      `whose process ended while ${dead} was dead: noticed, with its true exit and its output`,
      async (c) => {
        c.rounds = c.size(1, 5);
        for (let n = 0; n < c.rounds; n += 1) {
          await using trial = await Trial.make(c);
          const { daemon } = trial;
          await daemon.start();
          const program = (code: number) => [
            'sh',
            '-c',
            `trap 'echo bye; exit ${code}' USR1; while :; do sleep 0.05; done`,
          ];
          for (const [name, code] of [
            ['good', 0],
            ['bad', 7],
          ] as const) {
            const body = {
              run_id: name,
              agent_id: trial.id(name),
              command: program(code),
              restart: 'never',
              task: 'x',
            };
            await daemon.call('POST', '/runs', body);
          }
          const pids = await Promise.all(
            ['good', 'bad'].map(
              async (name) => (await daemon.untilAgent(trial.id(name), ({ pid }) => pid !== null, 'runs')).pid!,
            ),
          );
          const temporal = (await trial.temporal())!;
          await daemon.signal('SIGKILL');
          if (dead !== 'the daemon') process.kill(temporal.pid, 'SIGKILL');
          for (const pid of pids) process.kill(pid, 'SIGUSR1');
          await until(() => !pids.some(isAlive), { what: 'the ends' });
          await daemon.start();
          const [good, bad] = [await ended(trial, 'good'), await ended(trial, 'bad')];
          c.check(good.state === 'succeeded' && good.exit?.code === 0, `good: ${JSON.stringify(good)}`);
          c.check(bad.state === 'failed' && bad.exit?.code === 7, `bad: ${JSON.stringify(bad)}`);
          for (const { run_id, output, generation } of [good, bad])
            c.check(output === 'bye' && generation === 1, `${run_id}: ${generation} ${JSON.stringify(output)}`);
          await trial.compare('after the ends');
          await trial.finish();
        }
      },
      { isLong: dead !== 'the daemon', timeoutMs: 600_000 },
    );
  }

  chaos('begun while the daemon is killed at any moment: its process runs once', async (c) => {
    await using trial = await Trial.make(c, {
      config: {
        agents: { rest: { command: ['sh', '-c', 'echo "$OPENSTARRY_RUN_ID" >> lines; sleep 0.2'], autostart: false } },
      },
    });
    const { daemon } = trial;
    c.rounds = c.size(4, 20);
    await daemon.start();
    await daemon.untilAgent('rest', ({ state }) => state === 'stopped', 'is there');
    for (let n = 0; n < c.rounds; n += 1) {
      const fresh = {
        agent_id: trial.id(`fresh${n}`),
        command: ['sh', '-c', 'echo "$OPENSTARRY_RUN_ID" >> lines; sleep 0.2'],
        cleanup: 'delete',
      };
      const asked = [
        { run_id: `rest-${n}`, agent_id: 'rest', task: 'x' },
        { run_id: `fresh-${n}`, ...fresh },
      ].map((body) => daemon.call('POST', '/runs', body).catch(() => undefined));
      await pause(Math.random() * c.size(300, 600));
      await daemon.signal('SIGKILL');
      await Promise.all(asked);
      await daemon.start();
      for (const id of [`rest-${n}`, `fresh-${n}`]) {
        const known = await daemon.call('GET', `/runs/${id}`);
        // Not accepted before the kill: asked for again, it is the same run.
        if (known.status === 404) {
          const body = { run_id: id, ...(id.startsWith('rest') ? { agent_id: 'rest', task: 'x' } : fresh) };
          const again = await daemon.call('POST', '/runs', body);
          c.check(again.status < 300, `${id}: ${again.status} ${JSON.stringify(again.body)}`);
        }
        const agent = id.startsWith('rest') ? 'rest' : fresh.agent_id;
        const run = await ended(trial, id).catch(async (error: Error) => {
          throw new Error(`${error.message}: ${await trial.describe(agent)}`);
        });
        if (run.state !== 'succeeded')
          c.check(false, `${id}: ${run.state}, ${run.reason}: ${await trial.describe(agent)}`);
      }
    }
    const file = path.join(daemon.dir, 'lines');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    c.check(lines.length === c.rounds * 2, `${lines.length} processes for ${c.rounds * 2} runs`);
    c.check(
      new Set(lines).size === lines.length,
      `double: ${lines.filter((line, n) => lines.indexOf(line) !== n).join(', ')}`,
    );
    await trial.compare('after the runs');
    await trial.finish();
  });
});
