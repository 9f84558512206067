import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { ERRORS, isErrorCode } from '../../contract/errors.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';

/** The configuration file, without a running daemon. */
export function addConfigCommands(program: Command): void {
  const config = withExamples(
    program.command('config').description('the configuration file'),
    'config check',
    'config schema --template',
  );
  const check = config
    .command('check')
    .description('read the file as a start would, put every agent together with its template, and start nothing')
    .option('--config <file>', 'configuration file; without it ./openstarry.yaml, or else the quickstart')
    .action(async (options: { config?: string }, command: Command) => {
      const { checkConfig, describeCheck } = await import('../../daemon/configuration/check-config.ts');
      const found = await checkConfig({ file: options.config });
      print(command.optsWithGlobals<{ json?: boolean }>().json ?? false, found, () => describeCheck(found));
      const code = [...found.plugins, ...found.agents].find(({ problem }) => problem !== null)?.problem?.code;
      if (code !== undefined) process.exitCode = isErrorCode(code) ? ERRORS[code].exit : 1;
    });
  withExamples(check, 'config check', 'config check --config /etc/openstarry.yaml --json');

  const schema = config
    .command('schema')
    .description('print the JSON Schema of openstarry.yaml, for editors')
    .option('--template', 'that of a template')
    .action(async (options: { template?: boolean }) => {
      const name = options.template ? 'template' : 'openstarry';
      process.stdout.write(await readFile(new URL(`../../../schema/${name}.schema.json`, import.meta.url), 'utf8'));
    });
  withExamples(schema, 'config schema > openstarry.schema.json');
}
