import type { Command } from 'commander';
import type { StateEntryView } from '../../contract/messaging-views.ts';
import { CodedError } from '../../contract/errors.ts';
import { contextOf } from '../context.ts';
import { withExamples } from '../examples.ts';
import { given, readJson, wholeNumber } from '../message-body.ts';
import { stateTable } from '../message-output.ts';
import { print } from '../output.ts';

interface Scope {
  agent?: string;
}

const AGENT = ['--agent <agent_id>', "this agent's own instead of what all share"] as const;

export function addStateCommands(program: Command): void {
  const state = program.command('state').description('values by key, shared or of one agent, each with a version');
  withExamples(state, 'state ls', `state put limits '{"max":5}'`, 'state get limits', 'state get snapshot --agent w1');

  const get = state
    .command('get <key>')
    .description('print a value as JSON; with --json also its version and times')
    .option(...AGENT)
    .action(async (key: string, scope: Scope, command: Command) => {
      const { json, daemon } = contextOf(command);
      const entry = await daemon.json<StateEntryView>('GET', pathOf(scope, key));
      print(json, entry, () => JSON.stringify(entry.value, null, 2));
    });
  withExamples(get, 'state get limits', 'state get snapshot --agent w1 --json');

  const put = state
    .command('put <key> [value]')
    .description('write a value: JSON, or @file, @- reads the standard input')
    .option(...AGENT)
    .option('--text <text>', 'the value is this text instead')
    .option('--if-version <version>', 'only if the entry has it; 0: only if there is none')
    .option('--ttl <time>', 'gone after so long, such as 1h')
    .action(
      async (
        key: string,
        value: string | undefined,
        options: Scope & { text?: string; ifVersion?: string; ttl?: string },
        command: Command,
      ) => {
        const { json, daemon } = contextOf(command);
        const { text, ifVersion, ttl } = options;
        const body = {
          value: text ?? readJson('value', value ?? '@-'),
          ...given('expected_version', ifVersion === undefined ? undefined : wholeNumber('--if-version', ifVersion)),
          ...given('ttl', ttl),
        };
        const entry = await daemon.json<StateEntryView>('PUT', pathOf(options, key), { body });
        print(json, entry, () => `${key} has version ${entry.version}`);
      },
    );
  withExamples(
    put,
    `state put limits '{"max":5}'`,
    'state put limits 5 --if-version 3',
    'state put motto --text "Do one thing" --ttl 1h',
    'state put plan @plan.json --agent w1',
  );

  const ls = state
    .command('ls [prefix]')
    .description('list entries, by key')
    .option(...AGENT)
    .option('--after <key>', 'only those after this one')
    .option('-n, --limit <entries>', 'how many', '100')
    .action(
      async (prefix: string | undefined, options: Scope & { after?: string; limit: string }, command: Command) => {
        const { json, daemon } = contextOf(command);
        const { after, limit } = options;
        const query = { prefix, after, limit };
        const answer = await daemon.json<{ entries: StateEntryView[] }>('GET', pathOf(options), { query });
        print(json, answer, () => stateTable(answer.entries));
      },
    );
  withExamples(ls, 'state ls', 'state ls reports/ --agent w1', 'state ls --json');

  const rm = state
    .command('rm <key>')
    .description('delete an entry')
    .option(...AGENT)
    .option('--if-version <version>', 'only if it has this version')
    .action(async (key: string, options: Scope & { ifVersion?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const query = { expected_version: options.ifVersion };
      const answer = await daemon.json<{ deleted: boolean }>('DELETE', pathOf(options, key), { query });
      if (!answer.deleted) throw new CodedError('STATE_NOT_FOUND', `There is no state ${key}`, { key });
      print(json, answer, () => `${key} is deleted`);
    });
  withExamples(rm, 'state rm limits', 'state rm plan --agent w1 --if-version 3');
}

function pathOf({ agent }: Scope, key?: string): string {
  const scope = agent === undefined ? '/state/shared' : `/state/agents/${encodeURIComponent(agent)}`;
  return key === undefined ? scope : `${scope}/${encodeURIComponent(key)}`;
}
