import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { RunView } from '../../contract/run-view.ts';
import type { Shown } from '../../contract/shown.ts';
import { contextOf } from '../context.ts';
import { runPath, type DaemonClient } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';
import { runTable, runText } from '../run-output.ts';
import { during } from '../progress.ts';
import { watching } from '../watch.ts';

const LOOK_AGAIN_MS = 500;
/** As for what cannot work. */
const NOT_DONE = 6;

export function addRunCommands(program: Command): void {
  const runs = program.command('runs').description('finite executions of agents');
  withExamples(runs, 'runs ls', 'runs show run-019b7f3e', 'runs cancel run-019b7f3e');

  const ls = runs
    .command('ls')
    .description('list runs, the latest first')
    .option('--agent <agent_id>', 'only those of this agent')
    .option('--state <state>', 'starting, running, succeeded, failed, timed_out or cancelled')
    .option('-n, --limit <runs>', 'at most so many', '50')
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: { agent?: string; state?: string; limit: string; watch?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const query = { agent_id: options.agent, state: options.state, limit: options.limit };
      const list = () => daemon.json<{ runs: Shown<RunView>[] }>('GET', '/runs', { query });
      if (options.watch) return watching(json, list, (answer) => runTable(answer.runs));
      const answer = await list();
      print(json, answer, () => runTable(answer.runs));
    });
  withExamples(ls, 'runs ls', 'runs ls --agent reporter --state failed', 'runs ls --json');

  const show = runs
    .command('show <run_id>')
    .description('show a run: its outcome, result and last output')
    .option('--wait', 'wait for its end')
    .action(async (id: string, options: { wait?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const run = await daemon.json<RunView>('GET', runPath(id));
      showRun(json, options.wait ? await untilEnded(daemon, run) : run, options.wait === true);
    });
  withExamples(show, 'runs show run-019b7f3e', 'runs show run-019b7f3e --wait');

  const cancel = runs
    .command('cancel <run_id>')
    .description('end a run: its process is stopped, or the agent that has its task is told')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await during(`Ending ${id}`, () => daemon.json<RunView>('POST', runPath(id, '/cancel')));
      print(json, answer, () => runText(answer));
    });
  withExamples(cancel, 'runs cancel run-019b7f3e');
}

/** Asks again and again: a run may take longer than a request, and outlive the daemon. */
export async function untilEnded(daemon: DaemonClient, begun: RunView): Promise<RunView> {
  return during(`${begun.agent_id} runs ${begun.run_id}`, async () => {
    for (let run = begun; ; run = await daemon.json<RunView>('GET', runPath(run.run_id))) {
      if (run.ended_at !== null) return run;
      await pause(LOOK_AGAIN_MS);
    }
  });
}

/** @param isAwaited the exit code tells how it has ended */
export function showRun(json: boolean, run: RunView, isAwaited: boolean): void {
  print(json, run, () => runText(run));
  if (isAwaited && run.state !== 'succeeded') process.exitCode = NOT_DONE;
}
