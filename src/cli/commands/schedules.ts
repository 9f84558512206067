import type { Command } from 'commander';
import type { ScheduleInput, ScheduleView } from '../../contract/schedule-view.ts';
import { collect, contextOf } from '../context.ts';
import { schedulePath } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { given, readJson } from '../message-body.ts';
import { print } from '../output.ts';
import { scheduleTable, scheduleText } from '../run-output.ts';
import { pairs, readInput, withTypes } from '../spawn-body.ts';
import { watching } from '../watch.ts';

interface AddOptions {
  id?: string;
  every?: string;
  at?: string;
  after?: string;
  timezone?: string;
  jitter?: string;
  mode?: string;
  overlap?: string;
  catchUp?: string;
  task?: string;
  timeout?: string;
  cleanup?: string;
  template?: string;
  var?: string[];
  payload?: string;
  paused?: boolean;
  note?: string;
  replace?: boolean;
  input?: string;
}

export function addScheduleCommands(program: Command): void {
  const schedules = program.command('schedules').description('agents that are called by the clock');
  withExamples(schedules, 'schedules ls', 'schedules add w1 "*/5 * * * *"', 'schedules pause w1 --note holidays');

  const ls = schedules
    .command('ls')
    .description('list schedules: when they call next, and what became of their calls')
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: { watch?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const list = () => daemon.json<{ schedules: ScheduleView[] }>('GET', '/schedules');
      if (options.watch) return watching(json, list, (answer) => scheduleTable(answer.schedules));
      const answer = await list();
      print(json, answer, () => scheduleTable(answer.schedules));
    });
  withExamples(ls, 'schedules ls', 'schedules ls --watch', 'schedules ls --json');

  const show = schedules
    .command('show <schedule_id>')
    .description('show a schedule: its next five times, its last calls')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<ScheduleView>('GET', schedulePath(id));
      print(json, answer, () => scheduleText(answer));
    });
  withExamples(show, 'schedules show reporter', 'schedules show reporter --json');

  addAdd(schedules);

  const rm = schedules
    .command('rm <schedule_id>')
    .description('delete a schedule; calls that are under way go on')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json('DELETE', schedulePath(id));
      print(json, answer, () => `Schedule ${id} is deleted`);
    });
  withExamples(rm, 'schedules rm reporter');

  for (const [verb, does] of [
    ['pause', 'make no calls until it is resumed'],
    ['resume', 'let it go on from its next time'],
  ] as const) {
    const own = schedules
      .command(`${verb} <schedule_id>`)
      .description(does)
      .option('--note <text>', 'why, for people')
      .action(async (id: string, { note }: { note?: string }, command: Command) => {
        const { json, daemon } = contextOf(command);
        const answer = await daemon.json<ScheduleView>('POST', schedulePath(id, `/${verb}`), {
          body: given('note', note),
        });
        print(json, answer, () => scheduleText(answer));
      });
    withExamples(own, `schedules ${verb} reporter`, `schedules ${verb} reporter --note "the exchange is closed"`);
  }

  const trigger = schedules
    .command('trigger <schedule_id>')
    .description('call now, as well as by the clock')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const answer = await daemon.json<ScheduleView>('POST', schedulePath(id, '/trigger'));
      print(json, answer, () => `${answer.agent_id} is called by ${id}`);
    });
  withExamples(trigger, 'schedules trigger reporter');

  const backfill = schedules
    .command('backfill <schedule_id> <from> <to>')
    .description('make the calls of a time that is over')
    .option('--overlap <policy>', 'instead of one after the other (buffer_all): allow_all, skip, …')
    .action(async (id: string, from: string, to: string, { overlap }: { overlap?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const body = { from, to, ...given('overlap', overlap) };
      const answer = await daemon.json<ScheduleView>('POST', schedulePath(id, '/backfill'), { body });
      print(json, answer, () => `The calls of ${id} from ${from} to ${to} are being made`);
    });
  withExamples(backfill, 'schedules backfill reporter 2026-01-30T00:00:00Z 2026-01-31T00:00:00Z');
}

function addAdd(schedules: Command): void {
  const add = schedules
    .command('add [agent_id] [cron]')
    .description('make a schedule')
    .option('--id <schedule_id>', "its name, if not the agent's")
    .option('--every <time>', 'instead of cron: an interval, such as 10m')
    .option('--at <time>', 'instead of cron: once, such as 2026-12-24T18:00:00Z')
    .option('--after <time>', 'instead of cron: once, so long from now')
    .option('--timezone <name>', 'such as Europe/Berlin; else UTC')
    .option('--jitter <time>', 'each call comes later by a random part of this')
    .option('--mode <mode>', 'message (a CRON message, an event) or run')
    .option('--overlap <policy>', 'skip, buffer_one, buffer_all, cancel_other, terminate_other or allow_all')
    .option('--catch-up <time>', 'calls missed for at most so long are made up for (1m)')
    .option('--task <text>', 'of mode run: what it is to do')
    .option('--timeout <time>', 'of mode run: how long it may take')
    .option('--cleanup <what>', 'of mode run: keep or delete the agent afterwards')
    .option('--template <id>', 'of mode run: what an agent that is not there is made from')
    .option('--var <name=value>', 'of mode run: a variable of the template; repeatable', collect)
    .option('--payload <json>', 'of mode message: goes with each call; or @file')
    .option('--paused', 'make no calls before it is resumed')
    .option('--note <text>', 'for people')
    .option('--replace', 'make the schedule of that name this one')
    .option('--input <file>', 'the whole description as JSON; - reads the standard input')
    .action(async (agentId: string | undefined, cron: string | undefined, options: AddOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const body: Partial<ScheduleInput> = await withTypes(daemon, scheduleBody(agentId, cron, options), options.var);
      const name = body.schedule_id ?? body.agent_id ?? '';
      const answer = options.replace
        ? await daemon.json<ScheduleView>('PUT', schedulePath(name), { body })
        : await daemon.json<ScheduleView>('POST', '/schedules', { body });
      print(json, answer, () => scheduleText(answer));
    });
  withExamples(
    add,
    'schedules add data_market "*/1 * * * *"',
    'schedules add reporter "0 9 * * *" --timezone Asia/Seoul --mode run --task "Summarise the day" --cleanup delete',
    'schedules add w1 --every 10m --id w1-often --payload \'{"depth":3}\'',
  );
}

function scheduleBody(
  agentId: string | undefined,
  cron: string | undefined,
  options: AddOptions,
): Partial<ScheduleInput> {
  const { id, template, catchUp, payload, replace: _replace, input, var: variables, ...same } = options;
  return {
    ...(input === undefined ? {} : readInput(input)),
    ...given('agent_id', agentId),
    ...given('cron', cron),
    ...given('schedule_id', id),
    ...given('template_id', template),
    ...given('variables', pairs('--var', variables)),
    ...given('catch_up', catchUp),
    ...given('payload', payload === undefined ? undefined : readJson('--payload', payload)),
    ...same,
  } as Partial<ScheduleInput>;
}
