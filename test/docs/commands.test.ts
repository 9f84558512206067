import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { commands, PAGES, shellLines, wrong } from './pages.ts';

/** What is wrong with a command line of `openstarry-daemon`, seen from the help of the program; undefined if nothing is. */
function complaint(program: Command, line: string): string | undefined {
  const path = [program];
  const own = line.split(/ -- | \| |[;)#>]|\$\(/, 1)[0] as string;
  for (const word of own.trim().split(/\s+/).filter(Boolean)) {
    const here = path.at(-1) as Command;
    if (word.startsWith('-')) {
      const flag = word.split('=', 1)[0] as string;
      const known = path.flatMap(({ options }) => options).flatMap(({ long, short }) => [long, short]);
      if (!['--help', '-h', ...known].includes(flag)) return `has no option ${flag}`;
      continue;
    }
    const next = here.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (next) path.push(next);
    // An argument, or the value of an option; a command that only groups others takes none.
    else if (here.commands.length > 0 && !/^[.…<"'[]/.test(word)) return `has no command ${word}`;
  }
  return undefined;
}

it('every openstarry-daemon command line in the pages is known to its help', () => {
  const program = createProgram();
  const unknown = wrong((one) =>
    commands(one)
      .flatMap((text) => [...text.matchAll(/(?:^|[\s(;|])openstarry-daemon(?= |$)((?: [^`]*)?)/g)])
      .flatMap(([, line]) => {
        const why = complaint(program, line as string);
        return why === undefined ? [] : [`openstarry-daemon${line}: it ${why}`];
      }),
  );
  expect(unknown).toEqual([]);
});

it.each([
  [' agents ls --state running', undefined],
  [' agents spawn x -- sh -c "--nonsense"', undefined],
  [' --json agents show x | jq .pid', undefined],
  [' agents list', 'has no command list'],
  [' stop --keep', 'has no option --keep'],
])('complaint about "%s" is %s', (line, expected) => {
  expect(complaint(createProgram(), line)).toBe(expected);
});

/** Whose shell blocks are run by a test: README by readme.test.ts, docs/api.md by test/e2e/front.test.ts, the example by its own test, the others by messages-page.test.ts. */
const RUN = ['README.md', 'docs/api.md', 'docs/messages.md', 'docs/sdk.md', 'examples/trading/README.md'];

it('every curl in the pages is run by a test', () => {
  const others = PAGES.filter(({ file }) => !RUN.includes(file));
  expect(others.filter((one) => shellLines(one).some((line) => /\bcurl /.test(line))).map(({ file }) => file)).toEqual(
    [],
  );
});
