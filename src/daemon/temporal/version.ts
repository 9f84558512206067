import { runCommand } from '../run-command.ts';

/** The one version that the daemon is made and tested for; `tools/temporal/go.mod` names the same. */
export const TEMPORAL_CLI_VERSION = '1.5.1';

/** `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)` → `1.5.1` */
export async function temporalVersion(binary: string): Promise<string> {
  const { code, output } = await runCommand(binary, ['--version'], { timeoutMs: 10_000 });
  const version = /^temporal version (\S+)/m.exec(output)?.[1];
  if (code !== 0 || version === undefined) {
    throw new Error(
      `\`${binary} --version\` answered ${code === 0 ? JSON.stringify(output.slice(0, 200)) : `exit code ${code}: ${output.slice(-200)}`}`,
    );
  }
  return version;
}
