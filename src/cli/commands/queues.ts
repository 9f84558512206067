import type { Command } from 'commander';
import type { QueueView, SentView } from '../../contract/messaging-views.ts';
import { CodedError, codeOf } from '../../contract/errors.ts';
import { collect, contextOf } from '../context.ts';
import { type DaemonClient, queuePath } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { addMessageOptions, given, messageBody, readJson, wholeNumber, type MessageOptions } from '../message-body.ts';
import { queueTable } from '../message-output.ts';
import { print } from '../output.ts';
import { sentLine } from './send.ts';
import { pairs } from '../spawn-body.ts';
import { watching } from '../watch.ts';

interface SetOptions {
  member?: string[];
  memberLabel?: string[];
  concurrency?: string;
  perConsumer?: string;
  lease?: string;
  attempts?: string;
  retry?: string;
  ttl?: string;
  maxMessages?: string;
  maxPerSender?: string;
}

export function addQueueCommands(program: Command): void {
  const queues = program.command('queues').description('mailboxes (@<agent_id>) and work queues');
  withExamples(queues, 'queues ls', 'queues set analysis --member w1 --member w2 --per-consumer 1', 'queues show @w1');

  const ls = queues
    .command('ls')
    .description('list queues: what is ready, handed out, waiting for another attempt, and dead')
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: { watch?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const list = () => daemon.json<{ queues: QueueView[] }>('GET', '/queues');
      if (options.watch) return watching(json, list, (answer) => queueTable(answer.queues));
      const answer = await list();
      print(json, answer, () => queueTable(answer.queues));
    });
  withExamples(ls, 'queues ls', 'queues ls --watch', 'queues ls --json');

  const show = queues
    .command('show <queue>')
    .description('show a queue and its settings')
    .action(async (queue: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<QueueView>('GET', queuePath(queue));
      print(json, answer, () => queueText(answer));
    });
  withExamples(show, 'queues show analysis', 'queues show @w1 --json');

  const set = queues
    .command('set <queue>')
    .description('make a work queue, or change the settings that are given')
    .option('--member <agent_id>', 'an agent that works it; repeatable. Without any, all may', collect)
    .option('--member-label <name=value>', 'agents with this label work it; repeatable', collect)
    .option('--concurrency <messages>', 'handed out at the same time, to all together; none: no limit')
    .option('--per-consumer <messages>', 'handed out at the same time to one process; none: no limit')
    .option('--lease <time>', 'how long a receiver has for a message, such as 60s')
    .option('--attempts <times>', 'handed out so often without success, a message is dead')
    .option(
      '--retry <json>',
      `the pause before another attempt: '{"initial":"1s","factor":2,"max":"60s","jitter":0.1}'`,
    )
    .option('--ttl <time>', 'for messages without their own, such as 7d; never: they wait for ever')
    .option('--max-messages <messages>', 'more are refused')
    .option('--max-per-sender <messages>', 'of them, from one sender')
    .action(async (queue: string, options: SetOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const changes = settingsBody(options);
      const body = { ...(await written(daemon, queue)), ...changes };
      const answer = await daemon.json<QueueView>('PUT', queuePath(queue), { body });
      print(json, answer, () => queueText(answer));
    });
  withExamples(
    set,
    'queues set analysis --member w1 --member w2 --per-consumer 1',
    'queues set analysis --member-label role=analyst --lease 5m --attempts 3',
    'queues set analysis --concurrency none --ttl never',
  );

  const send = addMessageOptions(
    queues.command('send <queue> [text]').description('put a message into a work queue'),
  ).action(async (queue: string, text: string | undefined, options: MessageOptions, command: Command) => {
    const { json, daemon } = contextOf(command);
    const body = messageBody(text, options);
    const sent = await daemon.json<SentView>('POST', queuePath(queue, '/messages'), { body });
    print(json, sent, () => sentLine(sent, queue));
  });
  withExamples(send, `queues send analysis --type TASK_DELEGATE --payload '{"task":"Summarise the logs"}'`);

  const rm = queues
    .command('rm <queue>')
    .description('delete a work queue; what it holds becomes dead letters, and senders are told')
    .action(async (queue: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json('DELETE', queuePath(queue));
      print(json, answer, () => `${queue} is deleted`);
    });
  withExamples(rm, 'queues rm analysis');
}

/** As it stands, to be written again: what is not given stays. */
async function written(daemon: DaemonClient, queue: string): Promise<Record<string, unknown>> {
  try {
    const { settings, members } = await daemon.json<QueueView>('GET', queuePath(queue));
    return { ...settings, ...given('members', members ?? undefined) };
  } catch (error) {
    if (codeOf(error) === 'QUEUE_NOT_FOUND') return {};
    throw error;
  }
}

function settingsBody(options: SetOptions): Record<string, unknown> {
  const { member, memberLabel, concurrency, perConsumer, attempts, retry, maxMessages, maxPerSender } = options;
  if (member !== undefined && memberLabel !== undefined)
    throw new CodedError('INVALID_REQUEST', 'queues set: name members, or give labels of them, not both');
  const number = (option: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : wholeNumber(option, text);
  const limit = (option: string, text: string | undefined): number | null | undefined =>
    text === 'none' ? null : number(option, text);
  return {
    ...given('members', member),
    ...given('members', memberLabel === undefined ? undefined : { labels: pairs('--member-label', memberLabel) }),
    ...given('concurrency', limit('--concurrency', concurrency)),
    ...given('per_consumer', limit('--per-consumer', perConsumer)),
    ...given('lease', options.lease),
    ...given('attempts', number('--attempts', attempts)),
    ...given('retry', retry === undefined ? undefined : readJson('--retry', retry)),
    ...given('ttl', options.ttl),
    ...given('max_messages', number('--max-messages', maxMessages)),
    ...given('max_per_sender', number('--max-per-sender', maxPerSender)),
  };
}

function queueText(queue: QueueView): string {
  const settings = Object.entries(queue.settings).map(([name, value]) => `  ${name}: ${valueText(value)}`);
  return [queueTable([queue]), ...settings].join('\n');
}

function valueText(value: unknown): string {
  if (value === null) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
