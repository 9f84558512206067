import type { Command } from 'commander';
import type { DoctorCheck, DoctorView } from '../../contract/doctor-view.ts';
import { ERRORS } from '../../contract/errors.ts';
import { colors } from '../colors.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';
import { during } from '../progress.ts';

const MARK: Record<DoctorCheck['status'], string> = {
  ok: colors.green('ok  '),
  warn: colors.yellow('warn'),
  fail: colors.red('fail'),
};

export function addDoctorCommand(program: Command): void {
  const doctor = program
    .command('doctor')
    .description('look for what stands in the way of a daemon here; exits 6 if something does')
    .option(
      '--config <file>',
      'configuration file; without it that of the running daemon, or else the one that a start would use',
    )
    .action(async ({ config }: { config?: string }, command: Command) => {
      const { examine } = await import('../../daemon/doctor/doctor.ts');
      const view = await during('Looking around', () => examine({ file: config }));
      print(command.optsWithGlobals<{ json?: boolean }>().json === true, view, () => doctorText(view));
      if (!view.ok) process.exitCode = ERRORS.STATE_DIR_UNUSABLE.exit;
    });
  withExamples(doctor, 'doctor', 'doctor --json', 'doctor --config /etc/openstarry.yaml');
}

function doctorText({ ok, checks }: DoctorView): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, says, way_out }) => [
    `${MARK[status]}  ${colors.bold(name.padEnd(width))}  ${says}`,
    ...(way_out === undefined ? [] : [`${' '.repeat(width + 8)}${colors.dim(way_out)}`]),
  ]);
  const warnings = checks.filter(({ status }) => status === 'warn').length;
  const verdict = ok
    ? `A daemon can run here${warnings === 0 ? '' : `; ${warnings} to know of`}`
    : 'Something stands in the way';
  return [...lines, '', verdict].join('\n');
}
