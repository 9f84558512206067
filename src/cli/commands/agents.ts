import type { Command } from 'commander';
import type { AgentView } from '../../contract/agent-view.ts';
import type { Transition } from '../../contract/decision.ts';
import type { TransitionState } from '../../domain/public-state.ts';
import { agentPath } from '../daemon-client.ts';
import { addAgentVerbs } from './agent-verbs.ts';
import { addRemoveCommand } from './remove.ts';
import { collect, contextOf } from '../context.ts';
import { withExamples } from '../examples.ts';
import { addLogCommand } from './logs.ts';
import { agentLine, agentTable, descriptionLines, print, table, vitalsLines } from '../output.ts';
import { addSendCommand } from './send.ts';
import { addSpawnCommand } from './spawn.ts';
import { watchAgents } from '../watch.ts';

/** An entry of `GET /agents/{id}/history`. */
type HistoryEntry = Omit<Transition, 'state'> & { state: TransitionState; id: number; run_id: string };

interface ListOptions {
  state?: string;
  template?: string;
  label?: string[];
  watch?: boolean;
}

export function addAgentCommands(program: Command): void {
  const agents = program.command('agents').description('list, create and command agents');
  withExamples(agents, 'agents ls', 'agents spawn w1 --template DataAnalystAgent_v1', 'agents logs -f --all');

  const ls = agents
    .command('ls')
    .description('list agents')
    .option('--state <state>', 'only those in this state')
    .option('--template <id>', 'only those from this template')
    .option('--label <label>', 'only those with name=value, or name; repeatable', collect)
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: ListOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const query = { state: options.state, template_id: options.template, label: options.label };
      if (options.watch) return watchAgents(daemon, query, json);
      const answer = await daemon.json<{ agents: AgentView[] }>('GET', '/agents', { query });
      print(json, answer, () => agentTable(answer.agents));
    });
  withExamples(
    ls,
    'agents ls',
    'agents ls --watch',
    'agents ls --state disabled --label team=research',
    'agents ls --json',
  );

  const show = agents
    .command('show <agent_id>')
    .description('show an agent')
    .action(async (agentId: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const agent = await daemon.json<AgentView>('GET', agentPath(agentId));
      print(
        json,
        agent,
        () =>
          [agentLine(agent), ...descriptionLines(agent), ...vitalsLines(agent)].join('\n  ') +
          exitText(agent) +
          wayOut(agent),
      );
    });
  withExamples(show, 'agents show w1', 'agents show w1 --json');

  addSpawnCommand(agents);
  addAgentVerbs(agents);
  addRemoveCommand(agents);

  const signal = agents
    .command('signal <agent_id> <name>')
    .description('send a signal, such as SIGHUP, to the process of an agent')
    .action(async (agentId: string, name: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json('POST', agentPath(agentId, '/signal'), { body: { name } });
      print(json, answer, () => `${name} is on its way to ${agentId}`);
    });
  withExamples(signal, 'agents signal w1 SIGHUP');

  addSendCommand(agents);
  addLogCommand(agents);

  const history = agents
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
  withExamples(history, 'agents history w1', 'agents history w1 -n 200 --json');
}

function exitText({ last_exit }: AgentView): string {
  if (last_exit === null) return '';
  const tail = last_exit.log_tail.trimEnd();
  const log = tail === '' ? '' : `\n${tail.replace(/^/gm, '    ')}`;
  return `\n  last exit: ${last_exit.reason} (${last_exit.at})${log}`;
}

function wayOut({ agent_id, state }: AgentView): string {
  return state === 'disabled' ? `\n  once it is mended: openstarry-daemon agents start ${agent_id}` : '';
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
