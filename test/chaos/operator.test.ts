import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, inject } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { timed, Trial } from './trial.ts';

const run = promisify(execFile);
const WITHIN_MS = 60_000;

interface Act {
  what: string;
  args: (agentId: string) => string[];
  /** Whether the life is as it should be again. */
  isMended: (now: AgentView, before: AgentView) => boolean;
  /** Restarts before it, so that what goes back goes back over generations. */
  restarts?: number;
}

const workflow =
  (verb: string, ...more: string[]) =>
  (id: string) => ['workflow', verb, '--workflow-id', `agent/${id}`, ...more];
const activity =
  (verb: string, ...more: string[]) =>
  (id: string) => ['activity', verb, '--workflow-id', `agent/${id}`, '--activity-id', 'run/1', ...more];
const isSame = (now: AgentView, before: AgentView): boolean =>
  now.state === 'running' && now.pid === before.pid && now.generation === before.generation;
const isAnew = (now: AgentView, before: AgentView): boolean => isSame(now, before) && now.run_id !== before.run_id;

/** Excused, so that it is not charged: what is charged by mistake stays charged. */
const MADE_UP = { generation: 1, code: 0, signal: null, cause: 'shutdown', at: '2026-01-01T00:00:00Z', ran_ms: 1 };

/** What an operator can do to a life with Temporal's own tools, and what is to come of it. */
const ACTS: Act[] = [
  {
    what: 'workflow terminate',
    args: workflow('terminate', '--reason', 'chaos'),
    isMended: isAnew,
    restarts: 2,
  },
  { what: 'workflow delete', args: workflow('delete'), isMended: isAnew, restarts: 2 },
  {
    what: 'workflow reset',
    args: workflow('reset', '--type', 'FirstWorkflowTask', '--reason', 'chaos'),
    isMended: isAnew,
    restarts: 2,
  },
  { what: 'workflow cancel', args: workflow('cancel'), isMended: (now) => now.state === 'stopped' },
  { what: 'activity pause', args: activity('pause'), isMended: isSame },
  { what: 'activity reset', args: activity('reset'), isMended: isSame },
  { what: 'activity complete', args: activity('complete', '--result', '{"kind":"nonsense"}'), isMended: isSame },
  {
    what: 'activity complete with an end that is made up',
    args: activity('complete', '--result', JSON.stringify({ kind: 'exited', exit: MADE_UP })),
    isMended: (now, before) => isSame(now, before) && now.reason === 'adopted generation 1',
  },
  { what: 'activity fail', args: activity('fail', '--reason', 'chaos'), isMended: isSame },
];

describe('an operator', () => {
  for (const { what, args, isMended, restarts = 0 } of ACTS) {
    chaos(
      `temporal ${what}: nothing is doubled or lost, reconciled within 60 s`,
      async (c) => {
        await using trial = await Trial.make(c);
        await trial.daemon.start();
        const id = trial.id('operated');
        await trial.daemon.call('POST', '/agents', { agent_id: id, command: ['sleep', '36065'] });
        for (let n = 0; n < restarts; n += 1) await trial.daemon.call('POST', `/agents/${id}/restart`);
        const before = (await trial.daemon.agent(id))!;
        c.check(before.generation === 1 + restarts, `generation ${before.generation} after ${restarts} restarts`);
        const { temporal } = await trial.daemon.status();
        const cli = (...given: string[]) => run(inject('temporalCli'), [...given, '--address', temporal.address]);
        await cli(...args(id));
        const isOpen = async (): Promise<boolean> =>
          (await cli('workflow', 'describe', '--workflow-id', `agent/${id}`, '-o', 'json')).stdout.includes(
            'WORKFLOW_EXECUTION_STATUS_RUNNING',
          );
        const mendedMs = await timed(async () => {
          await trial.daemon.untilAgent(id, (now) => isMended(now, before), `mended after ${what}`, WITHIN_MS);
          await until(isOpen, { deadlineMs: WITHIN_MS, what: 'the workflow to be open' });
        });
        c.figure('mended after', `${Math.round(mendedMs)} ms`);
        if (what === 'workflow cancel') {
          c.check(!isAlive(before.pid!), 'its process lives');
        } else {
          c.check(isAlive(before.pid!), 'its process was ended');
          // It is watched again: what dies is replaced, and charged once.
          process.kill(before.pid!, 'SIGKILL');
          const replacedMs = await timed(async () => {
            const now = await trial.daemon.untilAgent(
              id,
              (a) => a.state === 'running' && a.pid !== before.pid,
              'replaced',
              WITHIN_MS,
            );
            c.check(
              now.restarts === 1 && now.generation === before.generation + 1,
              `restarts ${now.restarts}, generation ${now.generation}`,
            );
          });
          c.figure('a death after it is made good in', `${Math.round(replacedMs)} ms`);
        }
        await trial.compare(what);
        await trial.finish();
      },
      { timeoutMs: 240_000, isLong: what !== 'activity fail' },
    );
  }

  chaos(
    'temporal activity complete of a stop, with nonsense: the stop is still carried out',
    async (c) => {
      await using trial = await Trial.make(c);
      await trial.daemon.start();
      const id = trial.id('stubborn');
      const command = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'];
      const { body: before } = await trial.daemon.call<AgentView>('POST', '/agents', { agent_id: id, command });
      await trial.daemon.call('POST', `/agents/${id}/stop?wait=accepted&grace=5s`);
      const { temporal } = await trial.daemon.status();
      const args = [
        'activity',
        'complete',
        '--workflow-id',
        `agent/${id}`,
        '--activity-id',
        'stop/1',
        '--result',
        '"?"',
      ];
      await until(
        () =>
          run(inject('temporalCli'), [...args, '--address', temporal.address]).then(
            () => true,
            () => false,
          ),
        { what: 'the stop to be completed by hand' },
      );
      await trial.daemon.untilAgent(id, (now) => now.state === 'stopped', 'stopped', WITHIN_MS);
      c.check(!isAlive(before.pid!), 'its process lives');
      await trial.compare('after the stop');
      await trial.finish();
    },
    { isLong: true },
  );
});
