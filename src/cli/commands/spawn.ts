import type { Command } from 'commander';
import type { RunRequest, RunView } from '../../contract/run-view.ts';
import { collect, contextOf, type Context } from '../context.ts';
import type { Settled } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { given } from '../message-body.ts';
import { print, settledLine } from '../output.ts';
import { during } from '../progress.ts';
import { showRun, untilEnded } from './runs.ts';
import { spawnBody, withTypes, type SpawnOptions } from '../spawn-body.ts';

interface Options extends SpawnOptions {
  cleanup?: string;
  timeout?: string;
  /** True without a value. */
  wait?: string | true;
}

export function addSpawnCommand(agents: Command): void {
  const spawn = agents
    .command('spawn [agent_id] [command...]')
    .description('create an agent, from a template or a command after --; or give one a task')
    .option('--template <id>', 'the template it is made from')
    .option('--var <name=value>', 'a variable of the template, of the type that it declares; repeatable', collect)
    .option('--label <name=value>', 'a label; repeatable', collect)
    .option('--env <NAME=value>', 'a variable of its environment; repeatable', collect)
    .option('--cwd <folder>', 'where its command runs; a command after -- runs here')
    .option('--task <text>', 'what it is to do; alone: a run of an agent that is there')
    .option('--fault-domain <name>', 'its restart policy')
    .option('--restart <when>', 'always, on-failure or never')
    .option('--wake-on-message', 'a message that comes while it is stopped or completed starts it')
    .option('--input <file>', 'the whole description as JSON; - reads the standard input')
    .option('--cleanup <what>', 'make it a run: keep or delete the agent afterwards')
    .option('--timeout <time>', 'make it a run: stopped after so long, such as 5m')
    .option('--wait [how]', 'running, ready, accepted, none, or how long, such as 5s; of a run: until it has ended')
    .action(async (agentId: string | undefined, argv: string[], options: Options, command: Command) => {
      const context = contextOf(command);
      const { daemon } = context;
      const here = daemon.address.pid === null ? undefined : process.cwd();
      const body = await withTypes(daemon, spawnBody(agentId, argv, options, here), options.var);
      if (isRun(body, options)) return startRun(context, body, options);
      const query = { wait: options.wait === true ? undefined : options.wait };
      const agent = await during(`Starting ${body.agent_id}`, () =>
        daemon.json<Settled>('POST', '/agents', { query, body }),
      );
      print(context.json, agent, () => settledLine(agent));
    });
  withExamples(
    spawn,
    'agents spawn w1 --template DataAnalystAgent_v1 --var region=eu --var depth=3 --task "Summarise the logs"',
    'agents spawn counter --env STEP=2 -- python3 counter.py --fast',
    'agents spawn once --template Reporter_v1 --task "The week" --cleanup delete --timeout 5m --wait',
    'agents spawn w1 --task "And now the errors" --wait',
    `echo '{"agent_id":"w2","template_id":"T","variables":{"size":3}}' | openstarry-daemon agents spawn --input -`,
  );
}

/** One finite execution, or an agent that stays? */
function isRun(body: Partial<RunRequest>, { cleanup, timeout }: Options): boolean {
  const isDescribed = body.template_id !== undefined || body.command !== undefined;
  return cleanup !== undefined || timeout !== undefined || (body.task !== undefined && !isDescribed);
}

async function startRun({ json, daemon }: Context, agent: object, options: Options): Promise<void> {
  const body = { ...agent, ...given('cleanup', options.cleanup), ...given('timeout', options.timeout) };
  const query = { wait: typeof options.wait === 'string' ? options.wait : undefined };
  const run = await daemon.json<RunView>('POST', '/runs', { query, body });
  const isAwaited = options.wait === true;
  showRun(json, isAwaited ? await untilEnded(daemon, run) : run, isAwaited);
}
