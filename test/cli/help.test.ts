import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { Command } from 'commander';
import { describe, expect, inject, test } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');
const program = createProgram();

function all(command: Command, before: string[] = []): { words: string[]; command: Command }[] {
  const words = [...before, command.name()];
  const own = command.commands.filter((one) => one.name() !== 'help' && one.name() !== 'complete');
  return [{ words, command }, ...own.flatMap((one) => all(one, words))];
}
const commands = all(program).map(({ words, command }) => ({ words: words.slice(1), command }));

function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nowhere', OPENSTARRY_HOME: '/nowhere', ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('--help', () => {
  test.for(commands.map(({ words }) => words))('%j runs, says what it does and has examples', (words) => {
    const { status, stdout, stderr } = run([...words, '--help']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^Usage: openstarry-daemon ${words.join(' ')}`));
    expect(stdout).toContain('Examples:\n');
    if (words.length > 0) expect(stdout).toContain('--json');
    expect(stdout).not.toContain('\u001b');
  });

  test('examples are commands and options that exist', () => {
    const examples = commands.flatMap(({ words }) => {
      const text =
        run([...words, '--help'])
          .stdout.split('Examples:\n')[1]
          ?.split('\n\n')[0] ?? '';
      return text
        .split('\n')
        .flatMap((line) => /openstarry-daemon (.+)$/.exec(line.replace(/ {3,}.*| +#.*/, ''))?.[1] ?? []);
    });
    expect(examples.length).toBeGreaterThan(30);
    for (const example of examples) {
      const typed =
        example
          .split(/\s+(?:--\s|>|\))/)[0]
          ?.replace(/\)$/, '')
          .split(' ') ?? [];
      let command: Command = program;
      for (const word of typed) command = command.commands.find((one) => one.name() === word) ?? command;
      expect([example, command === program]).toEqual([example, false]);
      const known = [...command.options, ...program.options].flatMap(({ short, long }) => [short, long]);
      for (const option of typed.filter((word) => word.startsWith('-') && word !== '-' && word !== '--'))
        expect([example, known]).toEqual([example, expect.arrayContaining([option])]);
    }
  });
});

describe('colours', () => {
  test('are for terminals, for those who force them, and never for those who want none', () => {
    const failed = (env: NodeJS.ProcessEnv): string => run(['status'], env).stderr;
    expect(failed({})).not.toContain('\u001b');
    expect(failed({ CI: 'true' })).not.toContain('\u001b');
    expect(failed({ FORCE_COLOR: '1' })).toContain('\u001b[31mDAEMON_NOT_RUNNING');
    expect(failed({ FORCE_COLOR: '1', NO_COLOR: '1' })).not.toContain('\u001b');
  });
});

describe('completion', () => {
  test.for(['bash', 'zsh', 'fish'])('%s gets a script that asks this program', (shell) => {
    const { status, stdout } = run(['completion', shell]);
    expect([status, stdout]).toEqual([0, expect.stringContaining('openstarry-daemon complete --')]);
  });

  test('suggests commands and options', () => {
    const suggested = (...args: string[]): string[] =>
      run(['complete', '--', ...args])
        .stdout.split('\n')
        .map((line) => line.split('\t')[0] ?? '');
    expect(suggested('')).toEqual(expect.arrayContaining(['start', 'agents', 'doctor', 'restart']));
    expect(suggested('agents', 'st')).toEqual(expect.arrayContaining(['start', 'stop']));
    expect(suggested('agents', 'ls', '--')).toEqual(expect.arrayContaining(['--watch', '--label']));
  });

  test('refuses a shell that it does not know', () => {
    expect(run(['completion', 'tcsh']).status).toBe(2);
  });
});
