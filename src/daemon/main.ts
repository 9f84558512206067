import { readFileSync } from 'node:fs';
import { pino, type Logger } from 'pino';
import { findConfig } from '../config/find-config.ts';
import { loadConfig } from '../config/load-config.ts';
import { CodedError, ERRORS } from '../contract/errors.ts';
import { describeReload } from '../contract/reload-view.ts';
import { Daemon } from './daemon.ts';
import type { DaemonEnd } from './daemon-options.ts';
import { logFile } from './log-file.ts';
import { speaker } from './speaker.ts';
import { banner, Story } from './story.ts';
import { StateDir } from './state-dir.ts';

export interface StartOptions {
  configFile?: string;
  clearFailstop?: boolean;
  switchConfig?: boolean;
}

const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** `openstarry-daemon start`: runs in the foreground until it is asked to stop. Sets the exit code. */
export async function main(options: StartOptions): Promise<void> {
  if (process.platform === 'win32') {
    throw new CodedError('PLATFORM_UNSUPPORTED', 'Windows has no POSIX processes; run the daemon inside WSL');
  }
  const file = findConfig({ flag: options.configFile, cwd: process.cwd() });
  const config = await loadConfig(file, process.env);
  const stateDir = new StateDir(process.env);
  refuseAfterFailStop(stateDir, options.clearFailstop === true);
  const log = logger(stateDir);
  const say = speaker();

  const switchConfig = options.switchConfig === true;
  const daemon = new Daemon({ version: VERSION, config, switchConfig, stateDir, log, env: process.env, say });
  onSignals(daemon, log, say);
  const story = new Story(say);
  await daemon.start({
    onFleet: (roster, logs) => story.tell(roster, logs, config.master),
    clearFailStop: options.clearFailstop === true,
  });
  // It may have been asked to stop meanwhile.
  if (daemon.facts().phase !== 'shutdown') {
    await daemon.forgiveFailStop();
    say(banner(daemon.facts(), stateDir));
    story.takenOver(await daemon.rows());
  }
  const end = await daemon.ended;
  story.close();
  say(lastWord(end));
  process.exitCode = end.kind === 'stopped' ? 0 : ERRORS[end.kind === 'failed' ? 'INTERNAL' : 'FAIL_STOPPED'].exit;
  // A connection, or a worker that Temporal has left without an answer, keeps the process for ever.
  process.stdout.write('', () => process.exit());
}

function lastWord(end: DaemonEnd): string {
  switch (end.kind) {
    case 'stopped':
      return 'Stopped.';
    case 'fail-stop':
      return `Stopped for good: ${end.reason}`;
    case 'failed':
      return `Not everything could be stopped: ${end.reason}. What still runs is taken over by the next start.`;
  }
}

function refuseAfterFailStop(stateDir: StateDir, clear: boolean): void {
  const failStop = stateDir.failStop();
  if (failStop === undefined || clear) return;
  const message = `The daemon stopped for good at ${failStop.at} because of ${failStop.agent_id}: ${failStop.reason}`;
  throw new CodedError('FAIL_STOPPED', message, { ...failStop });
}

/** JSON lines, for machines; what people read is said on the terminal. */
function logger(stateDir: StateDir): Logger {
  const level = process.env['OPENSTARRY_LOG_LEVEL'] ?? 'info';
  return pino({ level, base: null }, logFile(stateDir.file('daemon.log')));
}

/** The first signal ends in order; a second one at once. SIGUSR2 lets the agents run on. */
function onSignals(daemon: Daemon, log: Logger, say: (line: string) => void): void {
  const stop = (): void => {
    if (daemon.facts().phase === 'shutdown') {
      say(daemon.keepsAgents ? 'Already leaving; the agents run on.' : 'Stopping at once…');
      daemon.force().catch((error: unknown) => log.warn({ err: error }, 'the stop cannot be hurried'));
    } else {
      say('Stopping the agents in order… (once more to stop at once)');
      daemon.shutdown({ keepAgents: false });
    }
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGUSR2', () => {
    say('Leaving the agents running…');
    daemon.shutdown({ keepAgents: true });
  });
  process.on('SIGHUP', () => {
    daemon.reload({ dryRun: false }).then(
      (view) => say(describeReload(view)),
      (error: unknown) => {
        log.error({ err: error }, 'the configuration was not reloaded');
        say(`Not reloaded, nothing has been changed: ${(error as Error).message}`);
      },
    );
  });
}
