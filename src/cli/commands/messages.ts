import type { Command } from 'commander';
import type { StoredMessageView } from '../../contract/messaging-views.ts';
import { contextOf } from '../context.ts';
import { type DaemonClient, queuePath } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { messageLine, messageTable } from '../message-output.ts';
import { print } from '../output.ts';

const PAGE = 100;
const WAIT = '30s';

interface ListOptions {
  queue?: string;
  state?: string;
  from?: string;
  correlationId?: string;
  after?: string;
  limit: string;
}

/** What is in the queues, without taking anything out of them. */
export function addMessageCommands(program: Command): void {
  const messages = program.command('messages').description('look at messages, and deal with dead letters');
  withExamples(
    messages,
    'messages tail',
    'messages ls --queue @w1',
    'messages dead analysis',
    'messages requeue analysis',
  );

  const tail = messages
    .command('tail [queue]')
    .description('show messages as they are sent, of one queue or all, until Ctrl-C; a mailbox is @<agent_id>')
    .option('--from <sender>', 'only those from this one')
    .option('--correlation-id <id>', 'only those of one conversation')
    .action(async (queue: string | undefined, options: { from?: string; correlationId?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const { from, correlationId: correlation_id } = options;
      for await (const message of sent(daemon, { queue, from, correlation_id }))
        process.stdout.write(`${json ? JSON.stringify(message) : messageLine(message)}\n`);
    });
  withExamples(tail, 'messages tail', 'messages tail @w1', 'messages tail analysis --json');

  const ls = messages
    .command('ls')
    .description('list messages, oldest first')
    .option('--queue <queue>', 'only those of this queue; a mailbox is @<agent_id>')
    .option('--state <state>', 'ready, leased, delayed or dead')
    .option('--from <sender>', 'only those from this one')
    .option('--correlation-id <id>', 'only those of one conversation')
    .option('--after <id>', 'only those after this one')
    .option('-n, --limit <messages>', 'how many', '50')
    .action(async (options: ListOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const { correlationId: correlation_id, ...query } = options;
      const answer = await browse(daemon, { ...query, correlation_id });
      print(json, answer, () => messageTable(answer.messages));
    });
  withExamples(ls, 'messages ls', 'messages ls --queue @w1 --state leased', 'messages ls --from w1 --json');

  const dead = messages
    .command('dead <queue>')
    .description('list what could not be delivered, and why')
    .option('--after <id>', 'only those after this one')
    .option('-n, --limit <messages>', 'how many', '50')
    .action(async (queue: string, options: { after?: string; limit: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<{ messages: StoredMessageView[] }>('GET', queuePath(queue, '/dead'), {
        query: { ...options },
      });
      print(json, answer, () => messageTable(answer.messages));
    });
  withExamples(dead, 'messages dead analysis', 'messages dead @w1 --json');

  const verbs = [
    ['requeue', 'put dead letters back into their queue, as new', 'requeued'],
    ['discard', 'delete dead letters', 'discarded'],
  ] as const;
  for (const [verb, does, done] of verbs) {
    const own = messages
      .command(`${verb} <queue> [message_id...]`)
      .description(`${does}: those named, or all of the queue`)
      .action(async (queue: string, ids: string[], _options: unknown, command: Command) => {
        const { json, daemon } = contextOf(command);
        const body = ids.length === 0 ? {} : { ids };
        const answer = await daemon.json<{ count: number }>('POST', queuePath(queue, `/dead/${verb}`), { body });
        print(json, answer, () => `${answer.count} ${done}`);
      });
    withExamples(own, `messages ${verb} analysis`, `messages ${verb} @w1 01J9ZK7Q4N8R3S5T7V9W1X3Y5Z`);
  }
}

type Filter = Record<'queue' | 'from' | 'correlation_id', string | undefined>;

/** What is sent from now on. */
async function* sent(daemon: DaemonClient, filter: Filter): AsyncGenerator<StoredMessageView> {
  let after: string | undefined = 'latest';
  for (;;) {
    const { messages, next } = await browse(daemon, { ...filter, after, limit: PAGE, wait: WAIT });
    yield* messages;
    after = next ?? messages.at(-1)?.id ?? after;
  }
}

function browse(
  daemon: DaemonClient,
  query: Record<string, string | number | undefined>,
): Promise<{ messages: StoredMessageView[]; next?: string }> {
  return daemon.json('GET', '/messages', { query });
}
