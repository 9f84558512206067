import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import type { AgentView } from '../contract/agent-view.ts';
import { findDaemon } from './daemon-address.ts';
import { withExamples } from './examples.ts';

/** Nobody waits longer for a suggestion. */
const WITHIN_MS = 500;

let agentIds: string[] = [];

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
      if (!path.startsWith('agents ') || path === 'agents spawn' || argument.name !== 'agent_id') continue;
      argument.handler = (complete) => {
        for (const agentId of agentIds) complete(agentId, '');
      };
    }
  }
}

/** The shell asks: agents are looked up before, as suggestions have to be at hand at once. */
export async function prepareCompletion(): Promise<void> {
  try {
    const { url, token } = findDaemon({});
    const response = await fetch(`${url}/agents`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    const { agents } = (await response.json()) as { agents: AgentView[] };
    agentIds = agents.map(({ agent_id }) => agent_id);
  } catch {
    agentIds = []; // without a daemon there are no agents to suggest
  }
}
