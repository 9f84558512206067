import type { Command } from 'commander';
import type { SentView } from '../../contract/messaging-views.ts';
import { contextOf } from '../context.ts';
import { agentPath } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { addMessageOptions, messageBody, type MessageOptions } from '../message-body.ts';
import { print } from '../output.ts';

/** `agents send`: into the mailbox of an agent, which may be down. */
export function addSendCommand(agents: Command): void {
  const send = addMessageOptions(
    agents
      .command('send <agent_id> [text]')
      .description('send a message to an agent; it waits while the agent is down'),
  ).action(async (agentId: string, text: string | undefined, options: MessageOptions, command: Command) => {
    const { json, daemon } = contextOf(command);
    const body = messageBody(text, options);
    const sent = await daemon.json<SentView>('POST', agentPath(agentId, '/messages'), { body });
    print(json, sent, () => sentLine(sent, agentId));
  });
  withExamples(
    send,
    'agents send w1 "Summarise the logs"',
    'agents send w1 --type STATUS_QUERY --payload {} --priority 9',
    'agents send w1 --type TASK_DELEGATE --payload @task.json --ttl 1h --key task-17',
  );
}

export function sentLine({ id, duplicate }: SentView, to: string): string {
  return duplicate ? `${id} had been sent to ${to} before` : `${id} is sent to ${to}`;
}
