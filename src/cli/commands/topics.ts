import type { Command } from 'commander';
import type { TopicEventView, TopicView } from '../../contract/messaging-views.ts';
import { contextOf } from '../context.ts';
import { withExamples } from '../examples.ts';
import { readJson } from '../message-body.ts';
import { eventLine, topicTable } from '../message-output.ts';
import { print } from '../output.ts';

const WAIT = '30s';

interface Page {
  events: TopicEventView[];
  next: number;
  missed: boolean;
}

export function addTopicCommands(program: Command): void {
  const topics = program.command('topics').description('publish, and follow what is published');
  withExamples(topics, 'topics ls', `topics publish team.news '{"text":"done"}'`, "topics tail 'agent.*.state'");

  const ls = topics
    .command('ls')
    .description('list topics that have events')
    .action(async (_options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<{ topics: TopicView[] }>('GET', '/topics');
      print(json, answer, () => topicTable(answer.topics));
    });
  withExamples(ls, 'topics ls', 'topics ls --json');

  const publish = topics
    .command('publish <topic> [payload]')
    .description('publish an event; its payload is JSON, or @file, @- reads the standard input')
    .option('--key <key>', 'published again under the same key, it is the same event')
    .action(async (topic: string, payload: string | undefined, options: { key?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const body = { payload: payload === undefined ? null : readJson('payload', payload), ...options };
      const answer = await daemon.json<{ cursor: number; duplicate: boolean }>(
        'POST',
        `/topics/${encodeURIComponent(topic)}`,
        { body },
      );
      const how = answer.duplicate ? 'had been published before' : 'is published';
      print(json, answer, () => `${answer.cursor} ${how} on ${topic}`);
    });
  withExamples(
    publish,
    `topics publish team.news '{"text":"done"}'`,
    'topics publish team.news @news.json --key news-17',
  );

  const tail = topics
    .command('tail <pattern>')
    .description('show events as they come, until Ctrl-C; * is one segment of a topic, > the rest')
    .option('--after <cursor>', 'begin after this event; 0: with the oldest that is kept', 'latest')
    .action(async (pattern: string, options: { after: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const path = `/topics/${encodeURIComponent(pattern)}/events`;
      for (let { after } = options; ;) {
        const page = await daemon.json<Page>('GET', path, { query: { after, wait: WAIT } });
        if (page.missed) process.stderr.write('Events in between are no longer kept\n');
        for (const event of page.events) process.stdout.write(`${json ? JSON.stringify(event) : eventLine(event)}\n`);
        after = String(page.next);
      }
    });
  withExamples(tail, "topics tail 'agent.*.state'", "topics tail 'team.>' --after 0", "topics tail '>' --json");
}
