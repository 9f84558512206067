import type { RunState, RunView } from '../contract/run-view.ts';
import type { ScheduleView } from '../contract/schedule-view.ts';
import type { Shown } from '../contract/shown.ts';
import { colors } from './colors.ts';
import { shorten, since, staleNote, table } from './output.ts';

const COLOR_OF_STATE: Record<RunState, (text: string) => string> = {
  starting: colors.cyan,
  running: colors.green,
  succeeded: colors.dim,
  failed: colors.red,
  timed_out: colors.red,
  cancelled: colors.yellow,
};

export function scheduleTable(schedules: ScheduleView[]): string {
  if (schedules.length === 0) return 'No schedules';
  const rows = schedules.map((schedule) => {
    const { schedule_id, agent_id, when, timezone, mode, overlap, paused, next, counts, warnings } = schedule;
    const zone = timezone === 'UTC' ? '' : ` ${timezone}`;
    const mark = warnings.length > 0 ? colors.yellow(' !') : '';
    return [
      schedule_id + mark,
      agent_id,
      when + zone,
      mode === 'run' ? `run, ${overlap}` : mode,
      paused ? colors.blue('paused') : (next[0] ?? '-'),
      String(counts.made),
      leftOut(schedule) || '-',
    ];
  });
  return table(['SCHEDULE', 'AGENT', 'WHEN', 'MODE', 'NEXT', 'MADE', 'LEFT OUT'], rows);
}

/** `2 skipped, 1 missed` */
function leftOut({ counts }: ScheduleView): string {
  const { skipped_overlap, missed, dropped, buffered } = counts;
  const parts: [number, string][] = [
    [skipped_overlap, 'skipped'],
    [missed, 'missed'],
    [dropped, 'dropped'],
    [buffered, 'waiting'],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return said.join(', ');
}

export function scheduleText(schedule: ScheduleView): string {
  const { schedule_id, agent_id, when, timezone, mode, overlap, catch_up, jitter, task, timeout, cleanup } = schedule;
  const { paused, note, origin, next, recent, counts, warnings } = schedule;
  const ofRuns = [
    task === null ? '' : `task: ${shorten(task, 100)}`,
    timeout === null ? '' : `at most ${timeout}`,
    cleanup === 'delete' ? 'the agent is deleted afterwards' : '',
  ].filter((part) => part !== '');
  const lines = [
    `${colors.bold(schedule_id)} calls ${agent_id}: ${when} (${timezone})${paused ? `, ${colors.blue('paused')}` : ''}`,
    ...(note === null ? [] : [`note: ${note}`]),
    `mode ${mode}, overlap ${overlap}, makes up for ${catch_up}${jitter === null ? '' : `, jitter ${jitter}`}; from ${origin}`,
    ...(ofRuns.length === 0 ? [] : [ofRuns.join('; ')]),
    `made ${counts.made}${leftOut(schedule) === '' ? '' : `, ${leftOut(schedule)}`}, under way ${counts.running}`,
    `next: ${next.join(', ') || 'never'}`,
    ...recent.slice(-3).map(({ scheduled_at, workflow_id }) => `called at ${scheduled_at} (${workflow_id})`),
    ...warnings.map((warning) => `${colors.yellow('!')} ${warning}`),
  ];
  return lines.join('\n  ');
}

export function runTable(runs: Shown<RunView>[]): string {
  if (runs.length === 0) return 'No runs';
  const rows = runs.map(({ run_id, agent_id, state, started_at, ended_at, exit, task, reason }) => [
    run_id,
    agent_id,
    COLOR_OF_STATE[state](state),
    `${since(started_at)} ago`,
    ended_at === null
      ? '-'
      : since(new Date(Date.now() - (Date.parse(ended_at) - Date.parse(started_at))).toISOString()),
    exit === null ? '-' : (exit.signal ?? String(exit.code)),
    task === null ? '-' : shorten(task, 40),
    shorten(reason, 60),
  ]);
  return table(['RUN', 'AGENT', 'STATE', 'BEGAN', 'TOOK', 'EXIT', 'TASK', 'REASON'], rows) + staleNote(runs);
}

/** `run r1 of w1 has succeeded: …`, with its result and its last output. */
export function runText(run: RunView): string {
  const { run_id, agent_id, state, reason, via, schedule_id, started_at, ended_at, generation, result, output } = run;
  const lines = [
    `${colors.bold(run_id)} of ${agent_id} is ${COLOR_OF_STATE[state](state.replace('_', ' '))}: ${reason}`,
    `by ${via}${generation === null ? '' : `, generation ${generation}`}${schedule_id === null ? '' : `, of schedule ${schedule_id}`}`,
    `began ${started_at}${ended_at === null ? '' : `, ended ${ended_at}`}`,
    ...(result === null ? [] : [`answer: ${JSON.stringify(result)}`]),
  ];
  const text = output.trimEnd();
  return lines.join('\n  ') + (text === '' ? '' : `\n${text.replace(/^/gm, '    ')}`);
}
