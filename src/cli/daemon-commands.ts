import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import colors from 'picocolors';
import type { DaemonView } from '../contract/daemon-view.ts';
import { CodedError } from '../contract/errors.ts';
import { describeReload, type ReloadView } from '../contract/reload-view.ts';
import { describeMs } from '../domain/restart-policy.ts';
import type { DaemonClient } from './daemon-client.ts';
import { print, since } from './output.ts';
import { processMark } from './process-mark.ts';
import { contextOf } from './context.ts';

const LOOK_AGAIN_MS = 50;

interface Shutdown {
  pid: number;
  keep_agents: boolean;
  live_agents: string[];
}

export function addDaemonCommands(program: Command): void {
  program
    .command('start')
    .description('run the daemon in the foreground, until Ctrl-C')
    .option('--config <file>', 'configuration file; without it ./openstarry.yaml, or else the quickstart')
    .option('--clear-failstop', 'start although a critical agent has stopped everything the last time')
    .option('--switch-config', 'let this configuration file take over the agents of the one that was used before')
    .action(async (options: { config?: string; clearFailstop?: boolean; switchConfig?: boolean }) => {
      const { main } = await import('../daemon/main.ts');
      await main({
        ...(options.config === undefined ? {} : { configFile: options.config }),
        ...(options.clearFailstop === undefined ? {} : { clearFailstop: options.clearFailstop }),
        ...(options.switchConfig === undefined ? {} : { switchConfig: options.switchConfig }),
      });
    });

  program
    .command('stop')
    .description('stop the daemon and all agents, in order, and wait until it is gone')
    .option('--keep-agents', 'let the agents and Temporal run on; the next start takes them over')
    .option('--timeout <seconds>', 'how long to wait', '300')
    .action(async (options: { keepAgents?: boolean; timeout: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const timeoutMs = secondsOf(options.timeout) * 1000;
      const { pid } = daemon.address;
      const mark = pid === null ? undefined : processMark(pid);
      const answer = await daemon.json<Shutdown>('POST', '/shutdown', {
        query: { keep_agents: options.keepAgents ?? false },
      });
      await untilGone(daemon, mark, timeoutMs);
      print(json, answer, () => stoppedText(answer));
    });

  program
    .command('reload')
    .description('read the configuration again: start what is new, restart only what has changed, delete what is gone')
    .option('--dry-run', 'only show the difference')
    .action(async (options: { dryRun?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const view = await daemon.json<ReloadView>('POST', '/reload', { query: { dry_run: options.dryRun ?? false } });
      print(json, view, () => describeReload(view));
    });

  program
    .command('status')
    .description('what the daemon is and does')
    .action(async (_options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const status = await daemon.json<DaemonView>('GET', '/status');
      print(json, status, () => statusText(status));
    });
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

function statusText(status: DaemonView): string {
  const { temporal, agents } = status;
  const ports = Object.entries(status.ports).map(([name, port]) => `${name} ${port}`);
  const states = Object.entries(agents.by_state).map(([state, count]) => `${count} ${state}`);
  const reach = temporal.reachable ? colors.green('reachable') : colors.red('not reachable: the agents run on');
  const lines = [
    ['Daemon', `${status.version}, pid ${status.pid}, ${status.phase}, up ${since(status.started_at)}`],
    ['Agents', `${agents.total}${states.length === 0 ? '' : ` (${states.join(', ')})`}`],
    ...status.critical_down.map(({ agent_id, reason }) => [colors.red('Critical'), `${agent_id} is down: ${reason}`]),
    [
      'Temporal',
      `${temporal.address}, namespace ${temporal.namespace}, ${temporal.embedded ? 'embedded, ' : ''}${reach}`,
    ],
    ['Ports', ports.join(', ')],
    ['Config', status.config_file ?? 'built-in quickstart'],
    ['State', `${status.home} (host ${status.host}, process trees by ${status.tree})`],
  ];
  return lines
    .map(([name = '', text = '']) => `${colors.bold(name)}${' '.repeat(Math.max(1, 10 - name.length))}${text}`)
    .join('\n');
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds >= 0 && text.trim() !== '') return seconds;
  throw new CodedError('INVALID_REQUEST', `--timeout must be a number of seconds; the value is ${text}`);
}
