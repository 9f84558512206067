import type { Command } from 'commander';

/** Puts examples at the end of a command's help: each is what to type after `openstarry-daemon `. */
export function withExamples(command: Command, ...examples: string[]): Command {
  const lines = examples.map(
    (example) => `  ${example.includes('openstarry-daemon') ? example : `openstarry-daemon ${example}`}`,
  );
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
