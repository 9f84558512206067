import type { Command } from 'commander';
import type { DaemonView } from '../../contract/daemon-view.ts';
import { describeReload, type ReloadView } from '../../contract/reload-view.ts';
import { withExamples } from '../examples.ts';
import { print, since } from '../output.ts';
import { colors } from '../colors.ts';
import { contextOf } from '../context.ts';

export function addDaemonCommands(program: Command): void {
  const reload = program
    .command('reload')
    .description('read the configuration again: start what is new, restart only what has changed, delete what is gone')
    .option('--dry-run', 'only show the difference')
    .action(async (options: { dryRun?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const view = await daemon.json<ReloadView>('POST', '/reload', { query: { dry_run: options.dryRun ?? false } });
      print(json, view, () => describeReload(view));
    });
  withExamples(reload, 'reload --dry-run', 'reload');

  const status = program
    .command('status')
    .description('what the daemon is and does')
    .action(async (_options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const view = await daemon.json<DaemonView>('GET', '/status');
      print(json, view, () => statusText(view));
    });
  withExamples(status, 'status', 'status --json');
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
    ...temporal.other_hosts.map((host) => [
      colors.red('Conflict'),
      host === status.host
        ? 'a copy of this state directory is in use by another daemon, in the same namespace'
        : `a daemon of host ${host} uses the same namespace`,
    ]),
    ['Ports', ports.join(', ')],
    ['Config', status.config_file ?? 'built-in quickstart'],
    ['State', `${status.home} (host ${status.host}, process trees by ${status.tree})`],
  ];
  return lines
    .map(([name = '', text = '']) => `${colors.bold(name)}${' '.repeat(Math.max(1, 10 - name.length))}${text}`)
    .join('\n');
}
