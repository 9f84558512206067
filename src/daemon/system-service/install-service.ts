import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findConfig } from '../../config/find-config.ts';
import { loadConfig } from '../../config/load-config.ts';
import { variableNamesIn } from '../../config/variable-names.ts';
import { CodedError } from '../../contract/errors.ts';
import {
  CUSTODIAN_UNIT,
  custodianUnit,
  DAEMON_UNIT,
  daemonUnit,
  environmentFileOf,
  LAUNCHD_LABEL,
  launchdPlist,
  type UnitFacts,
} from './service-units.ts';
import { stateDirectoryOf } from '../state-dir.ts';

export interface InstallServiceOptions {
  scope: 'user' | 'system';
  /** The value of `--config`, if given. */
  file?: string | undefined;
  /** Only tell what would be written. */
  dryRun: boolean;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
}

export interface InstalledService {
  dry_run: boolean;
  files: { path: string; content: string }[];
  /**
   * Where the daemon finds variables: a unit has none but PATH and OPENSTARRY_HOME. A person writes it, mode 0600. Null where
   * there is no such file (launchd).
   */
  environment_file: string | null;
  /** Names of those that the configuration refers to. */
  variables: string[];
  /** What is left for a person to run, in this order. */
  next: string[];
}

/**
 * Writes the units by which the system keeps the daemon running. Starts nothing.
 *
 * @throws CodedError CONFIG_INVALID, CONFIG_NOT_FOUND, PLATFORM_UNSUPPORTED, FORBIDDEN if the files cannot be written
 */
export async function installService(options: InstallServiceOptions): Promise<InstalledService> {
  const { scope, dryRun, cwd = process.cwd(), env = process.env, platform = process.platform } = options;
  const config = findConfig({ flag: options.file, cwd, env });
  // A unit that could not start is better not made.
  await loadConfig(config, env);
  const facts: UnitFacts = {
    scope,
    node: process.execPath,
    entry: fileURLToPath(new URL('../../../bin/openstarry-daemon.mjs', import.meta.url)),
    custodian: fileURLToPath(new URL('../../custodian.mjs', import.meta.url)),
    home: path.dirname(stateDirectoryOf(env)),
    config,
    user: env['SUDO_USER'] ?? os.userInfo().username,
    path: env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
  };
  const service = serviceOf(facts, platform, env);
  if (!dryRun) for (const { path: file, content } of service.files) write(file, content);
  return {
    dry_run: dryRun,
    files: service.files,
    environment_file: platform === 'linux' ? environmentFileOf(facts.home) : null,
    variables: await variableNamesIn(config),
    next: service.next,
  };
}

function serviceOf(
  facts: UnitFacts,
  platform: NodeJS.Platform,
  env: NodeJS.ProcessEnv,
): Pick<InstalledService, 'files' | 'next'> {
  const isUser = facts.scope === 'user';
  const home = env['HOME'] ?? os.homedir();
  if (platform === 'darwin') {
    const folder = isUser ? path.join(home, 'Library', 'LaunchAgents') : '/Library/LaunchDaemons';
    const file = path.join(folder, `${LAUNCHD_LABEL}.plist`);
    return { files: [{ path: file, content: launchdPlist(facts) }], next: [`launchctl load -w ${file}`] };
  }
  if (platform !== 'linux') {
    throw new CodedError('PLATFORM_UNSUPPORTED', `There are units for systemd and launchd, not for ${platform}`);
  }
  const config = env['XDG_CONFIG_HOME'] || path.join(home, '.config');
  const folder = isUser ? path.join(config, 'systemd', 'user') : '/etc/systemd/system';
  const systemctl = isUser ? 'systemctl --user' : 'sudo systemctl';
  return {
    files: [
      { path: path.join(folder, CUSTODIAN_UNIT), content: custodianUnit(facts) },
      { path: path.join(folder, DAEMON_UNIT), content: daemonUnit(facts) },
    ],
    next: [
      `${systemctl} daemon-reload`,
      `${systemctl} enable --now ${CUSTODIAN_UNIT} ${DAEMON_UNIT}`,
      ...(isUser ? ['loginctl enable-linger   # to run without a login'] : []),
    ],
  };
}

function write(file: string, content: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o644 });
  } catch (error) {
    const message = `${file} cannot be written: ${(error as Error).message}; run it as a user who may, or take --user`;
    throw new CodedError('FORBIDDEN', message, { path: file }, error);
  }
}

/** What was done, as people read it. */
export function describeService(service: InstalledService): string {
  const { dry_run, files, next } = service;
  const shown = files.map(({ path: file, content }) => (dry_run ? `# ${file}\n${content}` : `Wrote ${file}`));
  const steps = [`${dry_run ? '# then' : 'Now'} run:`, ...next.map((line) => `  ${line}`)];
  return [...shown, ...aboutVariables(service), ...steps].join('\n');
}

/** The shell in which a configuration was tried has variables that a service has not. */
function aboutVariables({ dry_run, environment_file: file, variables }: InstalledService): string[] {
  const mark = dry_run ? '# ' : '';
  const where =
    file === null
      ? 'EnvironmentVariables of the plist'
      : `${file}, mode 0600, NAME=value on each line; it need not be there`;
  const lines = [`A service has no variables of your shell but PATH. Others stand in ${where}`];
  if (variables.length > 0) lines.push(`The configuration refers to ${variables.join(', ')}: write them there first`);
  return lines.map((line) => mark + line);
}
