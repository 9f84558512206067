import { CommanderError, type Command } from 'commander';
import { CodedError, codeOf, ERRORS } from '../contract/errors.ts';
import { prepareCompletion } from './completion.ts';
import { printError } from './output.ts';
import { createProgram } from './program.ts';

const WRONG_USE = 2;

/** Runs one command line. @returns the exit code */
export async function run(argv: string[]): Promise<number> {
  const program = createProgram();
  overrideExit(program);
  try {
    if (argv[0] === 'complete') await prepareCompletion();
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0); // the daemon has its own, such as 78
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
    const coded = asCoded(error);
    printError(coded, argv.includes('--json'));
    return ERRORS[coded.code].exit;
  }
}

function overrideExit(command: Command): void {
  command.exitOverride().showHelpAfterError('(add --help for usage)');
  command.commands.forEach(overrideExit);
}

function asCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const code = codeOf(error);
  if (code !== undefined) return new CodedError(code, (error as Error).message, {}, error);
  return new CodedError('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error), {}, error);
}
