import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { DaemonView } from '../../contract/daemon-view.ts';
import { CodedError } from '../../contract/errors.ts';
import { describeMs } from '../../domain/duration.ts';
import { contextOf } from '../context.ts';
import type { DaemonClient } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { print } from '../output.ts';
import { processMark } from '../../daemon/process-mark.ts';
import { during } from '../progress.ts';
import { ownVersion } from '../version.ts';

const LOOK_AGAIN_MS = 50;

interface StartOptions {
  detach?: boolean;
  config?: string;
  clearFailstop?: boolean;
  switchConfig?: boolean;
}

interface Shutdown {
  pid: number;
  keep_agents: boolean;
  live_agents: string[];
}

export function addStartCommands(program: Command): void {
  const start = program
    .command('start')
    .description('run the daemon in the foreground, until Ctrl-C; with -d in the background')
    .option('-d, --detach', 'in the background: survives the terminal, and is started again when it crashes')
    .option('--config <file>', 'configuration file; without it ./openstarry.yaml, or else the quickstart')
    .option('--clear-failstop', 'start although a critical agent has stopped everything the last time')
    .option('--switch-config', 'let this configuration file take over the agents of the one that was used before')
    .action(async ({ detach, config, clearFailstop, switchConfig }: StartOptions, command: Command) => {
      if (detach) {
        const args = [
          ...(config === undefined ? [] : ['--config', config]),
          ...(clearFailstop ? ['--clear-failstop'] : []),
          ...(switchConfig ? ['--switch-config'] : []),
        ];
        return startDetached(command.optsWithGlobals<{ json?: boolean }>().json === true, { args });
      }
      const { main } = await import('../../daemon/main.ts');
      await main({
        ...(config === undefined ? {} : { configFile: config }),
        ...(clearFailstop === undefined ? {} : { clearFailstop }),
        ...(switchConfig === undefined ? {} : { switchConfig }),
      });
    });
  withExamples(
    start,
    'start',
    'start -d --config /etc/openstarry.yaml',
    'OPENSTARRY_HOME=/srv/fleet openstarry-daemon start',
  );

  const stop = program
    .command('stop')
    .description('stop the daemon and all agents, in order, and wait until it is gone')
    .option('--keep-agents', 'let the agents and Temporal run on; the next start takes them over')
    .option('--timeout <seconds>', 'how long to wait', '300')
    .action(async (options: { keepAgents?: boolean; timeout: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await stopDaemon(daemon, options.keepAgents ?? false, secondsOf(options.timeout) * 1000);
      print(json, answer, () => stoppedText(answer));
    });
  withExamples(stop, 'stop', 'stop --keep-agents', 'stop --timeout 60');

  const restart = program
    .command('restart')
    .description(
      'restart the daemon, in the background; its agents run on. Under systemd: systemctl restart openstarry-daemon',
    )
    .option('--timeout <seconds>', 'how long to wait until it is gone', '60')
    .action(async (options: { timeout: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const { pid } = daemon.address;
      if (pid === null) {
        const message = `Only a daemon on this machine can be restarted, and ${daemon.address.url} was given by --url`;
        throw new CodedError('INVALID_REQUEST', message);
      }
      const before = await daemon.json<DaemonView>('GET', '/status');
      const { ONCE } = await import('../../daemon/background.ts');
      const origin = originOf(pid, before, ONCE);
      if (origin.env?.['SYSTEMD_EXEC_PID'] === String(pid)) {
        const message = `The daemon (pid ${pid}) is run by systemd, which would take it for stopped: use \`systemctl restart openstarry-daemon\`, with --user for a user's service; its agents run on`;
        throw new CodedError('INVALID_REQUEST', message);
      }
      await stopDaemon(daemon, true, secondsOf(options.timeout) * 1000);
      await startDetached(json, origin);
    });
  withExamples(restart, 'restart', 'restart --json');
}

interface Origin {
  /** After `start`. */
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** Starts it with the command line, environment and directory of before: who restarts it may have others. */
function originOf(pid: number, { config_file }: DaemonView, once: ReadonlySet<string>): Origin {
  const fallback = { args: config_file === null ? [] : ['--config', config_file] };
  try {
    const split = (name: string): string[] => readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0').slice(0, -1);
    const argv = split('cmdline');
    const args = argv.slice(argv.indexOf('start') + 1);
    const env = Object.fromEntries(
      split('environ').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    return { args: args.filter((arg) => !once.has(arg)), env, cwd: readlinkSync(`/proc/${pid}/cwd`) };
  } catch {
    return fallback; // no /proc, as on macOS
  }
}

async function startDetached(json: boolean, { args, env, cwd }: Origin): Promise<void> {
  const { startInBackground } = await import('../../daemon/background.ts');
  const started = await during('Starting the daemon', (progress) =>
    startInBackground({
      // Errors come out as JSON, to be reported here as they are.
      args: ['--json', 'start', ...args],
      entry: process.argv[1] ?? '',
      version: ownVersion(),
      onLine: (line) => progress.update(line.trim() || 'Starting the daemon'),
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
    }),
  );
  const api = `http://127.0.0.1:${started.ports.api}`;
  print(json, started, () =>
    [
      `The daemon ${started.version} runs in the background (pid ${started.pid}), its API at ${api}`,
      `  log            ${started.log}`,
      '  see            openstarry-daemon status',
      '  stop           openstarry-daemon stop',
    ].join('\n'),
  );
}

async function stopDaemon(daemon: DaemonClient, keepAgents: boolean, timeoutMs: number): Promise<Shutdown> {
  const { pid } = daemon.address;
  const mark = pid === null ? undefined : processMark(pid);
  const answer = await daemon.json<Shutdown>('POST', '/shutdown', { query: { keep_agents: keepAgents } });
  const what = keepAgents ? 'Stopping the daemon' : `Stopping the daemon and ${answer.live_agents.length} agents`;
  await during(what, () => untilGone(daemon, mark, timeoutMs));
  return answer;
}

/** Of a daemon elsewhere the process cannot be seen; it is gone when nobody answers. */
async function untilGone(daemon: DaemonClient, mark: string | undefined, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const { pid, url } = daemon.address;
  while (pid === null ? await answers(daemon) : mark !== undefined && processMark(pid) === mark) {
    if (performance.now() > deadline) {
      const who = pid === null ? `The daemon at ${url}` : `The daemon (pid ${pid})`;
      throw new CodedError(
        'SHUTTING_DOWN',
        `${who} is still going down after ${describeMs(timeoutMs)}: an agent may take its whole grace period`,
      );
    }
    await delay(LOOK_AGAIN_MS);
  }
}

async function answers(daemon: DaemonClient): Promise<boolean> {
  try {
    await daemon.json('GET', '/status');
    return true;
  } catch (error) {
    return !(error instanceof CodedError && error.code === 'DAEMON_NOT_RUNNING');
  }
}

function stoppedText({ pid, keep_agents, live_agents }: Shutdown): string {
  const names =
    live_agents.length === 0 ? 'no agent was running' : `${live_agents.length} running: ${live_agents.join(', ')}`;
  if (keep_agents) return `The daemon (pid ${pid}) is stopped; its agents run on (${names})`;
  return `The daemon (pid ${pid}) is stopped, and so are its agents (${names})`;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0 && text.trim() !== '') return seconds;
  throw new CodedError('INVALID_REQUEST', `--timeout must be a number of seconds; the value is ${text}`);
}
