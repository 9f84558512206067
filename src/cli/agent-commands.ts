import type { Command } from 'commander';
import type { AgentView } from '../contract/agent-view.ts';
import type { Transition } from '../contract/decision.ts';
import { agentPath, type Settled } from './daemon-client.ts';
import { agentLine, agentTable, print, table } from './output.ts';
import { contextOf } from './context.ts';
import { spawnBody, type SpawnOptions } from './spawn-body.ts';

/** An entry of `GET /agents/{id}/history`. */
type HistoryEntry = Transition & { id: number; run_id: string };

const SPAWN_EXAMPLES = `
Examples:
  openstarry-daemon agents spawn w1 --template DataAnalystAgent_v1 --var region=eu --task "Summarise the logs"
  openstarry-daemon agents spawn counter --env STEP=2 -- python3 counter.py --fast
  echo '{"agent_id":"w2","template_id":"T","variables":{"size":3}}' | openstarry-daemon agents spawn --input -`;

const WAIT = ['--wait <how>', 'running, accepted, none, or how long, such as 5s'] as const;
const GRACE = ['--grace <time>', 'how long it may take to leave by itself, such as 2s'] as const;

export function addAgentCommands(program: Command): void {
  const agents = program.command('agents').description('list, create and command agents');

  agents
    .command('ls')
    .description('list agents')
    .option('--state <state>', 'only those in this state')
    .option('--template <id>', 'only those from this template')
    .option('--label <label>', 'only those with name=value, or name; repeatable', collect)
    .action(async (options: { state?: string; template?: string; label?: string[] }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const query = { state: options.state, template_id: options.template, label: options.label };
      const answer = await daemon.json<{ agents: AgentView[] }>('GET', '/agents', { query });
      print(json, answer, () => agentTable(answer.agents));
    });

  agents
    .command('show <agent_id>')
    .description('show an agent')
    .action(async (agentId: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const agent = await daemon.json<AgentView>('GET', agentPath(agentId));
      print(json, agent, () => `${agentLine(agent)}${exitText(agent)}`);
    });

  agents
    .command('spawn [agent_id] [command...]')
    .description('create an agent, from a template or a command after --')
    .option('--template <id>', 'the template it is made from')
    .option('--var <name=value>', 'a variable of the template; repeatable', collect)
    .option('--label <name=value>', 'a label; repeatable', collect)
    .option('--env <NAME=value>', 'a variable of its environment; repeatable', collect)
    .option('--cwd <folder>', 'where its command runs')
    .option('--task <text>', 'what it is to do')
    .option('--fault-domain <name>', 'its restart policy')
    .option('--restart <when>', 'always, on-failure or never')
    .option('--input <file>', 'the whole description as JSON; - reads the standard input')
    .option(...WAIT)
    .addHelpText('after', SPAWN_EXAMPLES)
    .action(
      async (
        agentId: string | undefined,
        argv: string[],
        options: SpawnOptions & { wait?: string },
        command: Command,
      ) => {
        const { json, daemon } = contextOf(command);
        const body = spawnBody(agentId, argv, options);
        const agent = await daemon.json<Settled>('POST', '/agents', { query: { wait: options.wait }, body });
        print(json, agent, () => settledLine(agent));
      },
    );

  for (const verb of ['start', 'stop', 'restart', 'pause', 'resume'] as const) {
    const own = agents
      .command(`${verb} <agent_id>`)
      .description(`${verb} an agent`)
      .option(...WAIT);
    if (verb === 'stop') own.option(...GRACE);
    own.action(async (agentId: string, options: { wait?: string; grace?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const agent = await daemon.json<Settled>('POST', agentPath(agentId, `/${verb}`), { query: { ...options } });
      print(json, agent, () => settledLine(agent));
    });
  }

  agents
    .command('rm <agent_id>')
    .description('stop and delete an agent; its logs and history stay')
    .option('--purge', 'delete its logs and history too')
    .option(...WAIT)
    .option(...GRACE)
    .action(async (agentId: string, options: { purge?: boolean; wait?: string; grace?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<Settled | { deleted: true }>('DELETE', agentPath(agentId), {
        query: { ...options },
      });
      print(json, answer, () => ('state' in answer ? settledLine(answer) : `${agentId} is deleted`));
    });

  agents
    .command('signal <agent_id> <name>')
    .description('send a signal, such as SIGHUP, to the process of an agent')
    .action(async (agentId: string, name: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json('POST', agentPath(agentId, '/signal'), { body: { name } });
      print(json, answer, () => `${name} is on its way to ${agentId}`);
    });

  agents
    .command('logs <agent_id>')
    .description('show what an agent has written')
    .option('-f, --follow', 'go on with what it writes')
    .option('-n, --tail <lines>', 'how many lines to begin with', '100')
    .action(async (agentId: string, options: { follow?: boolean; tail: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const query = { tail: options.tail, follow: options.follow ?? false };
      const accept = json ? 'application/x-ndjson' : 'text/plain';
      for await (const text of daemon.text(agentPath(agentId, '/logs'), query, accept)) process.stdout.write(text);
    });

  agents
    .command('history <agent_id>')
    .description('what became of an agent, newest first')
    .option('-n, --limit <entries>', 'how many', '50')
    .option('--before <id>', 'only entries older than this one')
    .action(async (agentId: string, options: { limit: string; before?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<{ entries: HistoryEntry[] }>('GET', agentPath(agentId, '/history'), {
        query: { ...options },
      });
      print(json, answer, () => historyTable(answer.entries));
    });
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function settledLine(agent: Settled): string {
  const waiting = agent.settled ? '' : `\n  not there yet${agent.note === undefined ? '' : `: ${agent.note}`}`;
  return agentLine(agent) + waiting;
}

function exitText({ last_exit }: AgentView): string {
  if (last_exit === null) return '';
  const tail = last_exit.log_tail.trimEnd();
  const log = tail === '' ? '' : `\n${tail.replace(/^/gm, '    ')}`;
  return `\n  last exit: ${last_exit.reason} (${last_exit.at})${log}`;
}

function historyTable(entries: HistoryEntry[]): string {
  if (entries.length === 0) return 'No entries';
  const rows = entries.map((entry) => [
    String(entry.id),
    new Date(entry.at_ms).toISOString(),
    String(entry.generation),
    entry.state,
    entry.reason,
  ]);
  return table(['ID', 'AT', 'GEN', 'STATE', 'REASON'], rows);
}
