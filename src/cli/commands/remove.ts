import type { Command } from 'commander';
import type { AgentView } from '../../contract/agent-view.ts';
import { each, GRACE, printBulk, type Selection, selectionOf, WAIT, withSelection } from './agent-verbs.ts';
import { contextOf } from '../context.ts';
import { agentPath, type DaemonClient, type Settled } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { print, settledLine } from '../output.ts';
import { during } from '../progress.ts';

type Removed = Settled | { deleted: true };

interface RemoveOptions extends Selection {
  purge?: boolean;
  wait?: string;
  grace?: string;
}

export function addRemoveCommand(agents: Command): void {
  const rm = withSelection(
    agents.command('rm [agent_id...]').description('stop and delete agents; their logs and history stay'),
  )
    .option('--purge', 'delete their logs and history too')
    .option(...WAIT)
    .option(...GRACE)
    .action(async (ids: string[], { purge, wait, grace, ...selection }: RemoveOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const isSelection = selectionOf('rm', ids, selection) !== undefined;
      const remove = (id: string) => daemon.json<Removed>('DELETE', agentPath(id), { query: { purge, wait, grace } });
      const [only, ...others] = ids;
      if (only !== undefined && others.length === 0) {
        const answer = await during(`Deleting ${only}`, () => remove(only));
        return print(json, answer, () => ('state' in answer ? settledLine(answer) : `${only} is deleted`));
      }
      const named = isSelection ? await selected(daemon, selection) : ids;
      printBulk(json, await during(`Deleting ${named.length} agents`, () => each(named, remove)));
    });
  withExamples(
    rm,
    'agents rm w1',
    'agents rm w1 w2 --purge --grace 2s',
    'agents rm --label team=research',
    'agents rm --all --wait accepted',
  );
}

async function selected(daemon: DaemonClient, { label, faultDomain }: Selection): Promise<string[]> {
  const { agents } = await daemon.json<{ agents: AgentView[] }>('GET', '/agents', { query: { label } });
  return agents
    .filter((agent) => faultDomain === undefined || agent.fault_domain === faultDomain)
    .map((agent) => agent.agent_id);
}
