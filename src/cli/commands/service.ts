import type { Command } from 'commander';
import { CodedError } from '../../contract/errors.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';

interface InstallOptions {
  user?: boolean;
  system?: boolean;
  config?: string;
  dryRun?: boolean;
}

/** What prepares a machine, and needs no running daemon. */
export function addServiceCommands(program: Command): void {
  const install = program
    .command('install-service')
    .description('write the systemd units (launchd: untested) that keep custodian and daemon running')
    .option('--user', 'for this user (the default)')
    .option('--system', 'for the machine; needs the rights to write /etc/systemd/system')
    .option('--config <file>', 'configuration file; without it ./openstarry.yaml, or else the quickstart')
    .option('--dry-run', 'only print what would be written')
    .action(async (options: InstallOptions, command: Command) => {
      if (options.user && options.system)
        throw new CodedError('INVALID_REQUEST', '--user and --system are both given; keep one of them');
      const { describeService, installService } = await import('../../daemon/system-service/install-service.ts');
      const service = await installService({
        scope: options.system ? 'system' : 'user',
        file: options.config,
        dryRun: options.dryRun ?? false,
      });
      print(command.optsWithGlobals<{ json?: boolean }>().json ?? false, service, () => describeService(service));
    });
  withExamples(install, 'install-service --dry-run', 'install-service --user --config ./openstarry.yaml');
}
