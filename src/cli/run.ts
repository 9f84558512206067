import { CommanderError, type Command } from 'commander';
import { CodedError, codeOf, ERRORS } from '../contract/errors.ts';
import { prepareCompletion } from './completion.ts';
import { printError } from './output.ts';
import { createProgram } from './program.ts';

const WRONG_USE = 2;

/** Runs one command line. @returns the exit code */
export async function run(argv: string[]): Promise<number> {
  const program = createProgram();
  const json = argv.slice(0, [...argv, '--'].indexOf('--')).includes('--json');
  overrideExit(program, json);
  try {
    if (argv[0] === 'complete') await prepareCompletion();
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0); // the daemon has its own, such as 78
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (json) printError(wrongUse(error), true);
      return WRONG_USE;
    }
    const coded = asCoded(error);
    printError(coded, json);
    return ERRORS[coded.code].exit;
  }
}

function overrideExit(command: Command, json: boolean): void {
  command.exitOverride().showHelpAfterError('(add --help for usage)');
  // Under --json standard error carries JSON alone; errors are reported there.
  if (json) command.configureOutput({ writeErr: () => undefined });
  for (const sub of command.commands) overrideExit(sub, json);
}

function wrongUse({ code, message }: CommanderError): CodedError {
  const says = code === 'commander.help' ? 'A command is missing; --help lists them' : message.replace(/^error: /, '');
  return new CodedError('INVALID_REQUEST', `${says.slice(0, 1).toUpperCase()}${says.slice(1)}`);
}

function asCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const code = codeOf(error);
  if (code !== undefined) return new CodedError(code, (error as Error).message, {}, error);
  return new CodedError('INTERNAL', error instanceof Error ? (error.stack ?? error.message) : String(error), {}, error);
}
