import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import type { QueueView } from '../contract/messaging-views.ts';
import type { AgentView } from '../contract/agent-view.ts';
import { findDaemon } from './daemon-address.ts';
import { withExamples } from './examples.ts';

/** Nobody waits longer for a suggestion. */
const WITHIN_MS = 500;

const suggestions: Record<string, string[]> = { agent_id: [], queue: [] };
/** Its agent does not exist yet. */
const NEW = ['agents spawn', 'queues set'];

/** `completion <shell>` prints what a shell needs; what it then asks is answered from these very commands. */
export function addCompletion(program: Command): void {
  const root = tab(program, { completionCommandName: 'completion' });
  const command = program.commands.find((one) => one.name() === 'completion');
  command?.description('print what a shell needs to complete commands, options and agents: bash, zsh or fish');
  if (command) {
    withExamples(
      command,
      'source <(openstarry-daemon completion bash)      # in ~/.bashrc',
      'source <(openstarry-daemon completion zsh)       # in ~/.zshrc, after compinit',
      'openstarry-daemon completion fish > ~/.config/fish/completions/openstarry-daemon.fish',
    );
  }
  for (const [path, own] of root.commands) {
    for (const argument of own.arguments.values()) {
      if (NEW.includes(path) || !Object.hasOwn(suggestions, argument.name)) continue;
      argument.handler = (complete) => {
        for (const name of suggestions[argument.name] ?? []) complete(name, '');
      };
    }
  }
}

/** The shell asks: names are looked up before, as suggestions have to be at hand at once. */
export async function prepareCompletion(): Promise<void> {
  const names = async (path: string, pick: (answer: never) => string[]): Promise<string[]> => {
    const { url, token } = findDaemon({});
    const response = await fetch(`${url}${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    return pick((await response.json()) as never);
  };
  // Without a daemon there is nothing to suggest.
  const [agents, queues] = await Promise.all([
    names('/agents', (answer: { agents: AgentView[] }) => answer.agents.map(({ agent_id }) => agent_id)).catch(
      () => [],
    ),
    names('/queues', (answer: { queues: QueueView[] }) => answer.queues.map(({ name }) => name)).catch(() => []),
  ]);
  suggestions['agent_id'] = agents;
  suggestions['queue'] = queues;
}
