import type { Command } from 'commander';
import type { NoticeTestResult } from '../../contract/incident-activities.ts';
import { colors } from '../colors.ts';
import { contextOf } from '../context.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';
import { during } from '../progress.ts';

/** As of a plugin that cannot work. */
const EXIT_FAILED = 6;

export function addNotifyCommands(program: Command): void {
  const notify = program.command('notify').description('the channels by which people are told of incidents');
  withExamples(notify, 'notify test', 'notify test ops');

  const test = notify
    .command('test [channel]')
    .description('send a notice on a channel, or on each, to find out whether it works')
    .action(async (channel: string | undefined, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const body = channel === undefined ? {} : { channel };
      const answer = await during('Sending a notice', () =>
        daemon.json<{ results: NoticeTestResult[] }>('POST', '/notify/test', { body }),
      );
      print(json, answer, () => resultText(answer.results));
      if (answer.results.some(({ ok }) => !ok)) process.exitCode = EXIT_FAILED;
    });
  withExamples(test, 'notify test', 'notify test ops', 'notify test --json');
}

function resultText(results: NoticeTestResult[]): string {
  if (results.length === 0) return 'No channel is configured: see escalation.channels in the configuration';
  return results
    .map(
      ({ channel, ok, reason }) =>
        `${channel}: ${ok ? colors.green('sent') : `${colors.red('failed')}, ${reason ?? ''}`}`,
    )
    .join('\n');
}
